"""``[tool.envforge.variants]``: hardware alternatives, in the order in which a host tries them.

What a variant removes is checked against the requirements that there are by their names alone: nothing here
reads a requirement.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from envforge.manifest.conda_settings import read_conda_dependencies
from envforge.manifest.dotted import child
from envforge.manifest.faults import nearest, suggestion
from envforge.manifest.lists import name_of
from envforge.manifest.manifest import CondaDependency, Declared, Variant
from envforge.manifest.reading import Reader, Table
from envforge.manifest.sources import read_sources
from envforge.model.conda import CONDA_MARK
from envforge.model.names import is_valid_name, normalize_name
from envforge.model.target import PLATFORMS
from envforge.model.variant import AUTO, Condition, archspec_family, known_archspecs
from envforge.model.version_range import canonical_range, is_empty, meant_range

_KEYS = ("conda-dependencies", "dependencies", "remove", "sources", "when")
_RANGES = {"cuda": ">=12.8", "cuda-arch": ">=8.0", "glibc": ">=2.34", "macos": ">=15", "rocm": ">=6.4"}
_CONDITIONS = (*_RANGES, "archspec", "platform")


def read_variants(
    reader: Reader,
    table: Table,
    where: str,
    *,
    platforms: Sequence[str],
    indexes: Collection[str],
    conda: Iterable[CondaDependency],
    required: Iterable[Declared],
) -> tuple[Variant, ...]:
    """The variants in the order written; together they serve every platform.

    Args:
        reader: collects faults.
        table: ``tool.envforge``.
        where: its dotted path.
        platforms: that the manifest locks for.
        indexes: names of those that there are.
        conda: what the manifest wants from conda in any case.
        required: all its PyPI requirements, of the project, of extras and of groups.
    """
    variants = reader.table(table, "variants", where)
    where = child(where, "variants")
    names = {name_of(entry.text) for entry in required} - {""}
    conda_names = {dependency.name for dependency in conda}
    found: list[Variant] = []
    fault_count = len(reader.faults)
    for key, name in reader.names(variants, where, "a variant"):
        place = child(where, key)
        if name == AUTO:
            reader.refuse(place, f"{AUTO!r} stands for the choice by the host", "choose another name")
        entry = reader.table(variants, key, where)
        for inner in entry:
            if inner not in _KEYS:
                reader.refuse(child(place, inner), "unknown key", suggestion(inner, _KEYS))
        removed, conda_removed = _read_removed(reader, entry, place, names, conda_names)
        before = len(reader.faults)
        condition = _read_condition(reader, entry, place, platforms)
        is_clear = len(reader.faults) == before
        variant = Variant(
            name=name,
            condition=condition,
            dependencies=reader.requirements(entry, "dependencies", place),
            conda_dependencies=read_conda_dependencies(reader, entry, place, tuple(platforms)),
            sources=read_sources(reader, entry, place, indexes),
            removed=removed,
            conda_removed=conda_removed,
        )
        if is_clear and not _refuse_useless(reader, variant, found, place, platforms):
            found.append(variant)
    if found and len(reader.faults) == fault_count:
        _refuse_platforms_without(reader, found, where, platforms)
    return tuple(found)


def _read_condition(reader: Reader, entry: Table, where: str, platforms: Sequence[str]) -> Condition:
    when = reader.table(entry, "when", where)
    where = child(where, "when")
    for key in when:
        if key not in _CONDITIONS:
            right = "did you mean platform?" if key == "platforms" else suggestion(key, _CONDITIONS)
            reader.refuse(child(where, key), "unknown condition", right)
    if "when" in entry and entry["when"] == {}:
        reader.refuse(
            where, "is empty", f'write e.g. when = {{ cuda = "{_RANGES["cuda"]}" }}, or leave it out'
        )
    return Condition(
        **{key.replace("-", "_"): _read_range(reader, when, key, where) for key in _RANGES},
        platforms=_read_platforms(reader, when, where, platforms),
        archspec=_read_archspec(reader, when, where),
    )


def _read_range(reader: Reader, when: Table, key: str, where: str) -> str:
    example = _RANGES[key]
    if isinstance(when.get(key), (int, float)) and not isinstance(when[key], bool):
        right = f'write {key} = ">={when[key]}"'
        reader.refuse(child(where, key), f"{when[key]!r} is a number, not a range of versions", right)
        return ""
    text = reader.text(when, key, where, example)
    canonical = canonical_range(text) if text else ""
    if text and not canonical:
        right = f'write {key} = "{meant_range(text) or example}", or ">=…,<…" for versions in between'
        reader.refuse(child(where, key), f"{text!r} is no range of versions", right)
    elif canonical and is_empty(canonical):
        reader.refuse(child(where, key), f"no version lies in {text!r}", f'write e.g. {key} = "{example}"')
    return canonical


def _read_platforms(reader: Reader, when: Table, where: str, locked: Sequence[str]) -> tuple[str, ...]:
    """One platform as a text, or several as a list."""
    entries = [when["platform"]] if isinstance(when.get("platform"), str) else None
    places = [(entries[0], child(where, "platform"))] if entries else []
    places = places or list(reader.texts(when, "platform", where, '["linux-64"]'))
    if when.get("platform") == []:
        reader.refuse(child(where, "platform"), "is empty", 'write e.g. platform = "linux-64"')
    for platform, place in places:
        if platform not in PLATFORMS:
            reader.refuse(place, f"unknown platform {platform!r}", suggestion(platform, PLATFORMS))
        elif platform not in locked:
            reader.refuse(place, f"{platform} is not locked for", "add it to tool.envforge.platforms")
    return tuple(sorted({platform for platform, _ in places if platform in PLATFORMS}))


def _read_archspec(reader: Reader, when: Table, where: str) -> str:
    archspec = reader.text(when, "archspec", where, "x86_64_v3")
    if archspec and not archspec_family(archspec):
        close = nearest(archspec, known_archspecs())
        right = f"did you mean {close}?" if close else 'write a name of archspec, e.g. "x86_64_v3", "zen3"'
        reader.refuse(child(where, "archspec"), f"unknown micro-architecture {archspec!r}", right)
        return ""
    return archspec


def _read_removed(
    reader: Reader, entry: Table, where: str, names: Collection[str], conda_names: Collection[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Names of PyPI projects and of conda packages that a variant does without."""
    removed: set[str] = set()
    conda_removed: set[str] = set()
    for text, place in reader.texts(entry, "remove", where, '["torch"]'):
        is_conda = text.startswith(CONDA_MARK)
        name = text.removeprefix(CONDA_MARK)
        if not is_valid_name(name):
            right = "write the name only, without a version"
            reader.refuse(place, f"{text!r} is no name of a package", right)
        elif is_conda and name.lower() not in conda_names:
            right = suggestion(name.lower(), conda_names) or "remove it"
            reader.refuse(place, f"{name!r} is not in tool.envforge.conda-dependencies", right)
        elif is_conda:
            conda_removed.add(name.lower())
        elif normalize_name(name) in names:
            removed.add(normalize_name(name))
        elif name.lower() in conda_names:
            reader.refuse(place, f"{name!r} is from conda", f'write "{CONDA_MARK}{name}"')
        else:
            close = nearest(normalize_name(name), names)
            right = f"did you mean {close}?" if close else "remove it: only what is required can be left out"
            reader.refuse(place, f"the project does not require {name!r}", right)
    return frozenset(removed), frozenset(conda_removed)


def _refuse_useless(
    reader: Reader, variant: Variant, earlier: Sequence[Variant], where: str, platforms: Sequence[str]
) -> bool:
    """Whether a variant could be chosen on no host at all: then nobody meant it so."""
    condition = variant.condition
    where = where if condition.is_empty else child(where, "when")
    same = next((each for each in earlier if each.condition == condition), None)
    possible = [platform for platform in platforms if condition.can_hold_on(platform)]
    if same is not None and condition.is_empty:
        problem = f"can never be chosen: {same.name!r} before it has no `when` either"
        reader.refuse(where, problem, "give one of them a `when`, or remove it")
    elif same is not None:
        problem = f"is the same as that of {same.name!r}, which comes first: it can never be chosen"
        reader.refuse(where, problem, "change one of them, or put both into one")
    elif not possible:
        problem = f"can hold on none of tool.envforge.platforms ({', '.join(platforms)}): {condition}"
        reader.refuse(where, problem, _platforms_hint(condition))
    elif covering := _covering(possible, earlier):
        problem = f"can never be chosen: {covering} holds wherever it does, and comes first"
        reader.refuse(where, problem, f"put it before {covering}")
    else:
        return False
    return True


def _covering(possible: Sequence[str], earlier: Sequence[Variant]) -> str:
    """The earlier variant that holds on every host of the last platform, if all platforms have such ones."""
    covered = {
        platform: each.name
        for each in reversed(earlier)
        for platform in possible
        if each.condition.always_holds_on(platform)
    }
    return repr(covered[possible[-1]]) if len(covered) == len(possible) else ""


def _platforms_hint(condition: Condition) -> str:
    possible = [platform for platform in PLATFORMS if condition.can_hold_on(platform)]
    if possible:
        return f"add {' or '.join(possible)} to tool.envforge.platforms, or remove the variant"
    return "no host is like that: leave one of the conditions out"


def _refuse_platforms_without(
    reader: Reader, variants: Sequence[Variant], where: str, platforms: Sequence[str]
) -> None:
    left = [
        platform
        for platform in platforms
        if not any(variant.condition.can_hold_on(platform) for variant in variants)
    ]
    if left:
        reader.refuse(
            where,
            f"no variant can hold on {', '.join(left)}",
            "add a variant without `when` at the end, or take them out of tool.envforge.platforms",
        )
