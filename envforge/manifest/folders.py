"""The pyproject.toml of another project, in a folder that this one takes it from.

What can be known of it without a build: its metadata as far as that is static, where it takes its own
requirements from, and what of it a lock depends on.

Standards: PEP 621 (``[project]``, ``dynamic``), PEP 518 (``[build-system]``).
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from envforge.errors import EnvforgeError, MetadataError
from envforge.manifest.faults import manifest_error
from envforge.manifest.parse import read_toml
from envforge.manifest.paths import folder_path
from envforge.manifest.reading import Reader
from envforge.manifest.sources import read_sources
from envforge.model.names import normalize_name
from envforge.model.release import CoreMetadata
from envforge.model.requirement import Requirement, check_specifier, parse_requirement, parse_version
from envforge.model.sources import IndexSource, PathSource, Source
from envforge.struct import Struct, replace

_STATIC = ("name", "version", "requires-python", "dependencies", "optional-dependencies")
_NEEDED = frozenset(_STATIC)


class FolderManifest(Struct, frozen=True, kw_only=True):
    """What a folder's pyproject.toml says.

    Args:
        file: its name in messages.
        document: parsed; empty where there is none.
        sources: normalized name → where the project takes it from, paths as from the lock's folder.
        text: of the file.
    """

    file: str
    document: Mapping[str, Any]
    sources: Mapping[str, Source] = MappingProxyType({})
    text: str = ""

    @property
    def project(self) -> Mapping[str, Any]:
        """``[project]``."""
        found = self.document.get("project")
        return found if isinstance(found, dict) else {}

    @property
    def has_build_system(self) -> bool:
        return "build-system" in self.document

    @property
    def is_static(self) -> bool:
        """Whether a build could say nothing else than what stands here."""
        dynamic = self.project.get("dynamic", [])
        computed = _NEEDED.intersection(dynamic) if isinstance(dynamic, list) else _NEEDED
        return bool(self.project.get("name")) and "version" in self.project and not computed

    def inputs(self) -> Any:
        """What of it a resolution depends on, as plain JSON values."""
        project = {key: self.project[key] for key in _STATIC if key in self.project}
        if not self.is_static:
            build = {key: value for key, value in self.document.items() if key in ("build-system", "tool")}
            project = {**self.project, "dynamic": build}
        return [project, self.has_build_system, sorted(map(repr, self.sources.items()))]

    def metadata(self, *, version: str = "") -> CoreMetadata:
        """The metadata of a static project.

        Args:
            version: of one that has none and is not built.

        Raises:
            MetadataError: name, version or a requirement cannot be read.
        """
        name = self._text("name")
        text = self._text("version") or version
        requires_python = self._text("requires-python")
        try:
            canonical = str(parse_version(text))
            check_specifier(requires_python)
            requires = [parse_requirement(text) for text in self._texts("dependencies")]
            extras = self._extras()
        except EnvforgeError as error:
            raise self._fault(error.message, *error.context) from None
        return CoreMetadata(
            name=normalize_name(name),
            version=canonical,
            requires_python=requires_python,
            requires=(*requires, *(item for items in extras.values() for item in items)),
            provides_extra=frozenset(extras),
        )

    def _extras(self) -> dict[str, list[Requirement]]:
        optional = self.project.get("optional-dependencies", {})
        if not isinstance(optional, dict):
            raise self._fault("project.optional-dependencies: is no table")
        return {
            normalize_name(extra): [
                _of_extra(parse_requirement(text), normalize_name(extra))
                for text in self._entries(entries, f"optional-dependencies.{extra}")
            ]
            for extra, entries in optional.items()
        }

    def _text(self, key: str) -> str:
        value = self.project.get(key, "")
        if not isinstance(value, str):
            raise self._fault(f"project.{key}: is no text")
        return value.strip()

    def _texts(self, key: str) -> list[str]:
        return self._entries(self.project.get(key, []), key)

    def _entries(self, value: object, key: str) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self._fault(f"project.{key}: is no list of texts")
        return value

    def _fault(self, problem: str, *context: str) -> MetadataError:
        return MetadataError(f"{self.file}: {problem}", context=context)


def parse_folder(text: str, folder: str) -> FolderManifest:
    """Read the pyproject.toml of a folder.

    Args:
        text: of the file.
        folder: its path, as from the lock's folder.

    Raises:
        ManifestError: it is no TOML, or its sources say something that cannot be meant.
    """
    file = f"{folder}/pyproject.toml"
    document = read_toml(text, file)
    reader = Reader()
    tool = document.get("tool")
    settings = tool.get("envforge") if isinstance(tool, dict) else None
    table = _without_indexes(settings) if isinstance(settings, dict) else {}
    sources = read_sources(reader, table, "tool.envforge", ())
    if reader.faults:
        raise manifest_error(file, text, reader.faults)
    placed = {name: _placed(source, folder) for name, source in sources.items()}
    return FolderManifest(file=file, document=document, sources=placed, text=text)


def stated_metadata(content: bytes) -> CoreMetadata | None:
    """The metadata that the pyproject.toml of an sdist states, None where only a build can tell.

    A backend has to keep to what stands there (PEP 621).

    Args:
        content: of the file. What is broken says nothing: the build tells what is wrong with it.
    """
    try:
        found = FolderManifest(file="", document=read_toml(content.decode("utf-8"), ""))
        return found.metadata() if found.is_static else None
    except (UnicodeDecodeError, EnvforgeError):
        return None


def joined_path(folder: str, path: str) -> str:
    """A path that is from a folder, as from where the folder's own path is from."""
    if path.startswith(("/", "~")) or path[1:2] == ":":
        return path
    return folder_path(posixpath.normpath(f"{folder}/{path}"))


def _without_indexes(settings: dict[str, Any]) -> dict[str, Any]:
    """Which index has what is for the project to say that is locked."""
    sources = settings.get("sources")
    if not isinstance(sources, dict):
        return settings
    kept = {
        name: source
        for name, source in sources.items()
        if not (isinstance(source, dict) and "index" in source)
    }
    return {"sources": kept}


def _placed(source: Source, folder: str) -> Source:
    assert not isinstance(source, IndexSource)
    if isinstance(source, PathSource):
        return replace(source, path=joined_path(folder, source.path))
    return source


def _of_extra(requirement: Requirement, extra: str) -> Requirement:
    marker = f'extra == "{extra}"'
    both = f"({requirement.marker}) and {marker}" if requirement.marker else marker
    return parse_requirement(str(replace(requirement, marker=both)))
