"""Command lines, run in real processes, with pipes or on a real terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

Run = Callable[..., "Finished"]


@dataclass(frozen=True)
class Finished:
    """How a process ended: ``stdout`` of a terminal holds both streams."""

    code: int
    stdout: str
    stderr: str = ""

    @property
    def plain(self) -> str:
        """What was on the terminal, without escape sequences."""
        return ESCAPES.sub("", self.stdout).replace("\r\n", "\n")

    @property
    def screen(self) -> list[str]:
        """The lines that a person sees in the end, where what was erased is gone."""
        rows, row, column = [""], 0, 0
        for code, count, control, text in re.findall(
            r"(\x1b\[\??([\d;]*)[A-Za-z])|([\r\n])|([^\x1b\r\n]+)", self.stdout
        ):
            if control == "\r":
                column = 0
            elif control == "\n":
                row += 1
                rows += [""] * (row + 1 - len(rows))
            elif code.endswith("A"):
                row = max(row - int(count or 1), 0)
            elif code.endswith("K"):
                rows[row] = ""
            elif text:
                rows[row] = rows[row][:column].ljust(column) + text + rows[row][column + len(text) :]
                column += len(text)
        return [line.rstrip() for line in rows if line.strip()]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A process environment that knows nothing of the user's."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "TERM": "xterm-256color",
        "ENVFORGE_CACHE_DIR": str(tmp_path / "cache"),
    }


@pytest.fixture
def envforge(tmp_path: Path, environ: dict[str, str]) -> Run:
    """Run ``envforge WORDS`` with pipes."""

    def run(*words: str, script: Path | None = None, **more: str) -> Finished:
        done = subprocess.run(
            [*_start(script), *words],
            env={**environ, **more},
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def on_terminal(tmp_path: Path, environ: dict[str, str]) -> Run:
    """Run ``envforge WORDS`` on a pseudo-terminal; ``interrupt_at`` is a text at which Ctrl-C is pressed."""

    def run(*words: str, script: Path | None = None, interrupt_at: str = "", **more: str) -> Finished:
        return run_on_terminal([*_start(script), *words], {**environ, **more}, tmp_path, interrupt_at)

    return run


def _start(script: Path | None) -> list[str]:
    return [sys.executable, str(script)] if script else [sys.executable, "-m", "envforge.cli"]


def run_on_terminal(command: list[str], env: Mapping[str, str], cwd: Path, interrupt_at: str) -> Finished:
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        command, env=env, cwd=cwd, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    )
    os.close(terminal)
    seen = b""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        if select.select([main], [], [], 0.1)[0]:
            try:
                seen += os.read(main, 65536)
            except OSError:  # Linux: the other side is closed
                break
            if interrupt_at and interrupt_at.encode() in seen:
                interrupt_at = ""
                os.kill(process.pid, signal.SIGINT)
    os.close(main)
    return Finished(process.wait(timeout=10), seen.decode("utf-8"))


@pytest.fixture
def command_script(tmp_path: Path) -> Callable[[str], Path]:
    """Make a program whose command line has one more command, ``try``, with the given body.

    It goes through :func:`envforge.cli.main` as every command does, and has ``output`` and ``reporter``.
    """

    def make(body: str) -> Path:
        indented = "\n".join(f"        {line}" for line in body.strip().splitlines())
        (tmp_path / "trying.py").write_text(
            "import time\n"
            "from envforge.cli.reporters import open_reporter\n"
            "from envforge.errors import *\n"
            "from envforge.events import *\n"
            "def add_arguments(parser): pass\n"
            "def execute(arguments, output):\n"
            "    with open_reporter(output) as reporter:\n"
            f"{indented}\n"
            "    return 0\n"
        )
        script = tmp_path / "program.py"
        script.write_text(
            "import sys\n"
            "from envforge.cli import main\n"
            "from envforge.cli.commands import COMMANDS\n"
            'COMMANDS["try"] = ("trying", "try something")\n'
            "sys.exit(main())\n"
        )
        return script

    return make
