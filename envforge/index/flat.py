"""Flat indexes: one page with links to files of any project, or a folder of files (pip's ``--find-links``).

Neither tells upload times, and a folder tells no hashes: these are computed for the versions that somebody
looks at, so that what is known of a file never outlives its content.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from envforge.errors import PackageIndexError
from envforge.index.archive import archive_sha256
from envforge.index.locations import IndexLocation
from envforge.metadata.versions import is_distribution, version_of, version_sort_key
from envforge.model.release import IndexFile
from envforge.net.local_files import file_url_path


class FolderPage:
    """What a folder has of one project; implements :class:`envforge.model.release.ProjectPage`.

    Args:
        name: normalized.
        index: name of the index.
        files: version → its files in the folder.
    """

    def __init__(self, name: str, index: str, files: dict[str, list[Path]]) -> None:
        self.name = name
        self.index = index
        self.versions: Sequence[str] = sorted(files, key=version_sort_key, reverse=True)
        self._paths = files
        self._files: dict[str, Sequence[IndexFile]] = {}

    def files(self, version: str) -> Sequence[IndexFile]:
        """The files of a version, hashed; KeyError if there is no such version.

        Raises:
            StoreError: one cannot be read.
        """
        if version not in self._files:
            self._files[version] = [self._file(path) for path in sorted(self._paths[version])]
        return self._files[version]

    def _file(self, path: Path) -> IndexFile:
        return IndexFile(
            filename=path.name,
            url=path.as_uri(),
            index=self.index,
            sha256=archive_sha256(path),
            size_bytes=path.stat().st_size,
        )


class Folder:
    """A folder of files, listed once.

    Args:
        location: a flat index whose URL is that of a folder.

    Raises:
        PackageIndexError: it cannot be listed.
    """

    def __init__(self, location: IndexLocation) -> None:
        self._index = location.name
        path = file_url_path(location.clean_url)
        try:
            self._paths = [entry for entry in path.iterdir() if is_distribution(entry.name)]
        except OSError as error:
            raise PackageIndexError(
                f"the folder of index {location.name!r} cannot be listed: {error.strerror}",
                context=[f"path: {path}"],
                hints=["paths of indexes are from the project's folder"],
            ) from None

    def find(self, project: str) -> FolderPage | None:
        """What it has of a project, None for nothing."""
        found: dict[str, list[Path]] = defaultdict(list)
        for path in self._paths:
            version = version_of(path.name, project)
            if version is not None and path.is_file():
                found[version].append(path)
        return FolderPage(project, self._index, _joined(found)) if found else None


def is_folder(location: IndexLocation) -> bool:
    """Whether a flat index is a folder; what is not there counts as one, a file is a page."""
    url = location.clean_url
    return url.startswith("file:") and not file_url_path(url).is_file()


def _joined(found: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """Versions that are equal in PEP 440's eyes (``1.0``, ``1.0.0``) as one, under the shorter name."""
    names: dict[object, str] = {}
    joined: dict[str, list[Path]] = defaultdict(list)
    for version in sorted(found, key=lambda version: (len(version), version)):
        joined[names.setdefault(version_sort_key(version), version)] += found[version]
    return dict(joined)
