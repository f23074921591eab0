"""A project on disk and ``envforge`` as a real process in it, free of the settings of who runs the tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.environments import base_interpreter

CHECKOUT = Path(__file__).parents[2]
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class State:
    """What a command that fails must leave alone."""

    manifest: bytes | None
    lock: bytes | None
    venv: str | None
    beside: tuple[str, ...]


class Project:
    """A project folder with an index of its own, its cache and its home.

    Args:
        root: where project, cache and home are made.
        index_url: the default index of the manifests that :meth:`write` makes.
        cache: shared with another project, None for its own.
        name: of the folder.
    """

    def __init__(
        self, root: Path, index_url: str, *, cache: Path | None = None, name: str = "project"
    ) -> None:
        self.root = root / name
        self.index_url = index_url
        self.cache = cache or root / "cache"
        self.home = root / "home"
        self.variables: dict[str, str] = {}
        self.interpreter = sys.executable
        for folder in (self.root, self.home):
            folder.mkdir(parents=True, exist_ok=True)

    # What is there

    @property
    def manifest(self) -> Path:
        return self.root / "pyproject.toml"

    @property
    def lock(self) -> Path:
        return self.root / "envforge.lock"

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def tier(self) -> Path:
        return self.cache / "tier"

    @property
    def locked(self) -> dict[str, str]:
        """Name → version of what is locked, whatever the platform."""
        packages = json.loads(self.lock.read_text())["packages"].values()
        return {package["name"]: package["version"] for package in packages}

    def state(self) -> State:
        return State(
            manifest=_bytes(self.manifest),
            lock=_bytes(self.lock),
            venv=os.readlink(self.venv) if self.venv.is_symlink() else None,
            beside=tuple(sorted(entry.name for entry in self.root.iterdir())),
        )

    def leftovers(self) -> list[Path]:
        """What an interrupted command may have left aside, and the next one has to clear."""
        found = [entry for entry in self.root.iterdir() if entry.name.endswith((".tmp", ".venv.envforge"))]
        found += [*self.tier.glob("tmp/*"), *self.tier.glob("envs/*/.*")]
        # a taker that was killed between two system calls leaves a line of text, for the next sweep
        found += [place for place in self.tier.glob("guards/*") if place.suffix != ".new"]
        found += [*self.tier.glob("trees/.*"), *self.tier.glob("builds/.*")]
        return sorted(found)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Check that the block leaves manifest, lock and environment alone, and nothing half-done behind."""
        before = self.state()
        yield
        after = self.state()
        assert after == before, f"{before}\n{after}"
        leftovers = self.leftovers()
        assert not leftovers, leftovers

    # What is written

    def write(
        self,
        *requirements: str,
        groups: Mapping[str, Sequence[str]] | None = None,
        extras: Mapping[str, Sequence[str]] | None = None,
        settings: str = "",
        tables: str = "",
    ) -> None:
        """Write a manifest.

        Args:
            requirements: ``project.dependencies``.
            groups: dependency groups.
            extras: optional dependencies.
            settings: lines for ``[tool.envforge]``.
            tables: further tables.
        """
        parts = [
            f'[project]\nname = "demo"\nversion = "1.0"\nrequires-python = ">={MINOR}"',
            f"dependencies = {json.dumps(requirements)}",
        ]
        for title, lists in (("project.optional-dependencies", extras), ("dependency-groups", groups)):
            if lists:
                parts.append(f"[{title}]")
                parts += [f"{name} = {json.dumps(list(items))}" for name, items in lists.items()]
        parts += ["[tool.envforge]", f'python = "{MINOR}"', settings, self.index_table(), tables]
        self.manifest.write_text("\n".join(parts) + "\n")

    def use_index(self) -> None:
        """Put the index in place of PyPI into a manifest that ``envforge init`` made."""
        text = self.manifest.read_text()
        if self.index_url not in text:
            self.manifest.write_text(f"{text}\n{self.index_table()}\n")

    def index_table(self) -> str:
        return f'[[tool.envforge.index]]\nname = "local"\nurl = "{self.index_url}"\ndefault = true'

    # What is run

    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {
            **kept,
            "HOME": str(self.home),
            "ENVFORGE_CACHE_DIR": str(self.cache),
            "ENVFORGE_PYTHON": base_interpreter().executable,
            "PYTHONPATH": str(CHECKOUT),
            "NO_PROXY": "127.0.0.1",
            **self.variables,
        }

    def start(
        self, *words: str, prefix: Sequence[str] = (), cwd: Path | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        """Start ``envforge WORDS`` in a process group of its own."""
        return subprocess.Popen(
            [*prefix, self.interpreter, "-m", "envforge", *words],
            cwd=cwd or self.root,
            env=self.environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )

    def envforge(self, *words: str, timeout_s: float = 60, **options: Any) -> Finished:
        """Run ``envforge WORDS`` to its end."""
        with self.start(*words, **options) as process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return Finished(process.returncode, out, err)

    def done(self, *words: str, **options: Any) -> Finished:
        """Run a command that has to succeed."""
        finished = self.envforge(*words, **options)
        assert finished.code == 0, (
            f"envforge {' '.join(words)}: {finished.code}\n{finished.out}{finished.err}"
        )
        return finished

    def fails(self, *words: str, code: int = 1, says: Sequence[str] = (), **options: Any) -> Finished:
        """Run a command that has to fail with these words, without a traceback, changing nothing."""
        with self.unchanged():
            finished = self.envforge(*words, **options)
        assert finished.code == code, f"{finished.code}\n{finished.out}{finished.err}"
        assert "Traceback" not in finished.err, finished.err
        assert "this is a bug" not in finished.err, finished.err
        for word in says:
            assert word in finished.err, f"{word!r} is not said:\n{finished.err}"
        return finished

    def python(self, code: str) -> str:
        """What the environment's Python prints, isolated from all but the environment."""
        command = [str(self.venv / "bin" / "python"), "-I", "-c", code]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=self.home)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout.strip()

    def installed(self) -> dict[str, str]:
        """Name → version of the distributions that the environment's Python sees."""
        return dict(json.loads(self.python(_INSTALLED)))


_INSTALLED = """
import importlib.metadata, json
print(json.dumps([(each.metadata["Name"], each.version) for each in importlib.metadata.distributions()]))
"""


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
