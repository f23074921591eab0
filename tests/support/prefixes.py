"""A conda prefix of links to the Python that runs the tests, with packages told by their files.

It runs, and its ``conda-meta`` is as a conda installer writes it; nothing of it was downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from envforge.environment.spec import GenerationPrefix, PrefixPackage
from envforge.link.conda_prefix import MARKER
from envforge.model.host import Interpreter

from support.environments import base_interpreter


class PlantedPrefix:
    """A prefix in the making.

    Args:
        path: where it stands.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.base = base_interpreter()
        self.packages: list[PrefixPackage] = []
        library = path / "lib" / f"python{self.base.minor}"
        for folder in (path / "bin", path / "conda-meta", library / "site-packages"):
            folder.mkdir(parents=True)
        for entry in Path(self.base.base_prefix, "lib", f"python{self.base.minor}").iterdir():
            if entry.name != "site-packages":
                (library / entry.name).symlink_to(entry)
        for entry in Path(self.base.base_prefix, "lib").glob("libpython*"):
            (path / "lib" / entry.name).symlink_to(entry)
        self.python = path / "bin" / f"python{self.base.minor}"
        self.python.symlink_to(self.base.executable)
        self.install("python", {}, version=self.base.version)
        (path / MARKER).write_text("{}")

    @property
    def site_packages(self) -> str:
        """Relative."""
        return f"lib/python{self.base.minor}/site-packages"

    @property
    def value(self) -> GenerationPrefix:
        return GenerationPrefix(
            str(self.path), tuple(sorted(self.packages, key=lambda package: package.name))
        )

    @property
    def interpreter(self) -> Interpreter:
        return Interpreter(
            executable=str(self.python),
            version=self.base.version,
            platform=self.base.platform,
            base_prefix=str(self.path),
        )

    def install(self, name: str, files: Mapping[str, str | bytes], *, version: str = "1.0") -> None:
        """Write a package's files, those in ``bin`` executable; ``SITE`` stands for site-packages.

        ``@PREFIX@`` in a text becomes the prefix.
        """
        rows = []
        for path, content in files.items():
            place = self.path / path.replace("SITE", self.site_packages)
            place.parent.mkdir(parents=True, exist_ok=True)
            original = content.encode() if isinstance(content, str) else content
            data = original.replace(b"@PREFIX@", str(self.path).encode())
            place.write_bytes(data)
            place.chmod(0o755 if place.parent.name == "bin" else 0o644)
            rewritten = {"prefix_placeholder": "@PREFIX@"} if data != original else {}
            rows.append(
                {
                    **rewritten,
                    "_path": place.relative_to(self.path).as_posix(),
                    "path_type": "hardlink",
                    "sha256": sha256(original).hexdigest(),
                    "sha256_in_prefix": sha256(data).hexdigest(),
                    "size_in_bytes": len(original),
                }
            )
        record = {"name": name, "version": version, "build": "0", "paths_data": {"paths": rows}}
        (self.path / "conda-meta" / f"{name}-{version}-0.json").write_text(json.dumps(record))
        self.packages.append(PrefixPackage(name, version, "0"))

    def install_python(self, name: str, module: str, *, version: str = "1.0", script: str = "") -> None:
        """A Python package with one module, and a script that calls its ``main``."""
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        files = {f"SITE/{name}.py": module, f"SITE/{name}-{version}.dist-info/METADATA": metadata}
        if script:
            files[f"bin/{script}"] = f"#!@PREFIX@/bin/python{self.base.minor}\nimport {name}\n{name}.main()\n"
        self.install(name, files, version=version)
