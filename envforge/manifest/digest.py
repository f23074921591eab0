"""The digest of everything in a manifest that can change its lock, and of nothing else.

The lock keeps it, so that an unchanged sync knows without resolving, and without reading a single
requirement, that the lock is still the answer to the manifest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from envforge.hashing import sha256
from envforge.manifest.manifest import (
    CondaDependency,
    Declared,
    Index,
    Manifest,
    Settings,
    without_credentials,
)
from envforge.model.names import normalize_name
from envforge.model.sources import GitSource, IndexSource, PathSource, Source, UrlSource

_LEADING_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def inputs_digest(manifest: Manifest, folders: Mapping[str, Any] | None = None) -> str:
    """``sha256:`` and the hex digest of the canonical JSON of :func:`resolution_inputs`.

    Args:
        manifest: of the project.
        folders: path of each folder that a project comes from → what a resolution depends on in it.
    """
    document = resolution_inputs(manifest)
    if folders:
        document["folders"] = dict(folders)
    inputs = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{sha256(inputs.encode()).hexdigest()}"


def resolution_inputs(manifest: Manifest) -> dict[str, Any]:
    """What a resolution depends on, as plain JSON values.

    The order of requirements, groups and extras says nothing and is taken out. That of platforms and
    indexes does and stays: the first platform's pins are preferred for the next, and the first index that
    has a project is the one used for it. Indexes are without credentials.
    """
    settings = manifest.settings
    own_name = normalize_name(manifest.name)
    sent_to = {source.index for _, source in settings.all_sources if isinstance(source, IndexSource)}
    asked = [index for index in settings.indexes if not index.explicit]
    explicit = [index for index in settings.indexes if index.explicit and index.name in sent_to]
    return {
        "requires-python": manifest.requires_python,
        "platforms": list(settings.platforms),
        "python": settings.python,
        "exclude-newer": settings.exclude_newer,
        "indexes": [_index_texts(index) for index in asked],
        "explicit-indexes": sorted(_index_texts(index) for index in explicit),
        "sources": _source_texts(settings.sources),
        "system": {"glibc": list(settings.system.glibc), "macos": list(settings.system.macos)},
        "project": _texts(manifest.dependencies, own_name),
        "extras": {name: _texts(texts, own_name) for name, texts in manifest.optional_dependencies.items()},
        "groups": {name: _texts(texts, own_name) for name, texts in manifest.groups.items()},
        **_conda_inputs(settings),
        **_variant_inputs(settings, own_name),
    }


def _source_texts(sources: Mapping[str, Source]) -> dict[str, Any]:
    return {name: _source_text(source) for name, source in sources.items()}


def _source_text(source: Source) -> Any:
    if isinstance(source, IndexSource):
        return source.index
    if isinstance(source, UrlSource):
        return {"url": without_credentials(source.url), "hash": source.sha256, "in": source.subdirectory}
    if isinstance(source, PathSource):
        return {"path": source.path, "editable": source.editable, "in": source.subdirectory}
    if isinstance(source, GitSource):
        reference = source.reference
        return {
            "git": without_credentials(source.url),
            "reference": [reference.kind, reference.name],
            "in": source.subdirectory,
            "with": [source.lfs, source.submodules],
        }
    return {"workspace": True}


def _index_texts(index: Index) -> list[str]:
    return [index.name, index.public_url, *(["flat"] if index.is_flat else [])]


def _variant_inputs(settings: Settings, own_name: str) -> dict[str, Any]:
    """What only some manifests have. The order of variants says which is chosen, and stays."""
    inputs: dict[str, Any] = {}
    if settings.exclude_newer_package:
        inputs["exclude-newer-package"] = dict(settings.exclude_newer_package)
    if settings.rules is not None:
        from envforge.manifest.rules import rules_inputs

        inputs |= rules_inputs(settings.rules)
    prebuilt = {name: list(each.prebuilt) for name, each in settings.build.items() if each.prebuilt}
    if prebuilt:
        inputs["prebuilt"] = prebuilt
    if settings.variants:
        inputs["variants"] = [
            {
                "name": variant.name,
                "when": str(variant.condition),
                "dependencies": _texts(variant.dependencies, own_name),
                "conda": _conda_texts(variant.conda_dependencies),
                "sources": _source_texts(variant.sources),
                "remove": [sorted(variant.removed), sorted(variant.conda_removed)],
            }
            for variant in settings.variants
        ]
    return inputs


def _conda_texts(dependencies: Iterable[CondaDependency]) -> dict[str, list[Any]]:
    return {each.name: [each.spec, sorted(each.platforms)] for each in dependencies}


def _conda_inputs(settings: Settings) -> dict[str, Any]:
    """What only conda packages depend on; nothing where none is wanted."""
    if not settings.uses_conda:
        return {}
    system = settings.system
    return {
        "conda": _conda_texts(settings.conda_dependencies),
        "channels": [channel.public_url for channel in settings.channels],
        "conda-pypi-map": dict(settings.conda_pypi_map),
        "conda-system": [list(system.linux), list(system.cuda or ()), system.archspec],
    }


def _texts(declared: Iterable[Declared], own_name: str) -> list[str]:
    return sorted({_without_own_name(entry.text, own_name) for entry in declared})


def _without_own_name(text: str, own_name: str) -> str:
    """``me[extra]`` as ``.[extra]``: renaming the project must not move the digest, naming another must."""
    name = _LEADING_NAME.match(text)
    if name and normalize_name(name[0]) == own_name:
        return f".{text[name.end() :]}"
    return text
