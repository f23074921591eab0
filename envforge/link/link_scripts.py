"""Link scripts: what packages want to run after they are installed. Only those that are named run.

Source: conda's documentation of link scripts: ``bin/.NAME-post-link.sh`` (``Scripts/.NAME-post-link.bat``)
with ``PREFIX``, ``PKG_NAME``, ``PKG_VERSION`` and ``PKG_BUILDNUM`` in the environment; it may write messages
to ``$PREFIX/.messages.txt``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from envforge.errors import BuildError
from envforge.events import LinkScriptRun, Reporter, Warned
from envforge.model.conda import CondaRecord

_TIMEOUT_S = 600


def run_link_scripts(
    records: Sequence[CondaRecord],
    prefix: Path,
    allowed: Sequence[str],
    environ: Mapping[str, str],
    reporter: Reporter,
) -> None:
    """Run the scripts that are allowed, and tell of the others.

    Raises:
        BuildError: a script failed, with what it said.
    """
    held_back = []
    for record in records:
        script = _script_of(record, prefix)
        if script is None:
            continue
        if record.name in allowed:
            _run(script, record, prefix, environ)
            reporter.report(LinkScriptRun(package=record.name))
        else:
            held_back.append(record.name)
    if held_back:
        names = ", ".join(f'"{name}"' for name in held_back)
        reporter.report(
            Warned(
                message=f"link scripts were not run: {', '.join(held_back)}",
                hint=f"if they are needed, allow them in [tool.envforge]: link-scripts = [{names}]",
            )
        )


def _script_of(record: CondaRecord, prefix: Path) -> Path | None:
    for place in (f"bin/.{record.name}-post-link.sh", f"Scripts/.{record.name}-post-link.bat"):
        if (prefix / place).is_file():
            return prefix / place
    return None


def _run(script: Path, record: CondaRecord, prefix: Path, environ: Mapping[str, str]) -> None:
    import subprocess

    variables = {
        **environ,
        "PATH": os.pathsep.join([str(prefix / "bin"), environ.get("PATH", os.defpath)]),
        "PREFIX": str(prefix),
        "CONDA_PREFIX": str(prefix),
        "PKG_NAME": record.name,
        "PKG_VERSION": record.version,
        "PKG_BUILDNUM": str(record.build_number),
    }
    command = ["cmd.exe", "/d", "/c", str(script)] if script.suffix == ".bat" else ["sh", "-e", str(script)]
    try:
        finished = subprocess.run(
            command,
            cwd=prefix,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            check=False,
        )
        code, said = finished.returncode, finished.stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        code, said = -1, str(error)
    if code:
        raise BuildError(
            f"the link script of {record.name} {record.version} failed with {code}",
            context=[f"script: {script.name}", *said.splitlines()[-10:]],
            hints=[f'to go without it, take "{record.name}" out of tool.envforge.link-scripts'],
        )
