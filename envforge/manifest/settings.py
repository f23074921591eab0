"""``[tool.envforge]``: platforms, Python, indexes, sources and the rest, checked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from envforge.manifest.dotted import child, item
from envforge.manifest.faults import suggestion
from envforge.manifest.manifest import (
    DEFAULT_INDEX,
    DEFAULT_INDEX_NAME,
    CondaDependency,
    Declared,
    Index,
    Settings,
    Variant,
)
from envforge.manifest.paths import folder_path, is_folder_path
from envforge.manifest.reading import Reader, Table, kind
from envforge.manifest.sources import read_sources
from envforge.model.names import is_valid_name, normalize_name
from envforge.model.target import DEFAULT_PLATFORMS, PLATFORMS, SystemAssumptions

if TYPE_CHECKING:
    from envforge.manifest.build_settings import BuildSettings
    from envforge.manifest.manifest import Workspace
    from envforge.manifest.rules import DeclaredRules

_WHERE = "tool.envforge"
_KEYS = (
    "accelerator-mirror",
    "build",
    "build-constraints",
    "channels",
    "conda-dependencies",
    "conda-pypi-map",
    "constraints",
    "default-groups",
    "exclude-newer",
    "exclude-newer-package",
    "index",
    "link-scripts",
    "metadata",
    "no-binary",
    "only-binary",
    "overrides",
    "platforms",
    "python",
    "sources",
    "system",
    "unshare",
    "variants",
    "workspace",
)
_LIMIT_KEYS = frozenset(["exclude-newer", "exclude-newer-package"])
_CONDA_KEYS = frozenset(["channels", "conda-dependencies", "conda-pypi-map", "link-scripts"])
_RULE_KEYS = frozenset(
    ["build-constraints", "constraints", "metadata", "no-binary", "only-binary", "overrides"]
)
_ELSEWHERE = {
    "dependencies": "PyPI requirements stand in project.dependencies",
    "optional-dependencies": "extras stand in [project.optional-dependencies]",
    "dependency-groups": "groups stand in [dependency-groups], at the top level",
    "dev-dependencies": "development requirements stand in [dependency-groups], as dev = [...]",
    "requires-python": "it stands in [project]",
}
_SYSTEM_KEYS = ("archspec", "cuda", "glibc", "linux", "macos")
_INDEX_KEYS = ("name", "url", "explicit", "default", "format")
_INDEX_FORMATS = ("simple", "flat")
# texts, not compiled: most manifests use few of these, and each costs up to 2 ms at start-up
_PYTHON = r"3\.\d{1,3}(\.\d{1,3})?"
_SYSTEM_VERSION = r"(\d{1,3})\.(\d{1,3})"
# scheme, credentials, host with ${VARIABLES}, port, path; nothing after the path
_INDEX_URL = (
    r"(?:https?://(?:[^/?#@\s]*@)?(?:[A-Za-z0-9._-]|\$\{\w+\}|\[[0-9A-Fa-f:.]+\])+(?::(?:\d+|\$\{\w+\}))?"
    r"|file://[^/?#@\s]*)(?:/[^?#\s]*)?"
)


def read_settings(
    reader: Reader, tool: Table, groups: Collection[str], required: Iterable[Declared]
) -> Settings:
    """Read ``tool.envforge``.

    Args:
        reader: collects faults.
        tool: the table above it.
        groups: names of the dependency groups.
        required: all PyPI requirements of the manifest, for what its variants leave out.
    """
    table = reader.table(tool, "envforge", "tool")
    for key in table:
        if key not in _KEYS:
            _refuse_key(reader, key)
    indexes = _read_indexes(reader, table)
    names = [index.name for index in indexes]
    platforms = _read_platforms(reader, table)
    conda = _read_conda(reader, table, platforms)
    return Settings(
        platforms=platforms,
        python=_read_python(reader, table),
        indexes=indexes,
        sources=read_sources(reader, table, _WHERE, names),
        system=_read_system(reader, table),
        unshare=tuple(_read_project_names(reader, table, "unshare")),
        default_groups=_read_default_groups(reader, table, groups),
        variants=_read_variants(
            reader, table, platforms, names, conda.get("conda_dependencies", ()), required
        ),
        accelerator_mirror=_read_mirror(reader, table),
        rules=_read_rules(reader, table),
        build=_read_build(reader, table),
        workspace=_read_workspace(reader, table),
        **_read_limits(reader, table),
        **conda,
    )


def _read_mirror(reader: Reader, table: Table) -> str:
    """The base URL of torch's indexes elsewhere; it is written into the manifest with each, never kept."""
    url = reader.text(table, "accelerator-mirror", _WHERE, "https://mirror.example/pytorch")
    if url and not re.fullmatch(_INDEX_URL, url):
        right = 'write e.g. accelerator-mirror = "https://mirror.example/pytorch"'
        reader.refuse(child(_WHERE, "accelerator-mirror"), "is no URL that can be used", right)
        return ""
    return url


def _read_limits(reader: Reader, table: Table) -> dict[str, Any]:
    """What may be too new; a manifest that does not say pays nothing for it."""
    if table.keys().isdisjoint(_LIMIT_KEYS):
        return {}
    from envforge.manifest.limits import read_exclude_newer, read_exclude_newer_package

    return {
        "exclude_newer": read_exclude_newer(reader, table, _WHERE),
        "exclude_newer_package": read_exclude_newer_package(reader, table, _WHERE),
    }


def _read_rules(reader: Reader, table: Table) -> DeclaredRules | None:
    """What is said over the heads of packages; a manifest that says nothing pays nothing for it."""
    if table.keys().isdisjoint(_RULE_KEYS):
        return None
    from envforge.manifest.rules import read_rules

    return read_rules(reader, table, _WHERE)


def _read_build(reader: Reader, table: Table) -> dict[str, BuildSettings]:
    if "build" not in table:
        return {}
    from envforge.manifest.build_settings import read_build_settings

    return read_build_settings(reader, table, _WHERE)


def _read_workspace(reader: Reader, table: Table) -> Workspace | None:
    if "workspace" not in table:
        return None
    from envforge.manifest.workspace import read_workspace

    return read_workspace(reader, table, _WHERE)


def _read_variants(
    reader: Reader,
    table: Table,
    platforms: tuple[str, ...],
    indexes: Collection[str],
    conda: Iterable[CondaDependency],
    required: Iterable[Declared],
) -> tuple[Variant, ...]:
    if "variants" not in table:
        return ()
    from envforge.manifest.variants import read_variants

    return read_variants(
        reader, table, _WHERE, platforms=platforms, indexes=indexes, conda=conda, required=required
    )


def _read_conda(reader: Reader, table: Table, platforms: tuple[str, ...]) -> dict[str, Any]:
    """The settings for conda; a manifest that has none does not pay for reading them."""
    if table.keys().isdisjoint(_CONDA_KEYS):
        return {}
    from envforge.manifest.conda_settings import (
        read_channels,
        read_conda_dependencies,
        read_conda_pypi_map,
        read_link_scripts,
    )

    return {
        "channels": read_channels(reader, table, _WHERE),
        "conda_dependencies": read_conda_dependencies(reader, table, _WHERE, platforms),
        "conda_pypi_map": read_conda_pypi_map(reader, table, _WHERE),
        "link_scripts": tuple(read_link_scripts(reader, table, _WHERE)),
    }


def _refuse_key(reader: Reader, key: str) -> None:
    where = child(_WHERE, key)
    if key in _ELSEWHERE:
        reader.refuse(where, "does not belong here", _ELSEWHERE[key])
    else:
        reader.refuse(where, "unknown key", suggestion(key, _KEYS))


def _read_platforms(reader: Reader, table: Table) -> tuple[str, ...]:
    if "platforms" not in table:
        return DEFAULT_PLATFORMS
    found: dict[str, None] = {}
    for platform, where in reader.texts(table, "platforms", _WHERE, '["linux-64"]'):
        if platform not in PLATFORMS:
            reader.refuse(where, f"unknown platform {platform!r}", suggestion(platform, PLATFORMS))
        elif platform in found:
            reader.refuse(where, f"{platform!r} is there twice", "remove one")
        found[platform] = None
    if table["platforms"] == []:
        right = f"name at least one of {', '.join(PLATFORMS)}"
        reader.refuse(child(_WHERE, "platforms"), "is empty: there is nothing to lock for", right)
    return tuple(found)


def is_python_version(text: str) -> bool:
    """Whether a text can stand in ``tool.envforge.python``: ``3.12`` or ``3.12.4``."""
    return re.fullmatch(_PYTHON, text) is not None


def _read_python(reader: Reader, table: Table) -> str:
    python = reader.text(table, "python", _WHERE, "3.12")
    if python and not is_python_version(python):
        right = (
            'write a minor or a patch version, "3.12" or "3.12.4"; ranges stand in project.requires-python'
        )
        reader.refuse(child(_WHERE, "python"), f"{python!r} is no Python version", right)
    return python


def _read_indexes(reader: Reader, table: Table) -> tuple[Index, ...]:
    """Declared indexes, the default one, explicit ones."""
    values = table.get("index", [])
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        reader.refuse(
            child(_WHERE, "index"),
            f"is {kind(values)}, not a list of tables",
            "write [[tool.envforge.index]]",
        )
        return (DEFAULT_INDEX,)
    indexes = [_read_index(reader, value, item(child(_WHERE, "index"), i)) for i, value in enumerate(values)]
    _refuse_clashing_indexes(reader, indexes)
    defaults = [index for index in indexes if index.default] or [DEFAULT_INDEX]
    usual = [index for index in indexes if not index.explicit and not index.default]
    return (*usual, *defaults, *(index for index in indexes if index.explicit))


def _read_index(reader: Reader, table: Table, where: str) -> Index:
    for key in table:
        if key not in _INDEX_KEYS:
            reader.refuse(child(where, key), "unknown key", suggestion(key, _INDEX_KEYS))
    for key in ("name", "url"):
        if key not in table:
            example = '"my-index"' if key == "name" else '"https://example.org/simple"'
            reader.refuse(where, f"an index needs a {key}", f"add {key} = {example}")
    name = reader.text(table, "name", where, "my-index")
    if name and not is_valid_name(name):
        right = "use letters, digits, '-', '_' and '.', with a letter or digit first and last"
        reader.refuse(child(where, "name"), f"{name!r} is no name for an index", right)
    url = reader.text(table, "url", where, "https://example.org/simple")
    is_flat = _read_format(reader, table, where) == "flat"
    if is_flat and is_folder_path(url):
        url = folder_path(url)
    elif url and not re.fullmatch(_INDEX_URL, url):
        # the text is not shown: what is wrong may be a password
        reader.refuse(
            child(where, "url"),
            "is not the URL of an index",
            "write https://host/path (or http, file) without query; percent-encode special characters in "
            'user and password; a folder of files needs format = "flat"',
        )
    explicit, default = reader.flag(table, "explicit", where), reader.flag(table, "default", where)
    if explicit and default:
        problem = "an index cannot be explicit (asked only for its sources) and the default too"
        reader.refuse(where, problem, "remove one of the two")
    return Index(name=name, url=url, explicit=explicit and not default, default=default, is_flat=is_flat)


def _read_format(reader: Reader, table: Table, where: str) -> str:
    written = reader.text(table, "format", where, "flat")
    if written and written not in _INDEX_FORMATS:
        right = 'write "simple" (the default), or "flat" for one page of links or a folder of files'
        reader.refuse(child(where, "format"), f"{written!r} is no format of an index", right)
    return written


def _refuse_clashing_indexes(reader: Reader, indexes: list[Index]) -> None:
    seen: set[str] = set()
    default = ""
    for position, index in enumerate(indexes):
        where = item(child(_WHERE, "index"), position)
        name = normalize_name(index.name)
        if name and name in seen:
            reader.refuse(child(where, "name"), f"there are two indexes {index.name!r}", "rename one")
        seen.add(name)
        if index.default and default:
            reader.refuse(
                child(where, "default"), f"{default!r} is the default already", "remove one of the two"
            )
        default = default or (index.name if index.default else "")
    if not default and DEFAULT_INDEX_NAME in seen:
        position = next(
            i for i, index in enumerate(indexes) if normalize_name(index.name) == DEFAULT_INDEX_NAME
        )
        reader.refuse(
            child(item(child(_WHERE, "index"), position), "name"),
            f"{DEFAULT_INDEX_NAME!r} is the name of the default index",
            "add default = true to replace it, or choose another name",
        )


def _read_system(reader: Reader, table: Table) -> SystemAssumptions:
    system = reader.table(table, "system", _WHERE)
    where = child(_WHERE, "system")
    defaults = SystemAssumptions()
    for key in system:
        if key not in _SYSTEM_KEYS:
            reader.refuse(child(where, key), "unknown key", suggestion(key, _SYSTEM_KEYS))
    return SystemAssumptions(
        glibc=_read_system_version(reader, system, "glibc", defaults.glibc),
        macos=_read_system_version(reader, system, "macos", defaults.macos),
        linux=_read_system_version(reader, system, "linux", defaults.linux),
        cuda=_read_system_version(reader, system, "cuda", (12, 8)) if "cuda" in system else None,
        archspec=reader.text(system, "archspec", where, "x86_64_v3"),
    )


def _read_system_version(
    reader: Reader, system: Table, key: str, default: tuple[int, int]
) -> tuple[int, int]:
    where = child(_WHERE, "system")
    example = ".".join(map(str, default))
    text = reader.text(system, key, where, example)
    match = re.fullmatch(_SYSTEM_VERSION, text)
    if match:
        return int(match[1]), int(match[2])
    if text:
        reader.refuse(child(where, key), f"{text!r} is no version", f'write e.g. {key} = "{example}"')
    return default


def _read_project_names(reader: Reader, table: Table, key: str) -> Iterator[str]:
    for name, where in reader.texts(table, key, _WHERE, '["torch"]'):
        if is_valid_name(name):
            yield normalize_name(name)
        else:
            reader.refuse(
                where, f"{name!r} is no name of a project", "write the name only, without a version"
            )


def _read_default_groups(reader: Reader, table: Table, groups: Collection[str]) -> tuple[str, ...]:
    if "default-groups" not in table:
        return ("dev",) if "dev" in groups else ()
    found: dict[str, None] = {}
    for text, where in reader.texts(table, "default-groups", _WHERE, '["dev"]'):
        if normalize_name(text) not in groups:
            right = suggestion(text, groups) or "add it to [dependency-groups]"
            reader.refuse(where, f"there is no group {text!r}", right)
        found[normalize_name(text)] = None
    return tuple(found)
