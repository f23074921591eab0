"""One answer of a conda solver, and what its versions and constraints say in the terms of PyPI."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache

from envforge.errors import RequirementError
from envforge.metadata.versions import canonical_version
from envforge.model.conda import CondaRecord
from envforge.model.names import normalize_name
from envforge.model.requirement import specifier_admits
from envforge.struct import Struct

PYPI_BUILD = "pypi_0"
"""The build of a release from PyPI where it is shown to conda."""


class CondaSolution(Struct, frozen=True):
    """One answer of the conda solver, under consideration as a whole.

    Args:
        records: sorted by name.
        provides: PyPI name → version that it brings of the project, canonical where it is PEP 440.
        constrains: conda name → what records say of a package that they do not bring themselves.
        constrained_names: the same names as PyPI spells them.
    """

    records: tuple[CondaRecord, ...]
    provides: Mapping[str, str]
    constrains: Mapping[str, Collection[str]]
    constrained_names: frozenset[str]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CondaSolution) and self.records == other.records

    def __hash__(self) -> int:
        return hash(self.records)  # the rest follows from them

    @property
    def python(self) -> str:
        """The full version of its Python, ``""`` for none."""
        return next((record.version for record in self.records if record.name == "python"), "")

    def record_of(self, pypi_name: str) -> CondaRecord:
        """The record that brings a project; KeyError for none."""
        for record in self.records:
            if pypi_name in record.pypi_names:
                return record
        raise KeyError(pypi_name)

    def meets(self, name: str, specifier: str) -> bool:
        """Whether what it brings of a project, if anything, is admitted by a specifier."""
        version = self.provides.get(name)
        return version is None or admits(specifier, version)


def solution_of(records: Sequence[CondaRecord]) -> CondaSolution:
    """What records of a solver's answer are together."""
    provides: dict[str, str] = {}
    constrains: dict[str, set[str]] = {}
    for record in records:
        for name in record.pypi_names:
            provides.setdefault(name, pypi_version(record.version))
        for constraint in record.constrains:
            constrains.setdefault(_spec_name(constraint), set()).add(constraint)
    constrained_names = frozenset(map(normalize_name, constrains))
    return CondaSolution(tuple(records), provides, constrains, constrained_names)


def needs_any(record: CondaRecord, names: Collection[str]) -> bool:
    """Whether a record needs one of some packages."""
    return any(_spec_name(spec) in names for spec in record.depends)


def _spec_name(spec: str) -> str:
    return spec.split(" ", 1)[0]


def admits(specifier: str, version: str) -> bool:
    """Whether a version of conda meets a PEP 440 specifier. One that is not PEP 440 meets none."""
    if not specifier:
        return True
    try:
        return specifier_admits(specifier, version)
    except RequirementError:
        return False


@cache
def pypi_version(conda_version: str) -> str:
    """conda's version as PEP 440 spells it; as it is where that cannot be."""
    for text in (conda_version, conda_version.replace("_", "+", 1).replace("_", ".")):
        canonical = canonical_version(text)
        if canonical is not None:
            return canonical
    return conda_version


@cache
def constraint_admits(constraint: str, name: str, version: str) -> bool:
    """Whether a record's constraint on a package lets a release from PyPI of that name through."""
    from rattler import BuildString, MatchSpec, PackageRecord

    record = PackageRecord(name, version, BuildString(PYPI_BUILD), 0, "noarch", noarch="python")
    return MatchSpec(constraint).matches(record)
