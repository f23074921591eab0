"""Reading pyproject.toml: text to :class:`Manifest`, all faults in one error.

Standards: PEP 518 (the file), PEP 621 (``[project]``), PEP 735 (``[dependency-groups]``). Reads no
requirement (see :func:`~envforge.manifest.requirements.requirements_by_group`) and imports nothing heavy:
this is on the path of every command. Keys of ``[project]`` that do not concern an environment are the
build backend's to check.
"""

from __future__ import annotations

import re
import tomllib
from itertools import chain

from envforge.errors import ManifestError
from envforge.manifest.dotted import child
from envforge.manifest.faults import manifest_error, nearest
from envforge.manifest.groups import read_groups
from envforge.manifest.manifest import Declared, Manifest
from envforge.manifest.reading import Reader, Table
from envforge.manifest.settings import read_settings
from envforge.model.names import is_valid_name

_TOP_LEVEL = ("build-system", "dependency-groups", "project", "tool")
_OUR_PROJECT_KEYS = ("name", "version", "requires-python", "dependencies", "optional-dependencies", "dynamic")
_THEIR_PROJECT_KEYS = frozenset(
    {
        *("description", "readme", "license", "license-files", "authors", "maintainers", "keywords"),
        *("classifiers", "urls", "scripts", "gui-scripts", "entry-points"),
        *("import-names", "import-namespaces"),
    }
)
_NEEDED_STATIC = ("dependencies", "optional-dependencies", "requires-python")
_TOML_PLACE = r" \((?:at line (\d+), column (\d+)|at end of document)\)$"
_USER_INFO_IN_LINE = r"(?<=://)[^/\s\"']*(?=@)"


def parse_manifest(text: str, path: str = "pyproject.toml") -> Manifest:
    """Read a manifest.

    Args:
        text: the content of pyproject.toml.
        path: its name in messages.

    Raises:
        ManifestError: the text is no TOML (line, column, caret), or says something that cannot be meant:
            all faults together, each with file, line, dotted path and what would be right.
    """
    data = read_toml(text, path)
    reader = Reader()
    _check_top_level(reader, data)
    project = _read_project(reader, data)
    optional = reader.table(project, "optional-dependencies", "project")
    extras = "project.optional-dependencies"
    groups = read_groups(reader, reader.table(data, "dependency-groups", ""))
    dependencies = _read_dependencies(reader, project)
    optional_dependencies = {
        name: reader.requirements(optional, key, extras)
        for key, name in reader.names(optional, extras, "an extra")
    }
    required = chain(dependencies, *optional_dependencies.values(), *groups.values())
    manifest = Manifest(
        path=path,
        name=reader.text(project, "name", "project", "my-project"),
        version=reader.text(project, "version", "project", "0.1.0"),
        requires_python=reader.text(project, "requires-python", "project", ">=3.11"),
        dependencies=dependencies,
        optional_dependencies=optional_dependencies,
        groups=groups,
        settings=read_settings(reader, reader.table(data, "tool", ""), groups, required),
        has_build_system="build-system" in data,
        text=text,
    )
    if reader.faults:
        raise manifest_error(path, text, reader.faults)
    return manifest


def read_toml(text: str, path: str) -> Table:
    """Parse TOML.

    Raises:
        ManifestError: with line, column, the line itself and a caret.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _toml_error(text, path, str(error)) from None
    except RecursionError:
        raise ManifestError(f"{path} is nested too deeply to be read") from None


def _toml_error(text: str, path: str, reason: str) -> ManifestError:
    lines = text.splitlines() or [""]
    place = re.search(_TOML_PLACE, reason)
    reason = re.sub(_TOML_PLACE, "", reason)
    if place and place[1]:
        row, column = int(place[1]), int(place[2])
    else:
        row, column = len(lines), len(lines[-1]) + 1
    # a password in a broken index URL must not be shown, and the caret must stay where it is
    shown = re.sub(_USER_INFO_IN_LINE, lambda found: "*" * len(found[0]), lines[min(row, len(lines)) - 1])
    hints = []
    if text.startswith("\ufeff"):
        hints.append("save the file without a byte order mark")
    if any(line.startswith(("<<<<<<< ", ">>>>>>> ")) for line in lines):
        hints.append("the file has git's conflict markers: decide between the two sides and remove them")
    return ManifestError(
        f"{path}:{row}:{column}: not valid TOML: {reason[:1].lower()}{reason[1:]}",
        context=[shown.replace("\t", " "), " " * (column - 1) + "^"],
        hints=hints,
    )


def _check_top_level(reader: Reader, data: Table) -> None:
    for key in data:
        if key in _TOP_LEVEL:
            continue
        close = nearest(key, _TOP_LEVEL, cutoff=0.8)
        if close or key in ("dependencies", "optional-dependencies"):
            reader.refuse(key, "unknown table", f"did you mean {close or f'project.{key}'}?")


def _read_project(reader: Reader, data: Table) -> Table:
    """The ``[project]`` table, with its own keys checked."""
    if "project" not in data:
        _refuse_missing_project(reader, data)
        return {}
    project = reader.table(data, "project", "")
    name = project.get("name")
    if name is None:
        reader.refuse("project", "has no name", 'add name = "my-project"')
    elif isinstance(name, str) and name.strip() and not is_valid_name(name.strip()):
        right = "use letters, digits, '-', '_' and '.', with a letter or digit first and last"
        reader.refuse("project.name", f"{name!r} is no name for a project", right)
    _check_project_keys(reader, project)
    _check_dynamic(reader, project, data)
    return project


def _refuse_missing_project(reader: Reader, data: Table) -> None:
    tool = data.get("tool")
    ours = tool.get("envforge") if isinstance(tool, dict) else None
    if isinstance(ours, dict) and "workspace" in ours:
        return  # its members are projects, it need not be one
    if isinstance(tool, dict) and "poetry" in tool:
        reader.refuse(
            "tool.poetry",
            "the project is declared for Poetry only: there is no [project] table",
            "move name, requires-python and dependencies to [project], which Poetry 2 reads too",
        )
    else:
        reader.refuse("", "there is no [project] table", "`envforge init` adds one")


def _check_project_keys(reader: Reader, project: Table) -> None:
    """Refuse what was surely meant to be one of the keys that we read, and leave the rest to others."""
    for key in project:
        if key in _OUR_PROJECT_KEYS or key in _THEIR_PROJECT_KEYS:
            continue
        where = child("project", key)
        if key in ("dependency-groups", "dev-dependencies"):
            reader.refuse(where, "unknown key", "groups stand in [dependency-groups], at the top level")
        elif close := nearest(key, _OUR_PROJECT_KEYS, cutoff=0.8):
            reader.refuse(where, "unknown key", f"did you mean {close}?")


def _check_dynamic(reader: Reader, project: Table, data: Table) -> None:
    for key, where in reader.texts(project, "dynamic", "project", '["version"]'):
        if key in project:
            reader.refuse(where, f"project.{key} cannot be dynamic and be given too", "keep one of the two")
        elif key in _NEEDED_STATIC:
            poetry = isinstance(data.get("tool"), dict) and "poetry" in data["tool"]
            theirs = "from [tool.poetry]" if poetry else "from where the build backend finds them"
            reader.refuse(
                where,
                f"{key} are computed by the build backend: envforge needs them in the manifest",
                f"move them {theirs} to project.{key}",
            )


def _read_dependencies(reader: Reader, project: Table) -> tuple[Declared, ...]:
    if isinstance(project.get("dependencies"), dict):
        right = 'write dependencies = ["torch>=2.4"] in [project]'
        reader.refuse("project.dependencies", "is a table, not a list", right)
        return ()
    return reader.requirements(project, "dependencies", "project")
