"""The part of each shell's ``activate`` that enters and leaves a conda prefix, as text.

Values that were there before come back on leaving. A package's script that fails does not end the user's
shell, nor the activation: conda's own way.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from envforge.environment.activate_scripts import CondaBlocks, csh_quoted, fish_quoted
from envforge.environment.conda_activation import CondaActivation


def conda_blocks(conda: CondaActivation, *, windows: bool) -> dict[str, CondaBlocks]:
    """Shell → its part: ``sh``, and ``bat`` on Windows, ``fish`` and ``csh`` elsewhere."""
    if windows:
        return {"sh": _sh_blocks(conda, windows=True), "bat": _bat_blocks(conda)}
    return {"sh": _sh_blocks(conda, windows=False), "fish": _fish_blocks(conda), "csh": _csh_blocks(conda)}


def _sh_blocks(conda: CondaActivation, *, windows: bool) -> CondaBlocks:
    """For sh, bash and zsh; on Windows, where bash wants paths of its own, through ``cygpath``."""
    place = shlex.quote(conda.prefix)
    if windows:
        place = f'$(cygpath {place} 2>/dev/null || printf "%s" {place})'
    enter, leave = [f"_ENVFORGE_CONDA={place}"], ['    if [ -n "${_ENVFORGE_CONDA+x}" ]; then']
    leave += [f"        {line}" for line in _sh_runs(conda.leaving_scripts_for(".sh"))]
    for name, value in conda.variables.items():
        enter += [
            f'if [ -n "${{{name}+x}}" ]; then _OLD_{name}="${name}"; fi',
            f"{name}={shlex.quote(value)}",
            f"export {name}",
        ]
        leave += [
            f'        if [ -n "${{_OLD_{name}+x}}" ]; then',
            f'            {name}="$_OLD_{name}"',
            f"            export {name}",
            f"            unset _OLD_{name}",
            "        else",
            f"            unset {name}",
            "        fi",
        ]
    leave += ["        unset _ENVFORGE_CONDA", "    fi"]
    folders = [folder[len(conda.prefix) :].replace("\\", "/") for folder in conda.folders]
    return CondaBlocks(
        leave=_lines(leave),
        enter=_lines([*enter, ""]),
        path="".join(f"$_ENVFORGE_CONDA{folder}:" for folder in folders),
        scripts=_lines(_sh_runs(conda.scripts_for(".sh"))),
    )


def _sh_runs(scripts: Sequence[str]) -> Iterator[str]:
    """Run them without ``set -e`` and ``set -u``, which few are written for and which would end the shell.

    ``. script || true`` does not hold off ``set -e`` in dash.
    """
    if not scripts:
        return
    yield "_ENVFORGE_FLAGS=$-"
    yield "set +eu"
    for script in map(shlex.quote, scripts):
        yield f"if [ -r {script} ]; then . {script}; fi"
    for flag in "eu":
        yield f'case "$_ENVFORGE_FLAGS" in *{flag}*) set -{flag} ;; esac'
    yield "unset _ENVFORGE_FLAGS"


def _fish_blocks(conda: CondaActivation) -> CondaBlocks:
    """For fish."""
    place = fish_quoted(conda.prefix)
    enter, leave = [f"set -g _ENVFORGE_CONDA {place}"], ["    if set -q _ENVFORGE_CONDA"]
    leave += [f"        source {fish_quoted(script)}" for script in conda.leaving_scripts_for(".fish")]
    for name, value in conda.variables.items():
        enter += [
            f"set -q {name}; and set -g _OLD_{name} ${name}",
            f"set -gx {name} {fish_quoted(value)}",
        ]
        leave += [
            f"        if set -q _OLD_{name}",
            f"            set -gx {name} $_OLD_{name}",
            f"            set -e _OLD_{name}",
            "        else",
            f"            set -e {name}",
            "        end",
        ]
    leave += ["        set -e _ENVFORGE_CONDA", "    end"]
    return CondaBlocks(
        leave=_lines(leave),
        enter=_lines([*enter, ""]),
        path=f' "$_ENVFORGE_CONDA{conda.folders[0][len(conda.prefix) :]}"',
        scripts=_lines(f"source {fish_quoted(script)}" for script in conda.scripts_for(".fish")),
    )


def _csh_blocks(conda: CondaActivation) -> CondaBlocks:
    """For csh and tcsh; ``leave`` is a file of its own, because an alias holds one line."""
    place = csh_quoted(conda.prefix)
    enter = [f"set _ENVFORGE_CONDA = {place}"]
    leave = [f"source {csh_quoted(script)}" for script in conda.leaving_scripts_for(".csh")]
    for name, value in conda.variables.items():
        enter += [
            f'test $?{name} != 0 && set _OLD_{name} = "${name}:q"',
            f"setenv {name} {csh_quoted(value)}",
        ]
        leave += [
            f"if ($?_OLD_{name}) then",
            f'    setenv {name} "$_OLD_{name}:q"',
            f"    unset _OLD_{name}",
            "else",
            f"    unsetenv {name}",
            "endif",
        ]
    leave += ["unset _ENVFORGE_CONDA"]
    return CondaBlocks(
        leave=_lines(["# deactivate sources it", *leave]),
        enter=_lines([*enter, ""]),
        path=f"$_ENVFORGE_CONDA:q{conda.folders[0][len(conda.prefix) :]}:",
        scripts=_lines(f"source {csh_quoted(script)}" for script in conda.scripts_for(".csh")),
    )


def _bat_blocks(conda: CondaActivation) -> CondaBlocks:
    """For cmd; the file of ``deactivate`` begins with ``leave``."""
    enter = [f'@set "_ENVFORGE_CONDA={_bat(conda.prefix)}"']
    leave = [
        f'@if defined _ENVFORGE_CONDA call "{_bat(script)}"' for script in conda.leaving_scripts_for(".bat")
    ]
    for name, value in conda.variables.items():
        enter += [f'@set "_OLD_{name}=%{name}%"', f'@set "{name}={_bat(value)}"']
        leave += [
            f'@if defined _ENVFORGE_CONDA set "{name}=%_OLD_{name}%"',
            f"@set _OLD_{name}=",
        ]
    return CondaBlocks(
        leave=_lines([*leave, "@set _ENVFORGE_CONDA="]),
        enter=_lines(enter),
        path="".join(f"{_bat(folder)};" for folder in conda.folders),
        scripts=_lines(f'@call "{_bat(script)}"' for script in conda.scripts_for(".bat")),
    )


def powershell_with_conda(stock: bytes, conda: CondaActivation, *, windows: bool) -> bytes:
    """Python's own ``Activate.ps1`` with conda's part behind it.

    A signature goes: it would be that of another text. PATH is set once more, from what Python's script
    remembers and knows, so that conda's folders come behind the environment's.
    """
    text = stock.decode("utf-8-sig").replace("\r\n", "\n").partition("# SIG # Begin signature block")[0]
    separator = ";" if windows else ":"
    folders = separator.join(["", *conda.folders, ""])
    values = "; ".join(f"{name} = {_ps(value)}" for name, value in conda.variables.items())
    block = _POWERSHELL.replace("@VALUES@", values).replace("@FOLDERS@", _ps(folders))
    for mark, scripts in (
        ("@ACTIVATE@", conda.scripts_for(".ps1")),
        ("@DEACTIVATE@", conda.leaving_scripts_for(".ps1")),
    ):
        block = block.replace(mark, ", ".join(map(_ps, scripts)))
    text = f"{text.rstrip()}\n{block}"
    return (text.replace("\n", "\r\n") if windows else text).encode("utf-8", "surrogateescape")


_POWERSHELL = """
# The conda part: variables and scripts of the packages.

if (Test-Path function:_envforge_leave) { _envforge_leave }
$Global:_EnvforgeOld = @{}
$_EnvforgeNew = [ordered]@{ @VALUES@ }
foreach ($name in $_EnvforgeNew.Keys) {
    $Global:_EnvforgeOld[$name] = [Environment]::GetEnvironmentVariable($name)
    Set-Item -Path "Env:$name" -Value $_EnvforgeNew[$name]
}
$Env:PATH = $VenvExecPath + @FOLDERS@ + $Env:_OLD_VIRTUAL_PATH

function global:_envforge_leave {
    foreach ($script in @(@DEACTIVATE@)) { . $script }
    foreach ($name in $Global:_EnvforgeOld.Keys) {
        [Environment]::SetEnvironmentVariable($name, $Global:_EnvforgeOld[$name])
    }
    Remove-Variable -Name _EnvforgeOld -Scope Global
    Remove-Item -Path function:_envforge_leave
}

Copy-Item -Path function:deactivate -Destination function:_envforge_leave_venv
function global:deactivate ([switch]$NonDestructive) {
    if (Test-Path function:_envforge_leave) { _envforge_leave }
    _envforge_leave_venv -NonDestructive:$NonDestructive
    if (-not $NonDestructive -and (Test-Path function:_envforge_leave_venv)) {
        Remove-Item -Path function:_envforge_leave_venv
    }
}

foreach ($script in @(@ACTIVATE@)) { . $script }
"""


def _bat(text: str) -> str:
    return text.replace("%", "%%")


def _ps(text: str) -> str:
    """Quoted for PowerShell."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def _lines(lines: Sequence[str] | Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
