"""A conda package as a value, and what its ``info`` folder says of it.

Standard: conda's package format (info/index.json, paths.json, link.json; CEP 34 collects it). Not here: the
archives themselves (:mod:`.archive`), and what the packages contain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

# As long as conda-build makes it: a prefix has to fit into a placeholder that is in a binary.
PLACEHOLDER = ("/home/envforge/channel/build_env" + "_placehold" * 30)[:255]
SHORT_PLACEHOLDER = "/home/envforge/short_placeholder"
DAY_MS = 24 * 60 * 60 * 1000
TIMESTAMP_MS = 1_767_225_600_000  # 2026-01-01


@dataclass(frozen=True, slots=True)
class File:
    """A file of a package, or a link to ``target``, relative to its own folder."""

    content: bytes = b""
    executable: bool = False
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package with all that is in it.

    Args:
        build: whole build string, ``py311h1234567_0``.
        subdir: ``linux-64``, ``noarch`` …; independent of ``noarch``, as in conda-forge.
        noarch: ``""``, ``"python"`` or ``"generic"``.
        entry_points: ``name = module:function``, of noarch Python packages.
        files: path in the prefix → file.
        placeholder: prefix that the files were made for; each file that has it is to be rewritten.
        extension: ``.conda`` or ``.tar.bz2``.
        timestamp_ms: when it was built, since 1970.
    """

    name: str
    version: str
    build: str = "0"
    build_number: int = 0
    subdir: str = "noarch"
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    noarch: str = ""
    track_features: tuple[str, ...] = ()
    purls: tuple[str, ...] = ()
    python_site_packages_path: str = ""
    entry_points: tuple[str, ...] = ()
    files: Mapping[str, File] = field(default_factory=dict, repr=False)
    placeholder: str = PLACEHOLDER
    extension: str = ".conda"
    timestamp_ms: int = TIMESTAMP_MS

    @property
    def stem(self) -> str:
        return f"{self.name}-{self.version}-{self.build}"

    @property
    def filename(self) -> str:
        return self.stem + self.extension


def info_files(package: Package) -> dict[str, File]:
    """The ``info`` folder: path → file."""
    prefixed = [
        f'"{package.placeholder}" {mode} "{path}"\n'
        for path, file in sorted(package.files.items())
        if (mode := _prefix_mode(file, package.placeholder))
    ]
    info = {
        "info/index.json": _json(_index(package)),
        "info/paths.json": _json({"paths": list(_paths(package)), "paths_version": 1}),
        "info/files": "".join(f"{path}\n" for path in sorted(package.files)).encode(),
        "info/about.json": _json({"license": "MIT", "summary": f"{package.name}, for envforge's tests"}),
    }
    if prefixed:
        info["info/has_prefix"] = "".join(prefixed).encode()
    if package.noarch:
        noarch: dict[str, object] = {"type": package.noarch}
        if package.noarch == "python":
            noarch["entry_points"] = list(package.entry_points)
        info["info/link.json"] = _json({"noarch": noarch, "package_metadata_version": 1})
    return {path: File(content) for path, content in info.items()}


def _index(package: Package) -> dict[str, object]:
    system, _, arch = package.subdir.partition("-")
    row: dict[str, object] = {
        "name": package.name,
        "version": package.version,
        "build": package.build,
        "build_number": package.build_number,
        "subdir": package.subdir,
        "depends": list(package.depends),
        "constrains": list(package.constrains),
        "license": "MIT",
        "license_family": "MIT",
        "timestamp": package.timestamp_ms,
    }
    optional = {
        "noarch": package.noarch,
        "track_features": " ".join(package.track_features),
        "purls": list(package.purls),
        "python_site_packages_path": package.python_site_packages_path,
        "platform": system if arch else "",
        "arch": {"64": "x86_64"}.get(arch, arch),
    }
    return row | {key: value for key, value in optional.items() if value}


def _paths(package: Package) -> Iterator[dict[str, object]]:
    for path, file in sorted(package.files.items()):
        content = b"" if file.target else file.content
        row: dict[str, object] = {
            "_path": path,
            "path_type": "softlink" if file.target else "hardlink",
            "sha256": sha256(content).hexdigest(),
            "size_in_bytes": len(content),
        }
        if mode := _prefix_mode(file, package.placeholder):
            row |= {"file_mode": mode, "prefix_placeholder": package.placeholder}
        yield row


def _prefix_mode(file: File, placeholder: str) -> str:
    if placeholder.encode() not in file.content:
        return ""
    return "binary" if b"\0" in file.content else "text"


def _json(document: object) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()
