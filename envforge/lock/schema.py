"""The format of ``envforge.lock``, versions 1 to 3.

JSON in UTF-8, one-space indent, keys sorted, a newline at the end, so that git shows and merges
package by package::

    version        1; of a project with variants 2; with packages that come from no index 3
    inputs         digest of the manifest's resolution inputs, "sha256:…"
    exclude-newer  instant before which files had to be uploaded, or how old they had to be when it was
                   resolved, as an ISO 8601 duration; left out for no limit
    indexes        [{name, url}], without credentials
    targets        [{platform, variant, python, system: {glibc, macos}, groups: {group: [package id]},
                     conda: [conda id]}], in the manifest's order; variant is left out in projects
                   without; system also has linux, cuda and archspec where they are not as by default
    channels       [URL, or a folder as the manifest writes it], without credentials, first the one that
                   wins; left out without conda packages
    conda          {subdir/file name: the whole record: name, version, build, build-number, subdir, url,
                    channel, sha256, md5, size, depends, constrains, noarch, timestamp, license, …,
                    pypi-names: the PyPI projects that it is}}
    packages       {id: {name, version, index, requires, requires-python,
                         files: [{url, sha256, size, targets: [target id]}]}}
                   of one that comes from no index (version 3) there is in place of index
                         source: {git, commit}, with branch, tag or rev as the manifest has it, subdirectory,
                                 lfs, submodules: false; then there are no files, or
                         source: {url} or {path}, with subdirectory, of an archive, or one of
                                 {folder}, {editable}, {virtual}: a path, and then there are no files

A package's empty fields are left out, and a size that the index does not tell. An id is the name, or
``name@version`` where targets need different versions, or ``name@version@place`` where they need one version
from different indexes or sources (version 2). A target's id is the platform, with a variant
``platform:variant``.

Keys that this version does not know are passed over; whatever an older envforge must not pass over needs a
new version.

Reading is in :mod:`envforge.lock.parse`, writing in :mod:`envforge.lock.write`, what has to be true of
the content in :mod:`envforge.lock.consistency`.
"""

from __future__ import annotations

VERSION = 1
"""What projects without variants have: envforge before variants reads it, and takes the others for newer."""

VARIANT_VERSION = 2

DIRECT_VERSION = 3
"""With packages that come from no index; they may have variants, too."""
