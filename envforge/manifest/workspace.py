"""``[tool.envforge.workspace]``: several projects in one repository, with one lock and one environment.

The members are other folders' projects; here is what the root says of them, and how they become part of its
manifest: each is required by it, editable, and its dependency groups are added to the root's.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import chain

from envforge.manifest.dotted import child, item
from envforge.manifest.faults import Fault, manifest_error, nearest, suggestion
from envforge.manifest.folders import FolderManifest
from envforge.manifest.groups import read_groups
from envforge.manifest.manifest import Declared, Manifest, Workspace
from envforge.manifest.reading import Reader, Table
from envforge.manifest.requirements import requirements_by_group
from envforge.model.names import is_valid_name, normalize_name
from envforge.model.requirement import parse_requirement
from envforge.model.sources import PathSource, Source, WorkspaceSource
from envforge.struct import replace

_KEYS = ("exclude", "members")
WHERE = "tool.envforge.workspace"


def read_workspace(reader: Reader, table: Table, where: str) -> Workspace:
    """Which folders are members.

    Args:
        reader: collects faults.
        table: ``tool.envforge``.
        where: its dotted path.
    """
    workspace = reader.table(table, "workspace", where)
    place = child(where, "workspace")
    for key in workspace:
        if key not in _KEYS:
            reader.refuse(child(place, key), "unknown key", suggestion(key, _KEYS))
    members = _patterns(reader, workspace, "members", place)
    if not members and "members" not in workspace:
        reader.refuse(place, "names no members", 'write members = ["packages/*"]')
    return Workspace(members=members, exclude=_patterns(reader, workspace, "exclude", place))


def _patterns(reader: Reader, table: Table, key: str, where: str) -> tuple[str, ...]:
    found = []
    for text, place in reader.texts(table, key, where, '["packages/*"]'):
        parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
        if text.startswith(("/", "~")) or ".." in parts or "**" in parts or not parts:
            right = "write paths from here such as packages/*, of one depth each"
            reader.refuse(place, f"{text!r} is no path below the workspace's folder", right)
        else:
            found.append("/".join(parts))
    return tuple(found)


def is_member(workspace: Workspace, path: str) -> bool:
    """Whether a folder (``packages/a``) is meant to be a member."""
    return _matches(path, workspace.members) and not _matches(path, workspace.exclude)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    parts = path.split("/")
    return any(
        len(parts) == pattern.count("/") + 1 and all(map(fnmatchcase, parts, pattern.split("/")))
        for pattern in patterns
    )


def with_members(manifest: Manifest, members: Mapping[str, FolderManifest]) -> Manifest:
    """A workspace's manifest with what its members ask for.

    Args:
        manifest: of the root.
        members: path (``./packages/a``) → what is in it, in order of paths.

    Raises:
        ManifestError: a member has no name, or the name of another one; a group of it cannot be read; or
            somebody names a member that is none.
    """
    names = _member_names(manifest, members)
    _refuse_strangers(manifest, members, names)
    groups = {name: [*declared] for name, declared in manifest.groups.items()}
    sources = dict(manifest.settings.sources)
    for member in members.values():
        of_member = _member_groups(member)
        for name, declared in of_member.items():
            groups.setdefault(name, []).extend(declared)
        _add_sources(sources, names, member, chain.from_iterable(of_member.values()))
    settings = manifest.settings
    defaults = settings.default_groups
    if not defaults and "dev" in groups and "dev" not in manifest.groups:
        defaults = ("dev",)
    sources |= {name: PathSource(path, editable=True) for name, path in names.items()}
    return replace(
        manifest,
        dependencies=(*manifest.dependencies, *(Declared(name, f"{WHERE}.members") for name in names)),
        groups={name: tuple(declared) for name, declared in groups.items()},
        requires_python=manifest.requires_python if manifest.name else _common_python(members),
        settings=replace(settings, sources=sources, default_groups=defaults),
        members=members,
    )


def _add_sources(
    sources: dict[str, Source],
    members: Container[str],
    member: FolderManifest,
    required: Iterable[Declared],
) -> None:
    """Let the workspace take what a member's groups require from where the member says.

    What the member itself requires is followed from there.
    """
    if not member.sources:
        return
    names = {parse_requirement(entry.text).name for entry in required}
    for name, source in sorted(member.sources.items()):
        if name not in names or name in members or isinstance(source, WorkspaceSource):
            continue
        if sources.setdefault(name, source) != source:
            problem = f"{name} comes from another place in this workspace"
            right = "name one place for it in all members and the root"
            fault = Fault(f"tool.envforge.sources.{name}", problem, right)
            raise manifest_error(member.file, member.text, [fault])


def _common_python(members: Mapping[str, FolderManifest]) -> str:
    """The Pythons that all members admit, for a root that is no project itself."""
    texts = (member.project.get("requires-python") for member in members.values())
    return ",".join(dict.fromkeys(text.strip() for text in texts if isinstance(text, str)))


def _member_names(manifest: Manifest, members: Mapping[str, FolderManifest]) -> dict[str, str]:
    """Normalized name → path."""
    names: dict[str, str] = {}
    for path, member in members.items():
        written = member.project.get("name")
        if not isinstance(written, str) or not is_valid_name(written.strip()):
            fault = Fault("project", "a member of a workspace needs a name", 'add name = "my-project"')
            raise manifest_error(member.file, member.text, [fault])
        name = normalize_name(written.strip())
        other = names.get(name) or ("the root" if name == normalize_name(manifest.name or "-") else "")
        if other:
            fault = Fault("project.name", f"{name!r} is the name of {other}, too", "rename one of them")
            raise manifest_error(member.file, member.text, [fault])
        names[name] = path
    return names


def _refuse_strangers(
    manifest: Manifest, members: Mapping[str, FolderManifest], names: Mapping[str, str]
) -> None:
    """Refuse ``workspace = true`` for what is no member."""
    said = [(manifest.path, manifest.text, manifest.settings.all_sources)]
    said += [(member.file, member.text, iter(member.sources.items())) for member in members.values()]
    for file, text, sources in said:
        faults = [
            Fault(
                f"tool.envforge.sources.{name}",
                f"no member of the workspace is named {name!r}",
                _right_name(name, names),
            )
            for name, source in sources
            if isinstance(source, WorkspaceSource) and name not in names
        ]
        if faults:
            raise manifest_error(file, text, faults)


def _right_name(name: str, names: Mapping[str, str]) -> str:
    if close := nearest(name, names):
        return f"did you mean {close}?"
    return f"members are: {', '.join(sorted(names))}" if names else "add its folder to the members"


def _member_groups(member: FolderManifest) -> dict[str, tuple[Declared, ...]]:
    """A member's dependency groups, in which its own name stands for what it requires."""
    table = member.document.get("dependency-groups")
    if not isinstance(table, dict):
        return {}
    reader = Reader()
    groups = read_groups(reader, table)
    if reader.faults:
        raise manifest_error(member.file, member.text, reader.faults)
    own = Manifest(path=member.file, name="", groups=groups, text=member.text)
    read = requirements_by_group(own)
    return {
        name: tuple(
            Declared(str(requirement), item(f"dependency-groups.{name}", number))
            for number, requirement in enumerate(read[f"group:{name}"])
        )
        for name in groups
    }
