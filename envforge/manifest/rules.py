"""Constraints, overrides, supplied metadata and kinds of files: read from ``[tool.envforge]``, texts unread.

:func:`read_rules` is on the path of every command of a manifest that has any of it, :func:`manifest_rules`
on that of a resolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envforge.errors import EnvforgeError
from envforge.manifest.dotted import child, item
from envforge.manifest.faults import Fault, manifest_error, suggestion
from envforge.manifest.manifest import Declared, Manifest
from envforge.manifest.reading import Reader, Table, kind
from envforge.manifest.requirements import declared_fault
from envforge.model.names import is_valid_name, normalize_name
from envforge.model.requirement import Requirement, check_specifier, parse_requirement, parse_version
from envforge.model.rules import EVERYTHING, NO_RULES, Rules, SuppliedMetadata
from envforge.struct import Struct

_METADATA_KEYS = ("requires", "requires-python", "version")


class DeclaredMetadata(Struct, frozen=True, kw_only=True):
    """An entry of ``tool.envforge.metadata``; ``name`` is normalized, the rest as written."""

    name: str
    where: str
    version: str = ""
    requires: tuple[Declared, ...] = ()
    requires_python: str = ""


class DeclaredRules(Struct, frozen=True, kw_only=True):
    """What a manifest says over the heads of packages; see :class:`envforge.model.rules.Rules`.

    ``build_constraints`` hold for what builds require, the others for what is locked.
    """

    constraints: tuple[Declared, ...] = ()
    overrides: tuple[Declared, ...] = ()
    build_constraints: tuple[Declared, ...] = ()
    metadata: tuple[DeclaredMetadata, ...] = ()
    only_binary: frozenset[str] = frozenset()
    no_binary: frozenset[str] = frozenset()


def read_rules(reader: Reader, table: Table, where: str) -> DeclaredRules:
    """Read them.

    Args:
        reader: collects faults.
        table: ``tool.envforge``.
        where: its dotted path.
    """
    only_binary = _read_choice(reader, table, "only-binary", where)
    no_binary = _read_choice(reader, table, "no-binary", where)
    for name in sorted(only_binary & no_binary):
        what = "everything" if name == EVERYTHING else name
        reader.refuse(
            child(where, "no-binary"), f"{what} is in only-binary too", "remove it from one of them"
        )
    return DeclaredRules(
        constraints=reader.requirements(table, "constraints", where),
        overrides=reader.requirements(table, "overrides", where),
        build_constraints=reader.requirements(table, "build-constraints", where),
        metadata=tuple(_read_metadata(reader, table, where)),
        only_binary=only_binary,
        no_binary=no_binary,
    )


def _read_choice(reader: Reader, table: Table, key: str, where: str) -> frozenset[str]:
    """``true`` for all, or a list of names."""
    value = table.get(key, [])
    if isinstance(value, bool):
        return frozenset([EVERYTHING] if value else [])
    found = set()
    for name, place in reader.texts(table, key, where, 'true, or ["numpy"]'):
        if is_valid_name(name):
            found.add(normalize_name(name))
        else:
            reader.refuse(
                place, f"{name!r} is no name of a project", "write the name only, without a version"
            )
    return frozenset(found)


def _read_metadata(reader: Reader, table: Table, where: str) -> Iterator[DeclaredMetadata]:
    tables = reader.table(table, "metadata", where)
    where = child(where, "metadata")
    for key, name in reader.names(tables, where, "a project"):
        place, value = child(where, key), tables[key]
        entries = value if isinstance(value, list) else [value]
        for number, entry in enumerate(entries):
            at = item(place, number) if isinstance(value, list) else place
            if isinstance(entry, dict):
                yield _read_entry(reader, entry, name, at)
            else:
                right = f'write {child("", key)} = {{ version = "1.2.3", requires = ["torch"] }}'
                reader.refuse(at, f"is {kind(entry)}, not a table", right)


def _read_entry(reader: Reader, entry: dict[str, Any], name: str, where: str) -> DeclaredMetadata:
    for key in entry:
        if key not in _METADATA_KEYS:
            reader.refuse(child(where, key), "unknown key", suggestion(key, _METADATA_KEYS))
    if "requires" not in entry:
        reader.refuse(where, "says nothing of requirements", "add requires = [...], [] for none")
    return DeclaredMetadata(
        name=name,
        where=where,
        version=reader.text(entry, "version", where, "1.2.3"),
        requires=reader.requirements(entry, "requires", where),
        requires_python=reader.text(entry, "requires-python", where, ">=3.11"),
    )


def manifest_rules(manifest: Manifest) -> Rules:
    """The rules of a manifest, its requirements read; those for builds are only looked through.

    Raises:
        ManifestError: with all faults: requirements that cannot be read, constraints with extras, two
            entries for one release.
    """
    declared = manifest.settings.rules
    if declared is None:
        return NO_RULES
    faults: list[Fault] = []
    rules = Rules(
        constraints=_by_name(_parsed(declared.constraints, faults, is_constraint=True)),
        overrides=_by_name(_parsed(declared.overrides, faults)),
        supplied=_supplied(declared.metadata, faults),
        only_binary=declared.only_binary,
        no_binary=declared.no_binary,
    )
    list(_parsed(declared.build_constraints, faults, is_constraint=True))
    if faults:
        raise manifest_error(manifest.path, manifest.text, faults)
    return rules


def build_rules(manifest: Manifest) -> Rules:
    """The rules for what a build requires.

    Raises:
        ManifestError: with all faults: constraints that cannot be read, or have extras.
    """
    declared = manifest.settings.rules
    if declared is None:
        return NO_RULES
    faults: list[Fault] = []
    constraints = _by_name(_parsed(declared.build_constraints, faults, is_constraint=True))
    if faults:
        raise manifest_error(manifest.path, manifest.text, faults)
    return Rules(
        constraints=constraints,
        constrained_by=dict.fromkeys(constraints, "tool.envforge.build-constraints"),
        only_binary=declared.only_binary,
    )


def _parsed(
    declared: tuple[Declared, ...], faults: list[Fault], *, is_constraint: bool = False
) -> Iterator[Requirement]:
    for entry in declared:
        try:
            requirement = parse_requirement(entry.text)
        except EnvforgeError as error:
            faults.append(declared_fault(entry, error))
            continue
        if is_constraint and requirement.extras:
            problem = "has extras: a constraint asks for nothing"
            faults.append(Fault(entry.where, problem, f"write {requirement.name}{requirement.specifier}"))
        elif requirement.url:
            faults.append(Fault(entry.where, "is a direct reference", "name versions, as in numpy<2.3"))
        else:
            yield requirement


def _by_name(requirements: Iterator[Requirement]) -> dict[str, tuple[Requirement, ...]]:
    found: dict[str, list[Requirement]] = {}
    for requirement in requirements:
        found.setdefault(requirement.name, []).append(requirement)
    return {name: tuple(dict.fromkeys(entries)) for name, entries in sorted(found.items())}


def _supplied(
    declared: tuple[DeclaredMetadata, ...], faults: list[Fault]
) -> dict[str, tuple[SuppliedMetadata, ...]]:
    found: dict[str, dict[str, SuppliedMetadata]] = {}
    for entry in declared:
        version = _exact_version(entry, faults)
        if entry.requires_python:
            try:
                check_specifier(entry.requires_python)
            except EnvforgeError as error:
                faults.append(
                    Fault(child(entry.where, "requires-python"), error.message, "write e.g. >=3.11")
                )
        if version in found.setdefault(entry.name, {}):
            what = f"version {version}" if version else "every version"
            faults.append(Fault(entry.where, f"there is an entry for {what} already", "remove one"))
        found[entry.name][version] = SuppliedMetadata(
            version=version,
            requires=tuple(_parsed(entry.requires, faults)),
            requires_python=entry.requires_python,
        )
    return {name: tuple(entries.values()) for name, entries in sorted(found.items())}


def _exact_version(entry: DeclaredMetadata, faults: list[Fault]) -> str:
    try:
        return str(parse_version(entry.version.removeprefix("==").strip())) if entry.version else ""
    except EnvforgeError as error:
        right = "write one version, as in 2.8.3, or none for all of them"
        faults.append(Fault(child(entry.where, "version"), error.message, right))
        return ""


def rules_inputs(rules: DeclaredRules) -> dict[str, Any]:
    """What of them a lock depends on, as plain JSON values. The order says nothing and is taken out."""
    inputs: dict[str, Any] = {
        "constraints": sorted({entry.text for entry in rules.constraints}),
        "overrides": sorted({entry.text for entry in rules.overrides}),
        "metadata": sorted(
            [each.name, each.version, sorted(entry.text for entry in each.requires), each.requires_python]
            for each in rules.metadata
        ),
        "only-binary": sorted(rules.only_binary),
        "no-binary": sorted(rules.no_binary),
    }
    return {key: value for key, value in inputs.items() if value}
