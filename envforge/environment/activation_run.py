"""What the activation scripts of conda packages do to a process environment: run in a shell, and compared.

Only where there are such scripts a shell is started. Scripts are run in one shell one after the other, as
``conda activate`` does; one that ends the shell loses only its own rest. A script has failed if it ended the
shell, or ended with another status than 0 and said something: many end with a test that does not hold, and
mean nothing by it.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence

from envforge.struct import Struct

_NOT_OURS = {"_", "SHLVL", "PWD", "OLDPWD"}
"""What a shell changes by itself."""
_DUMP = """\
import os, sys
for name, value in os.environb.items():
    sys.stdout.buffer.write(name + b"=" + value + bytes(1))
"""
_START = """\
exec 3>&1 1>&2
__envforge_dump () {{ printf '\\000' >&3; command -p env -0 >&3 2>/dev/null || {fallback} >&3; }}
trap '__envforge_status=$?; printf "%s\\n" "$__envforge_status" >&3; printf "\\000"; __envforge_dump' EXIT
"""
_EACH = """\
. {script}
printf '%s\\n' "$?" >&3; printf '\\000'
"""
_END = """\
trap - EXIT
__envforge_dump
"""


class ScriptFailure(Struct, frozen=True):
    """An activation script that did not do what it should.

    Args:
        script: its path.
        status: its exit status, negative for a signal that ended it.
        output: what it said.
    """

    script: str
    status: int
    output: str


def run_activation_scripts(
    scripts: Sequence[str], environ: Mapping[str, str]
) -> tuple[dict[str, str], list[ScriptFailure]]:
    """The environment after the scripts of a prefix, and which of them failed. POSIX only.

    Args:
        scripts: absolute paths of ``.sh`` files, in order.
        environ: in which the prefix is active already.
    """
    after = dict(environ)
    failures: list[ScriptFailure] = []
    remaining = list(scripts)
    while remaining:
        run = _run(remaining, after)
        left_early = len(run.statuses) < len(remaining) or not run.reached_end
        for number, (status, said) in enumerate(zip(run.statuses, run.said, strict=False)):
            left = left_early and number == len(run.statuses) - 1
            if status and (said or left):
                failures.append(ScriptFailure(remaining[number], status, said))
        after = run.environ
        remaining = remaining[len(run.statuses) :]
    return after, failures


class _Run(Struct, frozen=True):
    """One shell that ran scripts until the last one, or until one of them ended it.

    Args:
        statuses: of the scripts that ended, in order; at least one.
        said: what each of them said.
        environ: afterwards.
        reached_end: no script ended the shell.
    """

    statuses: list[int]
    said: list[str]
    environ: dict[str, str]
    reached_end: bool


def _run(scripts: Sequence[str], environ: Mapping[str, str]) -> _Run:
    from shutil import which
    from subprocess import DEVNULL, run
    from tempfile import TemporaryFile

    # files that every shell reads first are no part of the activation
    before = {name: value for name, value in environ.items() if name not in ("BASH_ENV", "ENV")}
    shell = which("bash", path=environ.get("PATH")) or "/bin/sh"
    command = [shell, "-c", _program(scripts)]
    # files, not pipes: what a script leaves running in the background is not waited for
    with TemporaryFile() as answers, TemporaryFile() as voice:
        ended = run(command, env=before, stdin=DEVNULL, stdout=answers, stderr=voice, check=False)
        answers.seek(0)
        voice.seek(0)
        rows, _, variables = answers.read().partition(b"\0")
        said = [each.decode(errors="replace").strip() for each in voice.read().split(b"\0")]
    statuses = [int(row) for row in rows.split()]
    return _Run(
        statuses=statuses or [ended.returncode or 1],
        said=said,
        environ=_changed(environ, before, variables),
        reached_end=bool(variables) and ended.returncode == 0,
    )


def _program(scripts: Sequence[str]) -> str:
    """Answers go to the shell's stdout: a status a line, a zero byte, then the variables as ``env -0``.

    What the scripts say goes to stderr, a zero byte behind each.
    """
    fallback = shlex.join([sys.executable, "-I", "-S", "-c", _DUMP])
    each = "".join(_EACH.format(script=shlex.quote(script)) for script in scripts)
    return _START.format(fallback=fallback) + each + _END


def _changed(environ: Mapping[str, str], before: Mapping[str, str], variables: bytes) -> dict[str, str]:
    """An environment with what a shell that began with ``before`` set and unset."""
    found = [os.fsdecode(each).partition("=") for each in variables.split(b"\0") if b"=" in each]
    if not found:
        return dict(environ)
    after = {name: value for name, _, value in found if name not in _NOT_OURS}
    gone = before.keys() - after.keys() - _NOT_OURS
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    return {name: value for name, value in environ.items() if name not in gone} | changed
