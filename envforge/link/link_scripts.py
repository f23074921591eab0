"""Link scripts: what packages want to run after they are installed. Only those that are named run.

Source: conda's documentation of link scripts: ``bin/.NAME-post-link.sh`` (``Scripts/.NAME-post-link.bat``),
with ``PREFIX``, ``PKG_NAME``, ``PKG_VERSION`` and ``PKG_BUILDNUM`` in the environment, in order of
dependency; what it writes to ``$PREFIX/.messages.txt`` is meant for the user. As with conda the shell is bash
where there is one, and the status of the script's last command counts. pre-unlink scripts never run: a prefix
is never changed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from envforge.errors import BuildError
from envforge.events import LinkScriptRun, Reporter, Warned
from envforge.model.conda import CondaRecord

_LIMIT_S = 600
_MOST_LINES = 15
_MESSAGES = ".messages.txt"
_NAME_END = re.compile(r"[\s<>=!~\[]")


def run_link_scripts(
    records: Sequence[CondaRecord],
    prefix: Path,
    allowed: Sequence[str],
    environ: Mapping[str, str],
    reporter: Reporter,
) -> None:
    """Run the scripts that are allowed, and tell of the others.

    Args:
        records: what is installed.
        prefix: where.
        allowed: names of packages.
        environ: what the scripts inherit.
        reporter: hears which were run, what they have to say, and which were not run.

    Raises:
        BuildError: a script failed, with what it said.
    """
    held_back = []
    for record in _dependencies_first(records):
        script = _script_of(record, prefix)
        if script is None:
            continue
        if record.name in allowed:
            _run(script, record, prefix, environ)
            reporter.report(LinkScriptRun(package=record.name))
            _pass_on_messages(record, prefix, reporter)
        else:
            held_back.append(record.name)
    if held_back:
        named = ", ".join(f'"{name}"' for name in sorted([*allowed, *held_back]))
        reporter.report(
            Warned(
                message=f"link scripts were not run: {', '.join(sorted(held_back))}",
                hint=f"if they are needed, allow them in [tool.envforge]: link-scripts = [{named}]",
            )
        )


def _dependencies_first(records: Sequence[CondaRecord]) -> Iterator[CondaRecord]:
    """Each record after those it depends on; a circle is entered somewhere."""
    by_name = {record.name: record for record in sorted(records, key=lambda record: record.name)}
    waiting = [iter(by_name.values())]
    seen: set[str] = set()
    finished: list[CondaRecord | None] = [None]
    while waiting:
        record = next(waiting[-1], None)
        if record is None:
            waiting.pop()
            done = finished.pop()
            if done is not None:
                yield done
        elif record.name not in seen:
            seen.add(record.name)
            needed = (_NAME_END.split(spec, maxsplit=1)[0] for spec in record.depends)
            waiting.append(iter([by_name[name] for name in needed if name in by_name]))
            finished.append(record)


def _script_of(record: CondaRecord, prefix: Path) -> Path | None:
    for place in (f"bin/.{record.name}-post-link.sh", f"Scripts/.{record.name}-post-link.bat"):
        if (prefix / place).is_file():
            return prefix / place
    return None


def _run(script: Path, record: CondaRecord, prefix: Path, environ: Mapping[str, str]) -> None:
    import subprocess

    try:
        finished = subprocess.run(
            _command(script, environ),
            cwd=prefix,
            env=_variables(script, record, prefix, environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT_S,
            check=False,
        )
        how, said = f"status {finished.returncode}" if finished.returncode else "", finished.stdout
    except OSError as error:
        how, said = f"it cannot be started: {error.strerror or error}", b""
    except subprocess.TimeoutExpired as error:
        how, said = f"it has not ended in {_LIMIT_S} s", error.stdout or b""
    if how:
        raise BuildError(
            f"the link script of {record.name} {record.version} failed: {how}",
            context=[
                f"script: {script}",
                *said.decode(errors="replace").splitlines()[-_MOST_LINES:],
                *_read_messages(prefix),
            ],
            hints=[f'to go without it, take "{record.name}" out of tool.envforge.link-scripts'],
        )


def _command(script: Path, environ: Mapping[str, str]) -> list[str]:
    if script.suffix == ".bat":
        return [environ.get("COMSPEC", "cmd.exe"), "/d", "/c", str(script)]
    from shutil import which

    return [which("bash", path=environ.get("PATH")) or "sh", str(script)]


def _variables(script: Path, record: CondaRecord, prefix: Path, environ: Mapping[str, str]) -> dict[str, str]:
    inherited = {key: value for key, value in environ.items() if not key.startswith("PYTHON")}
    return {
        **inherited,
        "PATH": os.pathsep.join([str(script.parent), environ.get("PATH", os.defpath)]),
        "PREFIX": str(prefix),
        "PKG_NAME": record.name,
        "PKG_VERSION": record.version,
        "PKG_BUILDNUM": str(record.build_number),
    }


def _read_messages(prefix: Path) -> list[str]:
    with suppress(OSError):
        text = (prefix / _MESSAGES).read_text(encoding="utf-8", errors="replace")
        return [line.rstrip() for line in text.splitlines() if line.strip()][-_MOST_LINES:]
    return []


def _pass_on_messages(record: CondaRecord, prefix: Path, reporter: Reporter) -> None:
    """What the script has to say to the user, once."""
    messages = _read_messages(prefix)
    if messages:
        reporter.report(Warned(message="\n".join([f"{record.name} says:", *messages])))
        (prefix / _MESSAGES).unlink(missing_ok=True)
