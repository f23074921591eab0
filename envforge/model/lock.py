"""The lock as a value: what was resolved, for every target, with the files to install.

The file itself is read and written by :mod:`envforge.lock`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from envforge.model.target import Target
from envforge.struct import Struct, field

if TYPE_CHECKING:
    from envforge.model.conda import CondaRecord
    from envforge.model.sources import Origin

PROJECT_GROUP = "project"
"""The group of ``project.dependencies``. Extras are ``extra:NAME``, dependency groups ``group:NAME``."""


class LockedIndex(Struct, frozen=True, kw_only=True):
    """An index that files of the lock came from, without credentials."""

    name: str
    url: str


class LockedFile(Struct, frozen=True, kw_only=True):
    """A file to install.

    Args:
        url: absolute, without credentials.
        sha256: lower-case hex, always there.
        size_bytes: None where the index does not tell.
        targets: labels of the targets (``LockedTarget.id``) that install this file, sorted.
    """

    url: str
    sha256: str
    size_bytes: int | None = None
    targets: tuple[str, ...] = ()

    @property
    def filename(self) -> str:
        name = self.url.rpartition("/")[2]
        if "%" not in name:
            return name
        from urllib.parse import unquote

        return unquote(name)


class LockedPackage(Struct, frozen=True, kw_only=True):
    """One version of one project.

    Args:
        id: ``name``, or ``name@version`` where targets need different versions, or
            ``name@version@place`` where they need one version from different places.
        name: normalized.
        version: canonical PEP 440.
        index: name of a :class:`LockedIndex`, ``""`` for what comes from none.
        requires: requirement texts that hold for at least one target, sorted.
        requires_python: specifier, ``""`` for any.
        files: sorted by filename; none of what comes from a folder or from git.
        origin: where it comes from, None for an index.
    """

    id: str
    name: str
    version: str
    index: str
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    files: tuple[LockedFile, ...] = ()
    origin: Origin | None = None

    @property
    def place(self) -> str:
        """The index or the origin."""
        return self.index or str(self.origin or "")

    @property
    def has_files(self) -> bool:
        """Whether it is of files that are locked with it: not of a folder or a commit."""
        if self.origin is None:
            return True
        from envforge.model.sources import ArchiveOrigin

        return isinstance(self.origin, ArchiveOrigin)

    def file_for(self, target_id: str) -> LockedFile:
        """The file that a target installs; KeyError if the package is not for it."""
        for file in self.files:
            if target_id in file.targets:
                return file
        raise KeyError(f"{self.id} has no file for {target_id}")


class LockedTarget(Struct, frozen=True, kw_only=True):
    """The answer for one target.

    Args:
        target: what was resolved for.
        groups: group (see :data:`PROJECT_GROUP`) → ids of all packages that it reaches, sorted.
        conda: ids of the conda records (keys of ``Lock.conda_packages``), sorted; all groups have them.
    """

    target: Target
    groups: Mapping[str, tuple[str, ...]]
    conda: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """``linux-64``, with a variant ``linux-64:cuda``."""
        return self.target.id

    def package_ids(self, groups: Iterable[str]) -> list[str]:
        """Sorted ids of what the groups reach together; KeyError names a group that is not locked."""
        return sorted({package_id for group in groups for package_id in self.groups[group]})


class Lock(Struct, frozen=True, kw_only=True):
    """Everything that ``envforge.lock`` says.

    Args:
        inputs: digest of the manifest's resolution inputs (``sha256:…``).
        exclude_newer: instant before which files had to be uploaded, or how old they had to be (``P7D``),
            ``""`` for no limit.
        indexes: in order of name.
        targets: in the manifest's order of platforms, and of variants on each.
        packages: id → package, sorted by id.
        channels: URLs of the conda channels without credentials, first the one that wins.
        conda_packages: id → record, sorted by id. The id is ``CondaRecord.id``, or the URL where two
            channels have archives of one name.
    """

    inputs: str
    exclude_newer: str = ""
    indexes: tuple[LockedIndex, ...] = ()
    channels: tuple[str, ...] = ()
    targets: tuple[LockedTarget, ...] = ()
    packages: Mapping[str, LockedPackage]
    conda_packages: Mapping[str, CondaRecord] = field(default_factory=dict)

    def fits(self, inputs: str) -> bool:
        """Whether it was made from a manifest's resolution inputs (``sha256:…``)."""
        return self.inputs == inputs

    def target_for(self, target_id: str) -> LockedTarget | None:
        """The target of an id, ``linux-64`` or ``linux-64:cuda``, None if it is not locked."""
        return next((target for target in self.targets if target.id == target_id), None)

    def targets_on(self, platform: str) -> list[LockedTarget]:
        """The targets of a platform, one for each variant that it has."""
        return [target for target in self.targets if target.target.platform == platform]

    @property
    def package_count(self) -> int:
        """Packages of PyPI and of conda, each once, however many platforms have it."""
        return len(self.packages) + len({record.name for record in self.conda_packages.values()})

    def conda_records(self, target: LockedTarget) -> tuple[CondaRecord, ...]:
        """The records of a target, sorted by id."""
        return tuple(self.conda_packages[record_id] for record_id in target.conda)

    def preferences(self) -> Iterator[tuple[str, str]]:
        """(name, version) of everything locked, to be kept by the next resolution."""
        for package in self.packages.values():
            yield package.name, package.version
