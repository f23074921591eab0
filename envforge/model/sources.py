"""Where a project comes from, if not from whichever index has it: as the manifest says it, and as locked.

A *source* is the manifest's word, an *origin* what became of it: the one place that a locked package is of.
Paths are from the folder of the lock, with ``/``; absolute ones and those with ``~`` are as written.

Standards: PEP 508 (``name @ URL``), PEP 610 (what is recorded of an origin in an environment).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

from envforge.model.git import DEFAULT_BRANCH, GitReference
from envforge.struct import Struct


class IndexSource(Struct, frozen=True):
    """The name of an index."""

    index: str


class UrlSource(Struct, frozen=True):
    """An archive on a server.

    Args:
        url: of a wheel or sdist, without fragment, as written: it may hold credentials and ``${VARIABLES}``,
            so it is never shown.
        sha256: that it has to have, lower-case hex; ``""`` for that which it has when it is locked.
        subdirectory: of an sdist, where the project is in it; ``""`` for its top.
    """

    url: str
    sha256: str = ""
    subdirectory: str = ""

    def __repr__(self) -> str:
        return f"UrlSource(sha256={self.sha256!r})"  # the URL may hold credentials


class PathSource(Struct, frozen=True):
    """A folder with a project in it, or an archive on a disk of the host.

    Args:
        path: of it.
        editable: the environment has a way to the folder's code, not a copy; None where nothing is said.
        subdirectory: of an sdist, as for :class:`UrlSource`.
    """

    path: str
    editable: bool | None = None
    subdirectory: str = ""


class GitSource(Struct, frozen=True):
    """A commit of a git repository.

    Args:
        url: of the repository, as written: it may hold credentials and ``${VARIABLES}``, as above.
        reference: which commit.
        subdirectory: where the project is in it; ``""`` for its top.
        lfs: large files are fetched; None where nothing is said, and then there must be none.
        submodules: are fetched.
    """

    url: str
    reference: GitReference = DEFAULT_BRANCH
    subdirectory: str = ""
    lfs: bool | None = None
    submodules: bool = True

    def at_commit(self, url: str, commit: str) -> GitOrigin:
        """What of it stands in a lock. ``url``: the repository's, without credentials."""
        return GitOrigin(
            url=url,
            commit=commit,
            reference=self.reference,
            subdirectory=self.subdirectory,
            lfs=self.lfs,
            submodules=self.submodules,
        )

    def __repr__(self) -> str:
        # the URL may hold credentials
        return f"GitSource({self.reference}, {self.subdirectory!r}, lfs={self.lfs}, {self.submodules})"


class WorkspaceSource(Struct, frozen=True):
    """The member of this workspace that has the name."""


Source: TypeAlias = IndexSource | UrlSource | PathSource | GitSource | WorkspaceSource
DirectSource: TypeAlias = UrlSource | PathSource | GitSource


def direct_sources(sources: Mapping[str, Source]) -> dict[str, DirectSource]:
    """Those of some projects' sources that are no index and no workspace."""
    return {name: source for name, source in sources.items() if isinstance(source, DirectSource)}


class FolderMode(StrEnum):
    """How a folder is in an environment; the word is the key of its origin in the lock."""

    COPY = "folder"
    EDITABLE = "editable"
    VIRTUAL = "virtual"
    """Not at all: the project has no build system, only what it requires is there."""


class ArchiveOrigin(Struct, frozen=True):
    """A wheel or an sdist: the locked package has it as its file.

    Args:
        place: its URL, without credentials, or its path.
        subdirectory: where the project is in it, ``""`` for its top.
    """

    place: str
    subdirectory: str = ""

    @property
    def is_url(self) -> bool:
        return "://" in self.place

    def __str__(self) -> str:
        return f"{self.place}#subdirectory={self.subdirectory}" if self.subdirectory else self.place


class FolderOrigin(Struct, frozen=True):
    """A project's folder: the locked package has no file, and nobody promises what is in it."""

    path: str
    mode: FolderMode = FolderMode.COPY

    def __str__(self) -> str:
        return self.path


class GitOrigin(Struct, frozen=True):
    """A commit: the locked package has no file, but everybody gets the same.

    Args:
        url: of the repository, without credentials.
        commit: 40 hexadecimal digits.
        reference: what the manifest asked for.
        subdirectory, lfs, submodules: as for :class:`GitSource`.
    """

    url: str
    commit: str
    reference: GitReference = DEFAULT_BRANCH
    subdirectory: str = ""
    lfs: bool | None = None
    submodules: bool = True

    def __str__(self) -> str:
        inside = f"#subdirectory={self.subdirectory}" if self.subdirectory else ""
        return f"git+{self.url}@{self.commit}{inside}"


Origin: TypeAlias = ArchiveOrigin | FolderOrigin | GitOrigin
