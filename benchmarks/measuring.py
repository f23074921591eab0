"""A tool's project on disk, and what a command in it takes.

The whole process is timed from outside, start-up included. What a scenario needs beforehand is prepared
outside the clock.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.disk import free_bytes, remove
from benchmarks.results import Sample
from benchmarks.stacks import Stack, State
from benchmarks.tools import InstalledTool, ProjectFacts

_LAUNCHER = Path(__file__).with_name("launcher.py")
_WATCH_INTERVAL_S = 0.02
# Settings of whoever measures: none of them may reach a tool.
_FOREIGN = ("UV_", "ENVFORGE_", "POETRY_", "PDM_", "PIP_", "VIRTUAL_ENV", "XDG_", "CONDA_", "PYTHON")
# How to reach the network is the machine's affair.
_KEPT = ("PIP_CERT", "PIP_PROXY", "PIP_DEFAULT_TIMEOUT", "UV_NATIVE_TLS", "XDG_RUNTIME_DIR")


class CommandFailedError(Exception):
    """A command of a tool that failed or took too long; says which and what it printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all tools stand on.

    Args:
        folder: for projects and caches, all on one file system.
        interpreter: path of the Python for the environments.
        python: its minor.
        index_url: of a simple index.
        timeout_s: after which a command is ended.
        room_bytes: what was free in ``folder`` at the beginning.
    """

    folder: Path
    interpreter: Path
    python: str
    index_url: str
    timeout_s: float
    room_bytes: int


@dataclass(slots=True)
class ToolProject:
    """A stack as a project of one tool, with caches of its own.

    A cold run gets a cache folder that has never been used, and an environment that is to be made anew is
    moved aside. Removing them would not do: ext4 avoids recently freed inodes for minutes, and the tools
    would be measured at finding others.
    """

    installed: InstalledTool
    stack: Stack
    ground: Ground
    notes: set[str] = field(default_factory=set)
    _cache_number: int = 0
    _locks: dict[State, bytes] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.installed.tool.name

    @property
    def root(self) -> Path:
        return self.ground.folder / self.stack.name / self.name

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def cache(self) -> Path:
        return self.root / "caches" / str(self._cache_number)

    @property
    def lock_file(self) -> Path:
        return self.project / self.installed.tool.lock_file

    @property
    def python(self) -> Path:
        return self.project / ".venv" / "bin" / "python"

    # What is put there

    def put(self, state: State) -> None:
        """Bring manifest and lock into a state; a file that is right already is not touched."""
        self.ask(state, locked=state)

    def ask(self, state: State, *, locked: State = "base") -> None:
        """Bring the manifest into a state, and the lock into that or another one."""
        lock = self._lock_of(locked)
        self._write_manifest(state)
        _write(self.lock_file, lock)

    def forget_lock(self) -> None:
        """Have the manifest of ``base`` and no lock."""
        self._write_manifest("base")
        self.lock_file.unlink(missing_ok=True)

    def forget_environment(self) -> None:
        """Have no environment. envforge keeps generations in its cache: they go, too."""
        self._set_aside(self.project / ".venv")
        for generations in self.cache.glob("tier/envs/*"):
            self._set_aside(generations)

    def forget_blueprints(self) -> None:
        """Have no environment, and none of this lock before: envforge keeps what those consist of."""
        self.forget_environment()
        self._set_aside(self.cache / "tier/blueprints")

    def start_cold(self) -> None:
        """Go on with a cache that has never been used, and no environment."""
        self.forget_environment()
        self._make_room()
        self._cache_number += 1
        while self.cache.exists():
            self._cache_number += 1
        self.cache.mkdir(parents=True)

    def remove(self) -> None:
        """Remove the project, its environment and all caches."""
        remove(self.root)

    def _set_aside(self, place: Path) -> None:
        """Move something out of the way. It is not removed yet: see :class:`ToolProject`."""
        if not os.path.lexists(place):
            return
        self._make_room()
        aside = self.root / "aside"
        aside.mkdir(parents=True, exist_ok=True)
        place.rename(aside / str(time.monotonic_ns()))

    def _make_room(self) -> None:
        """Remove what is no longer needed once three quarters of the room that there was are taken."""
        if free_bytes(self.ground.folder) > self.ground.room_bytes // 4:
            return
        former = [cache for cache in self.cache.parent.glob("*") if cache != self.cache]
        if former or (self.root / "aside").exists():
            remove(self.root / "aside", *former)
            self.notes.add("for want of room, former caches and environments were removed between rounds")

    def _write_manifest(self, state: State) -> None:
        tool = self.installed.tool
        text = tool.write_manifest(
            ProjectFacts(
                requirements=self.stack.asked(state),
                python=self.ground.python,
                platforms=self.stack.platforms,
                index_url=self.ground.index_url,
            )
        )
        _write(self.project / tool.manifest_file, text.encode())

    def _lock_of(self, state: State) -> bytes:
        if state not in self._locks:
            self.project.mkdir(parents=True, exist_ok=True)
            if state == "base":
                self.lock_file.unlink(missing_ok=True)
            else:
                _write(self.lock_file, self._lock_of("base"))
            self._write_manifest(state)
            self.run("lock")
            self._locks[state] = self.lock_file.read_bytes()
        return self._locks[state]

    # What is run

    def run(self, action: str, *, watched: bool = False) -> Sample:
        """Run a command of the tool to its end.

        Args:
            action: a key of the tool's ``commands``.
            watched: look at the memory of all its processes together meanwhile, which costs time.

        Raises:
            CommandFailedError: it failed, or took too long.
        """
        line = self.installed.tool.commands[action].format(
            bin=shlex.quote(str(self.installed.programs)), python=shlex.quote(str(self.ground.interpreter))
        )
        words = ["sh", "-c", line] if "&&" in line else shlex.split(line)
        return self._measure(words, action, watched=watched)

    def import_module(self, *, watched: bool = False) -> Sample:
        """Import the stack's module in the environment."""
        code = f"import {self.stack.module}"
        return self._measure([str(self.python), "-c", code], code, watched=watched)

    def _measure(self, words: list[str], what: str, *, watched: bool) -> Sample:
        self.project.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            figures, output = Path(folder) / "figures", Path(folder) / "output"
            interval_s = _WATCH_INTERVAL_S if watched else 0
            command = [sys.executable, "-I", "-S", str(_LAUNCHER), str(figures), str(interval_s), *words]
            # What the kernel still has to write of the run before is not part of this one.
            os.sync()
            with output.open("wb") as sink:
                process = subprocess.Popen(
                    command,
                    cwd=self.project,
                    env=self.environ(),
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                try:
                    process.wait(self.ground.timeout_s)
                except subprocess.TimeoutExpired:
                    raise CommandFailedError(f"{what} did not end in {self.ground.timeout_s:.0f} s") from None
                finally:
                    _end_session(process)
            if process.returncode != 0:
                said = output.read_text(encoding="utf-8", errors="replace").strip()
                raise CommandFailedError(f"{what} failed:\n{said}")
            wall_s, cpu_s, peak_bytes, total_bytes, _ = figures.read_text(encoding="ascii").split()
            return Sample(float(wall_s), float(cpu_s), int(peak_bytes), int(total_bytes))

    def environ(self) -> dict[str, str]:
        """The environment of a command: the machine's, the tool's own settings, and nobody else's."""
        base = {
            name: value
            for name, value in os.environ.items()
            if name in _KEPT or not name.startswith(_FOREIGN)
        }
        places = {"cache": str(self.cache), "python": str(self.ground.interpreter)}
        own = {name: value.format(**places) for name, value in self.installed.tool.variables.items()}
        return {
            **base,
            "PATH": f"{self.ground.interpreter.parent}{os.pathsep}{base.get('PATH', os.defpath)}",
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "PIP_CONFIG_FILE": os.devnull,
            **own,
        }


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """End what a command has left running, or the command itself."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
    finally:
        process.wait()


def _write(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
