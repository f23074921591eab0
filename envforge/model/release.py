"""What an index knows: files, and the metadata inside them.

Standards: PEP 427 and the binary distribution format (wheel names), PEP 625 (sdist names),
PEP 592 (yanked), PEP 700 (size, upload time), core metadata 2.x.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from envforge.model.requirement import Requirement
from envforge.struct import Struct

if TYPE_CHECKING:
    from envforge.model.sources import Origin
    from envforge.model.tags import WheelRanks

SDIST_SUFFIXES = (".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz")


class IndexFile(NamedTuple):
    """One released file as an index lists it.

    A tuple, because a lock makes thousands of them, and a frozen dataclass takes four times as long.

    Args:
        filename: basename, percent-decoded.
        url: absolute, without fragment and without credentials.
        index: name of the index (``pypi``) that listed it.
        sha256: lower-case hex, ``""`` where the index gives none.
        size_bytes: where the index tells (PEP 700), else None.
        requires_python: specifier, ``""`` for any.
        yanked: reason, ``""`` for yanked without one, None for not yanked.
        upload_time: ISO 8601 UTC, ``""`` where the index gives none.
        has_metadata: the index advertises ``url + ".metadata"`` (PEP 658/714).
        metadata_sha256: its digest where advertised, else ``""``.
        origin: what no index listed: the place that a project comes from; ``index`` is ``""`` then, and a
            folder has neither wheel nor hash.
    """

    filename: str
    url: str
    index: str  # type: ignore[assignment]  # tuples have a method of this name, which nobody needs here
    sha256: str = ""
    size_bytes: int | None = None
    requires_python: str = ""
    yanked: str | None = None
    upload_time: str = ""
    has_metadata: bool = False
    metadata_sha256: str = ""
    origin: Origin | None = None

    @property
    def is_wheel(self) -> bool:
        return self.filename.endswith(".whl")

    @property
    def place(self) -> str:
        """What tells it from other places that have the same version: the index, or the origin."""
        return self.index or str(self.origin)


def wheel_tags(filename: str) -> tuple[str, ...]:
    """Every tag of a wheel's name, expanded: ``x-1-py2.py3-none-any.whl`` has two.

    Raises:
        ValueError: the name has not five or six parts.
    """
    joined = _joined_tags(filename)
    if not joined:
        raise ValueError(f"not a wheel's name: {filename}")
    return expand_tags(joined)


@cache
def _joined_tags(filename: str) -> str:
    """The tags in a wheel's name: ``py2.py3-none-any``; ``""`` where it is none."""
    parts = filename.split("-")
    if len(parts) not in (5, 6) or not filename.endswith(".whl"):
        return ""
    return "-".join(parts[-3:])[:-4]


def expand_tags(tags: str) -> tuple[str, ...]:
    """The tags of a set as a wheel's name has it (``py2.py3-none-any``)."""
    pythons, abis, platforms = tags.split("-")
    return tuple(
        f"{python}-{abi}-{platform}"
        for python in pythons.split(".")
        for abi in abis.split(".")
        for platform in platforms.split(".")
    )


def wheel_build_number(filename: str) -> tuple[int, str]:
    """The optional build tag as a sort key: the higher one wins between equal tags."""
    parts = filename.removesuffix(".whl").split("-")
    if len(parts) != 6:
        return (-1, "")
    digits = len(parts[2]) - len(parts[2].lstrip("0123456789"))
    return (int(parts[2][:digits] or -1), parts[2][digits:])


def best_wheel(files: Iterable[IndexFile], ranks: WheelRanks) -> IndexFile | None:
    """The wheel a target would take: best tag, then highest build number; None if none fits.

    Args:
        files: of one release.
        ranks: ``wheel_ranks(target)``.
    """
    best: tuple[int, IndexFile] | None = None
    for file in files:
        tags = _joined_tags(file.filename)
        rank = ranks[tags] if tags else None
        if rank is None or (best is not None and rank > best[0]):
            continue
        if best is None or rank < best[0] or _is_later_build(file, best[1]):
            best = (rank, file)
    return best[1] if best else None


def _is_later_build(file: IndexFile, other: IndexFile) -> bool:
    return wheel_build_number(file.filename) > wheel_build_number(other.filename)


class CoreMetadata(Struct, frozen=True, kw_only=True):
    """The part of a distribution's metadata that a resolution needs.

    Args:
        name: as the distribution spells it.
        version: as the distribution spells it.
        requires_python: specifier, ``""`` for any.
        requires: ``Requires-Dist``, parsed; extras stand in the markers.
        provides_extra: normalized names.
    """

    name: str
    version: str
    requires_python: str = ""
    requires: tuple[Requirement, ...] = ()
    provides_extra: frozenset[str] = frozenset()


class ProjectPage(Protocol):
    """What one index has of one project. Versions are canonical PEP 440 texts, newest first."""

    @property
    def name(self) -> str: ...

    @property
    def index(self) -> str: ...

    @property
    def versions(self) -> Sequence[str]: ...

    def files(self, version: str) -> Sequence[IndexFile]:
        """The files of a version. Cheap: what is not asked for is not decoded."""
        ...


@runtime_checkable
class LimitedPage(ProjectPage, Protocol):
    """A page from which ``exclude-newer`` leaves files out."""

    @property
    def limit(self) -> str:
        """The instant in UTC before which files had to be uploaded."""
        ...

    def left_out(self) -> Iterator[tuple[str, str]]:
        """(version, upload time of its first file) of what is not there for that, newest version first."""
        ...


class PackageSource(Protocol):
    """Where the resolver gets facts. Both calls may block on the network; both remember."""

    def page(self, name: str) -> ProjectPage:
        """All releases of a project.

        Raises:
            UnknownPackageError: no index that may be asked has it.
            NetworkError: an index that had to be asked did not answer.
        """
        ...

    def metadata(self, file: IndexFile) -> CoreMetadata:
        """The metadata of a release, read from this file by the cheapest way.

        Raises:
            MetadataError: it has none that can be used.
            NetworkError: it cannot be had.
        """
        ...
