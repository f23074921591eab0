"""Repositories of git that a project takes packages from: their credentials, and checkouts for builds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from envforge.git.cache import FOLDER, GitCache
from envforge.git.checkout import CheckoutOptions, check_out
from envforge.git.fetch import fetch_commit
from envforge.model.git import GitRemote, parse_remote
from envforge.model.names import normalize_name
from envforge.model.sources import GitOrigin, GitSource
from envforge.struct import replace
from envforge.workflows.index_urls import expanded_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envforge.manifest.manifest import Manifest
    from envforge.workflows.session import Session

_READ_HISTORY = frozenset(
    (
        *("setuptools-scm", "hatch-vcs", "vcs-versioning", "versioningit", "dunamai", "pbr", "flit-scm"),
        *(
            "setuptools-git-versioning",
            "setuptools-vcs-versioning",
            "poetry-dynamic-versioning",
            "versioneer",
        ),
        *("uv-dynamic-versioning", "setuptools-git", "setuptools-dso", "miniver", "incremental-git"),
    )
)
"""What computes a version from tags and commits, where a build requires it."""


def git_cache(session: Session) -> GitCache:
    """The commits that this user's cache has."""
    return GitCache(
        root=session.places.cache / FOLDER,
        network=session.network,
        environ=session.environ,
        reporter=session.reporter,
    )


def open_remote(source: GitSource, name: str, session: Session) -> GitRemote:
    """The repository of a source, with its credentials.

    Raises:
        ManifestError: a variable in its address is not set.
    """
    return parse_remote(expanded_url(source.url, session, name))


def remote_of(origin: GitOrigin, manifest: Manifest, session: Session) -> GitRemote:
    """The repository that a locked package comes from, with the credentials that the manifest has for it."""
    for name, source in _git_sources(manifest):
        if parse_remote(source.url).url == origin.url:
            return open_remote(source, name, session)
    return parse_remote(origin.url)


def put_commit(origin: GitOrigin, remote: GitRemote, name: str, folder: Path, session: Session) -> Path:
    """Check a commit out, with its history where its build wants that.

    Args:
        origin: what.
        remote: where it is.
        name: of the project; the checkout is called by it.
        folder: where to.
        session: cache, network.

    Returns:
        The folder of the project.

    Raises:
        EnvforgeError: it cannot be had.
    """
    cache = git_cache(session)
    options = CheckoutOptions(submodules=origin.submodules, lfs=origin.lfs, subdirectory=origin.subdirectory)
    source = check_out(fetch_commit(remote, origin.commit, cache), folder / "source" / name, cache, options)
    if not _reads_history(source):
        return source
    whole = fetch_commit(remote, origin.commit, cache, history=True)
    return check_out(whole, folder / "history" / name, cache, replace(options, history=True))


def _reads_history(source: Path) -> bool:
    from envforge.build.source import read_build_system
    from envforge.errors import EnvforgeError
    from envforge.model.requirement import parse_requirement

    if (source / "versioneer.py").exists():
        return True
    try:
        requires = [parse_requirement(text).name for text in read_build_system(source).requires]
        content = (source / "pyproject.toml").read_text(encoding="utf-8")
    except (EnvforgeError, OSError, UnicodeDecodeError):
        return False  # what is wrong with it is told when it is read
    by_backend = 'source = "scm"' in content or "setuptools_scm" in content  # pdm-backend, scikit-build-core
    return by_backend or any(normalize_name(name) in _READ_HISTORY for name in requires)


def _git_sources(manifest: Manifest) -> Iterator[tuple[str, GitSource]]:
    """(project, source) of all that a manifest takes from git."""
    for name, source in manifest.settings.all_sources:
        if isinstance(source, GitSource):
            yield name, source
    if "git+" not in manifest.text:
        return
    from contextlib import suppress

    from envforge.manifest.references import ReferenceFaultError, declared_urls, parse_reference
    from envforge.model.requirement import parse_requirement

    for entry in declared_urls(manifest):
        requirement = parse_requirement(entry.text)
        with suppress(ReferenceFaultError):
            found = parse_reference(requirement.url)
            if isinstance(found, GitSource):
                yield requirement.name, found
