"""Commits that a project names: which a branch or tag is, and what project is in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from envforge.errors import ManifestError, MetadataError
from envforge.git.references import resolve_reference
from envforge.index.metadata_cache import MetadataCache
from envforge.manifest.folders import FolderManifest
from envforge.model.git import GitReference, GitRemote, parse_remote
from envforge.model.names import normalize_name
from envforge.model.release import CoreMetadata, IndexFile
from envforge.model.sources import GitOrigin, GitSource, PathSource, Source
from envforge.store.store import Store
from envforge.struct import replace
from envforge.workflows.folders import read_folder
from envforge.workflows.repositories import git_cache, open_remote, put_commit

if TYPE_CHECKING:
    from collections.abc import Callable

    from envforge.workflows.project import FormerLock
    from envforge.workflows.session import Session
    from envforge.workflows.upgrades import Upgrades
    from envforge.workflows.workshop import Workshop

_Key = tuple[str, GitReference]


class CommitProject(NamedTuple):
    """What is in a commit.

    Args:
        origin: the commit.
        metadata: as it says it itself, or its build.
        found: its pyproject.toml, whose sources are those of the repository.
    """

    origin: GitOrigin
    metadata: CoreMetadata
    found: FolderManifest


class DirectCommits:
    """The commits of a session, each branch asked for once.

    Args:
        former: what was locked: a branch has the commit that it had then.
        upgrades: what need not stay as it was.
        platforms: that are locked: what a build says is not right for every one.
        session: places, network, reporter.
        workshop: gives where builds are asked for metadata.
    """

    def __init__(
        self,
        former: FormerLock,
        upgrades: Upgrades,
        platforms: Sequence[str],
        session: Session,
        workshop: Callable[[], Workshop],
    ) -> None:
        self._platforms = platforms
        self._session = session
        self._workshop = workshop
        self._metadata = MetadataCache(session.places.cache)
        self._locked = dict(_locked_commits(former, upgrades))
        self._resolved: dict[_Key, str] = {}

    def read(self, name: str, source: GitSource) -> CommitProject:
        """The project in a commit.

        Args:
            name: that it should be of, normalized.
            source: which commit.

        Raises:
            ManifestError: there is no project.
            EnvforgeError: it cannot be fetched, checked out or built.
        """
        remote = open_remote(source, name, self._session)
        shown = parse_remote(source.url).url
        origin = source.at_commit(shown, self._commit(name, shown, source.reference, remote))
        places = self._session.places
        with Store(places.tier, places.site).staging() as folder:
            path = put_commit(origin, remote, name, folder, self._session)
            top = f"/{remote.label}"
            found = read_folder(path, f"{top}/{source.subdirectory}".rstrip("/"))
            if found is None:
                raise _no_project(origin, path)
            metadata = found.metadata() if found.is_static else self._built(name, path, origin)
        sources = dict(_placed(found, top, source))
        return CommitProject(origin, metadata, replace(found, sources=sources))

    def _commit(self, name: str, url: str, reference: GitReference, remote: GitRemote) -> str:
        locked = self._locked.get((name, url, reference))
        if locked:
            return locked
        key = (url, reference)
        if key not in self._resolved:
            self._resolved[key] = resolve_reference(remote, reference, git_cache(self._session))
        return self._resolved[key]

    def _built(self, name: str, path: Path, origin: GitOrigin) -> CoreMetadata:
        """What only a build can tell; it is remembered, because a commit does not change."""
        from envforge.workflows.build_metadata import folder_metadata, judge_platforms

        place = f"commit://{origin.commit}/{origin.subdirectory}?{','.join(self._platforms)}"
        file = IndexFile(filename=name, url=place, index="")
        with suppress(MetadataError):
            known = self._metadata.find(file)
            if known is not None:
                return known
        workshop = self._workshop()
        metadata = folder_metadata(name, path, "wheel", workshop)
        judge_platforms(name, path, metadata, workshop)
        self._metadata.store(file, metadata)
        return metadata


def _locked_commits(
    former: FormerLock, upgrades: Upgrades
) -> Iterator[tuple[tuple[str, str, GitReference], str]]:
    """(name, repository, reference) → the commit that it was locked with."""
    released = {normalize_name(name) for name in upgrades.packages}
    for side in reversed(former.sides) if not upgrades.everything else ():
        for package in side.packages.values():
            origin = package.origin
            if isinstance(origin, GitOrigin) and package.name not in released:
                yield (package.name, origin.url, origin.reference), origin.commit


def _placed(found: FolderManifest, top: str, source: GitSource) -> Iterator[tuple[str, Source]]:
    """Where a project in a repository takes others from: folders of it are of the same commit."""
    for name, other in found.sources.items():
        if not isinstance(other, PathSource):
            yield name, other
        elif other.path.startswith(f"{top}/"):
            inside = other.path.removeprefix(f"{top}/").rstrip("/")
            yield name, replace(source, subdirectory=inside)


def _no_project(origin: GitOrigin, path: Path) -> ManifestError:
    place = f"folder {origin.subdirectory} of {origin.url}" if origin.subdirectory else origin.url
    others = sorted(file.parent.relative_to(path).as_posix() for file in path.glob("*/pyproject.toml"))
    others += sorted(file.parent.relative_to(path).as_posix() for file in path.glob("*/*/pyproject.toml"))
    inside = f"{origin.subdirectory}/" if origin.subdirectory else ""
    hints = []
    if others:
        right = f'subdirectory = "{inside}{others[0]}"'
        hints.append(f"there are projects in {', '.join(others)}: say {right}")
    return ManifestError(
        f"{place} is no project: it has neither a pyproject.toml with a project nor a setup.py",
        context=[f"commit: {origin.commit}"],
        hints=hints,
    )
