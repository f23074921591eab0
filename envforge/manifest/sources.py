"""``sources``: which projects come from one certain place, for all or for a variant."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import chain
from typing import TypeVar

from envforge.manifest.dotted import child
from envforge.manifest.faults import suggestion
from envforge.manifest.reading import Reader, Table, kind
from envforge.model.sources import GitSource, IndexSource, PathSource, Source, UrlSource, WorkspaceSource
from envforge.struct import replace

_KINDS = ("git", "index", "path", "url", "workspace")
_REFERENCES = ("branch", "tag", "rev")
_OPTIONS = {
    "git": (*_REFERENCES, "subdirectory", "lfs", "submodules"),
    "index": (),
    "path": ("editable", "subdirectory"),
    "url": ("sha256", "subdirectory"),
    "workspace": (),
}
"""What may stand beside the key that says of what kind a source is."""


def read_sources(reader: Reader, table: Table, where: str, indexes: Collection[str]) -> dict[str, Source]:
    """Normalized project name → its source.

    Args:
        reader: collects faults.
        table: that may have ``sources``.
        where: its dotted path.
        indexes: names of those that there are.
    """
    sources = reader.table(table, "sources", where)
    where = child(where, "sources")
    found: dict[str, Source] = {}
    for key, name in reader.names(sources, where, "a project"):
        place, value = child(where, key), sources[key]
        if not isinstance(value, dict):
            right = f'write {child("", key)} = {{ index = "name" }}, or {{ path = "../folder" }}'
            reader.refuse(place, f"is {kind(value)}, not a table", right)
            continue
        source = _read_source(reader, value, place, indexes)
        if source is not None:
            found[name] = source
    return found


def _read_source(reader: Reader, value: Table, where: str, indexes: Collection[str]) -> Source | None:
    kinds = [key for key in value if key in _KINDS]
    options = _OPTIONS[kinds[0]] if len(kinds) == 1 else tuple(chain.from_iterable(_OPTIONS.values()))
    unknown = [key for key in value if key not in (*_KINDS, *options)]
    for key in unknown:
        right = suggestion(key, (*(kinds[:1] or _KINDS), *options))
        reader.refuse(child(where, key), f"is no key of a source{_beside(kinds)}", right)
    if len(kinds) > 1:
        reader.refuse(where, f"names two sources: {' and '.join(kinds)}", "keep one of them")
    if not kinds and not unknown:
        reader.refuse(where, "names no source", f"name one of {', '.join(_KINDS)}")
    if len(kinds) != 1 or unknown:
        return None
    if kinds[0] == "index":
        return _read_index(reader, value, where, indexes)
    if kinds[0] == "workspace":
        return _read_workspace(reader, value, where)
    if kinds[0] == "git":
        return _read_git(reader, value, where)
    return _read_direct(reader, value, where, kinds[0])


def _beside(kinds: Collection[str]) -> str:
    return f" with {next(iter(kinds))}" if len(kinds) == 1 else ""


def _read_index(reader: Reader, value: Table, where: str, indexes: Collection[str]) -> IndexSource | None:
    index = reader.text(value, "index", where, "pytorch-cpu")
    if not index:
        return None
    if index not in indexes:
        problem = f"there is no index {index!r}"
        reader.refuse(child(where, "index"), problem, suggestion(index, indexes))
        return None
    return IndexSource(index)


def _read_workspace(reader: Reader, value: Table, where: str) -> WorkspaceSource | None:
    if value["workspace"] is not True:
        reader.refuse(child(where, "workspace"), "has to be true", "write workspace = true, or remove it")
        return None
    return WorkspaceSource()


def _read_git(reader: Reader, value: Table, where: str) -> GitSource | None:
    from envforge.manifest.references import checked_subdirectory, parse_git
    from envforge.model.git import ReferenceKind

    url = reader.text(value, "git", where, "https://host/lib")
    found = _checked(reader, child(where, "git"), lambda: parse_git(url)) if url else None
    named = [key for key in _REFERENCES if key in value]
    if len(named) > 1:
        reader.refuse(where, f"names two commits: {' and '.join(named)}", "keep one of them")
        return None
    if named:
        name = reader.text(value, named[0], where, "v1.0" if named[0] == "tag" else "main")
        at, key = child(where, named[0]), ReferenceKind(named[0])
        if found is None or not name:
            return None
        found = _checked(reader, at, lambda: parse_git(url, key, name))
    if found is None:
        return None
    if "subdirectory" in value:
        inside = reader.text(value, "subdirectory", where, "python")
        at = child(where, "subdirectory")
        found = replace(found, subdirectory=_checked(reader, at, lambda: checked_subdirectory(inside)) or "")
    if "lfs" in value:
        found = replace(found, lfs=reader.flag(value, "lfs", where))
    if "submodules" in value:
        found = replace(found, submodules=reader.flag(value, "submodules", where))
    return found


def _read_direct(reader: Reader, value: Table, where: str, key: str) -> Source | None:
    from envforge.manifest.references import checked_subdirectory, parse_reference

    place = child(where, key)
    text = reader.text(value, key, where, "../folder" if key == "path" else "https://host/x.tar.gz")
    source = _checked(reader, place, lambda: parse_reference(text)) if text else None
    if source is None:
        return None
    if isinstance(source, GitSource):
        reader.refuse(place, "is a git repository", f"write git = {text.removeprefix('git+')!r}")
        return None
    if key == "path" and ("://" in text or text.startswith("file:")):
        reader.refuse(place, "is a URL", "write url = …, or a path")
        return None
    if "subdirectory" in value:
        inside = reader.text(value, "subdirectory", where, "python")
        at = child(where, "subdirectory")
        source = replace(
            source, subdirectory=_checked(reader, at, lambda: checked_subdirectory(inside)) or ""
        )
    if isinstance(source, UrlSource) and "sha256" in value:
        digest = reader.text(value, "sha256", where, "ab12…")
        at = child(where, "sha256")
        hashed = _checked(reader, at, lambda: parse_reference(f"{source.url}#sha256={digest}"))
        return replace(source, sha256=hashed.sha256) if isinstance(hashed, UrlSource) else None
    if isinstance(source, PathSource) and "editable" in value:
        return replace(source, editable=reader.flag(value, "editable", where))
    return source


_Read = TypeVar("_Read")


def _checked(reader: Reader, where: str, read: Callable[[], _Read]) -> _Read | None:
    """What a reading gives; None and a fault where it refuses."""
    from envforge.manifest.references import ReferenceFaultError

    try:
        return read()
    except ReferenceFaultError as fault:
        reader.refuse(where, str(fault), fault.right)
        return None
