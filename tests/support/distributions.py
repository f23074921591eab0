"""Small real distributions: wheels that every installer takes, and sdists whose backend lies inside them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from support.wheels import wheel_files, zip_bytes

BACKEND = '''\
"""A build backend without requirements: packs every package that lies beside it."""
import base64, hashlib, os, zipfile

NAME, VERSION, REQUIRES = {name!r}, {version!r}, {requires!r}
SCRIPTS = {scripts!r}


def build_wheel(folder, config_settings=None, metadata_directory=None):
    files = {{}}
    for base, folders, names in os.walk("."):
        folders[:] = [each for each in folders if each not in ("_backend", "__pycache__") and each[0] != "."]
        for name in names:
            path = os.path.relpath(os.path.join(base, name), ".").replace(os.sep, "/")
            if "/" in path and path.endswith(".py"):
                with open(path, "rb") as source:
                    files[path] = source.read()
    return _pack(folder, files)


def build_editable(folder, config_settings=None, metadata_directory=None):
    return _pack(folder, {{f"__editable__{{NAME}}.pth": os.getcwd().encode() + b"\\n"}})


def _pack(folder, files):
    home = f"{{NAME.replace('-', '_')}}-{{VERSION}}.dist-info"
    lines = ["Metadata-Version: 2.2", f"Name: {{NAME}}", f"Version: {{VERSION}}"]
    lines += [f"Requires-Dist: {{requirement}}" for requirement in REQUIRES]
    files[f"{{home}}/METADATA"] = "\\n".join(lines + [""]).encode()
    files[f"{{home}}/WHEEL"] = b"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    if SCRIPTS:
        lines = ["[console_scripts]"] + [f"{{key}} = {{value}}" for key, value in sorted(SCRIPTS.items())]
        files[f"{{home}}/entry_points.txt"] = ("\\n".join(lines) + "\\n").encode()
    rows = [f"{{path}},sha256={{_digest(content)}},{{len(content)}}\\n" for path, content in files.items()]
    files[f"{{home}}/RECORD"] = ("".join(rows) + f"{{home}}/RECORD,,\\n").encode()
    filename = f"{{NAME.replace('-', '_')}}-{{VERSION}}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, filename), "w") as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), content)
    return filename


def _digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
'''


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """A released file.

    Args:
        name: project, normalized.
        filename: as an index lists it.
        content: the archive.
        metadata: METADATA or PKG-INFO.
        requires_python: specifier, "" for any.
    """

    name: str
    filename: str
    content: bytes = field(repr=False)
    metadata: bytes = field(repr=False)
    requires_python: str = ""

    @property
    def sha256(self) -> str:
        return sha256(self.content).hexdigest()


def make_wheel(
    name: str,
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    extras: Mapping[str, Sequence[str]] | None = None,
    requires_python: str = "",
    tag: str = "py3-none-any",
    files: Mapping[str, str | bytes] | None = None,
    scripts: Mapping[str, str] | None = None,
    padding: int = 0,
) -> Distribution:
    """A wheel.

    Args:
        name: project; the import name is the same with underscores.
        version: of it.
        requires: Requires-Dist.
        extras: extra → its requirements.
        requires_python: specifier.
        tag: compatibility tag of the file.
        files: by path; without them, one package that knows its ``version``. ``NAME.data/…`` is allowed.
        scripts: console scripts, ``name → module:function``.
        padding: bytes that do not compress, to make the download take its time.
    """
    module = name.replace("-", "_")
    home = f"{module}-{version}.dist-info"
    content = {
        path: data.encode() if isinstance(data, str) else data
        for path, data in (files or {f"{module}/__init__.py": f"version = {version!r}\n"}).items()
    }
    if padding:
        content[f"{module}/padding.bin"] = _noise(f"{name}{version}", padding)
    metadata = _metadata(name, version, requires, extras or {}, requires_python)
    content[f"{home}/METADATA"] = metadata
    content[f"{home}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    if scripts:
        lines = "".join(f"{key} = {value}\n" for key, value in scripts.items())
        content[f"{home}/entry_points.txt"] = f"[console_scripts]\n{lines}".encode()
    return Distribution(
        name=name,
        filename=f"{module}-{version}-{tag}.whl",
        content=zip_bytes(wheel_files(module, version, content)),
        metadata=metadata,
        requires_python=requires_python,
    )


def make_sdist(
    name: str, version: str = "1.0", *, requires: Sequence[str] = (), files: Mapping[str, str] | None = None
) -> Distribution:
    """An sdist with static metadata 2.2, built by a backend that lies in it (``backend-path``)."""
    module = name.replace("-", "_")
    metadata = _metadata(name, version, requires, {}, "")
    content = {
        "PKG-INFO": metadata.decode(),
        "pyproject.toml": project_tables(name, version, requires) + BUILD_SYSTEM,
        "_backend/backend.py": backend(name, version, requires),
        **(files or {f"{module}/__init__.py": f"version = {version!r}\n"}),
    }
    return Distribution(
        name=name,
        filename=f"{module}-{version}.tar.gz",
        content=_tarball(f"{module}-{version}", content),
        metadata=metadata,
    )


BUILD_SYSTEM = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["_backend"]
"""


def backend(
    name: str, version: str, requires: Sequence[str] = (), scripts: Mapping[str, str] | None = None
) -> str:
    """Source of ``_backend/backend.py``, for :data:`BUILD_SYSTEM`."""
    return BACKEND.format(name=name, version=version, requires=list(requires), scripts=dict(scripts or {}))


def project_tables(name: str, version: str, requires: Sequence[str] = ()) -> str:
    listed = json.dumps(list(requires))
    return f'[project]\nname = "{name}"\nversion = "{version}"\ndependencies = {listed}\n'


def _metadata(
    name: str,
    version: str,
    requires: Sequence[str],
    extras: Mapping[str, Sequence[str]],
    requires_python: str,
) -> bytes:
    lines = ["Metadata-Version: 2.2", f"Name: {name}", f"Version: {version}"]
    if requires_python:
        lines.append(f"Requires-Python: {requires_python}")
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    for extra, needed in extras.items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [f"Requires-Dist: {requirement} ; extra == '{extra}'" for requirement in needed]
    return ("\n".join(lines) + "\n").encode()


def _tarball(top: str, files: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path, text in files.items():
            info = tarfile.TarInfo(f"{top}/{path}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def _noise(seed: str, size: int) -> bytes:
    blocks = (sha256(f"{seed}{number}".encode()).digest() for number in range(size // 32 + 1))
    return b"".join(blocks)[:size]
