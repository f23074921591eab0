"""The text of ``activate`` for sh, bash and zsh, for fish, for csh and tcsh, and for cmd.

They keep the names of the standard library's (``_OLD_VIRTUAL_PATH``, ``deactivate nondestructive``),
because shells' prompts and other tools' scripts know them. The library's own templates are not used: up
to 3.12.7 and 3.13.0 they do not quote the path (CVE-2024-9287). PowerShell's has no path in it and is
taken from the interpreter.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from envforge.model.layout import EnvironmentLayout
from envforge.struct import Struct

if TYPE_CHECKING:
    from envforge.environment.conda_activation import CondaActivation


class CondaBlocks(Struct, frozen=True, kw_only=True):
    """Texts for a shell's template; all "" for an environment without conda's part.

    Args:
        leave: restores what was before; does nothing where nothing was entered.
        enter: remembers and sets variables.
        path: what stands between the environment's own scripts and the rest of the PATH.
        scripts: runs what packages bring.
    """

    leave: str = ""
    enter: str = ""
    path: str = ""
    scripts: str = ""


def activation_files(
    venv: str, prompt: str, layout: EnvironmentLayout, conda: CondaActivation | None = None
) -> dict[str, bytes]:
    """File name in the scripts folder → content.

    Args:
        venv: what VIRTUAL_ENV is set to.
        prompt: shown before the shell's own; everything but letters, digits and ``._+-@`` becomes ``-``.
        layout: of the environment.
        conda: the prefix to be in too, None for none.
    """
    plain = "".join(char if char.isalnum() or char in "._+-@ " else "-" for char in prompt)
    blocks = dict.fromkeys(("sh", "bat", "fish", "csh"), CondaBlocks())
    if conda:
        from envforge.environment.activate_conda import conda_blocks

        blocks |= conda_blocks(conda, windows=layout.windows)
    sh = blocks["sh"]
    if layout.windows:
        bat = blocks["bat"]
        place = _WINDOWS_PATH.format(shlex.quote(venv))
        activate_bat = _text(_BAT, bat, venv=venv.replace("%", "%%"), prompt=plain)
        return {
            "activate": _text(_SH, sh, venv=place, prompt=plain, bin="Scripts"),
            "activate.bat": activate_bat.replace(b"\n", b"\r\n"),
            "deactivate.bat": (bat.leave + _BAT_DEACTIVATE).replace("\n", "\r\n").encode(),
        }
    fish, csh = blocks["fish"], blocks["csh"]
    files = {
        "activate": _text(_SH, sh, venv=shlex.quote(venv), prompt=plain, bin=layout.scripts),
        "activate.fish": _text(_FISH, fish, venv=fish_quoted(venv), prompt=plain, bin=layout.scripts),
        "activate.csh": _text(_CSH, csh, venv=csh_quoted(venv), prompt=plain, bin=layout.scripts),
    }
    if conda:
        files["deactivate.csh"] = csh.leave.encode("utf-8", "surrogateescape")
    return files


def fish_quoted(text: str) -> str:
    """Quoted for fish."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def csh_quoted(text: str) -> str:
    """Quoted for csh, where ``!`` means history inside quotes too."""
    escaped = text.replace("'", "'\\''").replace("!", "\\!")
    return f"'{escaped}'"


def _text(template: str, conda: CondaBlocks, **values: str) -> bytes:
    """The template filled in, in one pass: what stands in a path is not looked at again."""
    fields = {
        "BIN": values.get("bin", ""),
        "PROMPT": values["prompt"],
        "VENV": values["venv"],
        "CONDA_LEAVE": conda.leave,
        "CONDA_ENTER": conda.enter,
        "CONDA_PATH": conda.path,
        "CONDA_SCRIPTS": conda.scripts,
    }
    filled = _FIELD.sub(lambda hit: fields[hit[1] or hit[2]], template)
    return filled.encode("utf-8", "surrogateescape")


_FIELD = re.compile(r"@(CONDA_(?:LEAVE|ENTER|SCRIPTS))@\n|@([A-Z_]+)@")
"""What is a line of its own takes the line break with it."""


_WINDOWS_PATH = '$(cygpath {0} 2>/dev/null || printf "%s" {0})'

_SH = """\
# Use it with "source .venv/@BIN@/activate" in sh, bash or zsh; it cannot be run.

# what another environment has entered, only its own function can leave
if [ -n "${_ENVFORGE_CONDA+x}" ]; then deactivate nondestructive; fi

deactivate () {
@CONDA_LEAVE@
    if [ -n "${_OLD_VIRTUAL_PATH+x}" ]; then
        PATH="$_OLD_VIRTUAL_PATH"
        export PATH
        unset _OLD_VIRTUAL_PATH
    fi
    if [ -n "${_OLD_VIRTUAL_PYTHONHOME+x}" ]; then
        PYTHONHOME="$_OLD_VIRTUAL_PYTHONHOME"
        export PYTHONHOME
        unset _OLD_VIRTUAL_PYTHONHOME
    fi
    if [ -n "${_OLD_VIRTUAL_PS1+x}" ]; then
        PS1="$_OLD_VIRTUAL_PS1"
        unset _OLD_VIRTUAL_PS1
    fi
    unset VIRTUAL_ENV VIRTUAL_ENV_PROMPT
    # the shell remembers where it found programs
    hash -r 2>/dev/null || true
    if [ "${1-}" != "nondestructive" ]; then
        unset -f deactivate
    fi
}

deactivate nondestructive

VIRTUAL_ENV=@VENV@
VIRTUAL_ENV_PROMPT='@PROMPT@'
export VIRTUAL_ENV VIRTUAL_ENV_PROMPT

@CONDA_ENTER@
_OLD_VIRTUAL_PATH="$PATH"
PATH="$VIRTUAL_ENV/@BIN@:@CONDA_PATH@$PATH"
export PATH

if [ -n "${PYTHONHOME+x}" ]; then
    _OLD_VIRTUAL_PYTHONHOME="$PYTHONHOME"
    unset PYTHONHOME
fi

if [ -z "${VIRTUAL_ENV_DISABLE_PROMPT-}" ]; then
    _OLD_VIRTUAL_PS1="${PS1-}"
    PS1="(@PROMPT@) ${PS1-}"
fi

@CONDA_SCRIPTS@
hash -r 2>/dev/null || true
"""

_FISH = """\
# Use it with "source .venv/@BIN@/activate.fish" in fish; it cannot be run.

# what another environment has entered, only its own function can leave
set -q _ENVFORGE_CONDA; and functions -q deactivate; and deactivate nondestructive

function deactivate -d 'Leave the environment and return to the normal shell'
@CONDA_LEAVE@
    if set -q _OLD_VIRTUAL_PATH
        set -gx PATH $_OLD_VIRTUAL_PATH
        set -e _OLD_VIRTUAL_PATH
    end
    if set -q _OLD_VIRTUAL_PYTHONHOME
        set -gx PYTHONHOME $_OLD_VIRTUAL_PYTHONHOME
        set -e _OLD_VIRTUAL_PYTHONHOME
    end
    if set -q _OLD_FISH_PROMPT_OVERRIDE
        set -e _OLD_FISH_PROMPT_OVERRIDE
        # a nested fish inherits the variable, but not the functions
        if functions -q _old_fish_prompt
            functions -e fish_prompt
            functions -c _old_fish_prompt fish_prompt
            functions -e _old_fish_prompt
        end
    end
    set -e VIRTUAL_ENV
    set -e VIRTUAL_ENV_PROMPT
    if test "$argv[1]" != nondestructive
        functions -e deactivate
    end
end

deactivate nondestructive

set -gx VIRTUAL_ENV @VENV@
set -gx VIRTUAL_ENV_PROMPT '@PROMPT@'
@CONDA_ENTER@
set -gx _OLD_VIRTUAL_PATH $PATH
set -gx PATH "$VIRTUAL_ENV/@BIN@"@CONDA_PATH@ $PATH

if set -q PYTHONHOME
    set -gx _OLD_VIRTUAL_PYTHONHOME $PYTHONHOME
    set -e PYTHONHOME
end

if test -z "$VIRTUAL_ENV_DISABLE_PROMPT"; and functions -q fish_prompt
    functions -c fish_prompt _old_fish_prompt
    function fish_prompt
        # the user's prompt may show the status of the last command
        set -l old_status $status
        printf '(%s) ' "$VIRTUAL_ENV_PROMPT"
        builtin echo "exit $old_status" | builtin source
        _old_fish_prompt
    end
    set -gx _OLD_FISH_PROMPT_OVERRIDE "$VIRTUAL_ENV"
end

@CONDA_SCRIPTS@
"""

_CSH = """\
# Use it with "source .venv/@BIN@/activate.csh" in csh or tcsh; it cannot be run.

# what another environment has entered, only its own alias can leave
test $?_ENVFORGE_CONDA != 0 && deactivate nondestructive

# "if (…) …" would look at variables that are not there; "test … && …" does not
alias deactivate 'test $?_ENVFORGE_CONDA != 0 && source "$VIRTUAL_ENV:q/@BIN@/deactivate.csh"; \
test $?_OLD_VIRTUAL_PATH != 0 && setenv PATH "$_OLD_VIRTUAL_PATH:q" \
&& unset _OLD_VIRTUAL_PATH; \
test $?_OLD_VIRTUAL_PYTHONHOME != 0 && setenv PYTHONHOME "$_OLD_VIRTUAL_PYTHONHOME:q" \
&& unset _OLD_VIRTUAL_PYTHONHOME; \
test $?_OLD_VIRTUAL_PROMPT != 0 && set prompt = "$_OLD_VIRTUAL_PROMPT:q" && unset _OLD_VIRTUAL_PROMPT; \
unsetenv VIRTUAL_ENV; unsetenv VIRTUAL_ENV_PROMPT; rehash; \
test "\\!:*" != "nondestructive" && unalias deactivate'

deactivate nondestructive

setenv VIRTUAL_ENV @VENV@
setenv VIRTUAL_ENV_PROMPT '@PROMPT@'
@CONDA_ENTER@
set _OLD_VIRTUAL_PATH = "$PATH:q"
setenv PATH "$VIRTUAL_ENV:q/@BIN@:@CONDA_PATH@$PATH:q"

if ($?PYTHONHOME) then
    set _OLD_VIRTUAL_PYTHONHOME = "$PYTHONHOME:q"
    unsetenv PYTHONHOME
endif

if (! $?VIRTUAL_ENV_DISABLE_PROMPT && $?prompt) then
    set _OLD_VIRTUAL_PROMPT = "$prompt:q"
    set prompt = '(@PROMPT@) '"$prompt:q"
endif

@CONDA_SCRIPTS@
rehash
"""

_BAT = """\
@if defined _OLD_VIRTUAL_PATH call "%~dp0deactivate.bat"
@set "VIRTUAL_ENV=@VENV@"
@set "VIRTUAL_ENV_PROMPT=@PROMPT@"
@CONDA_ENTER@
@set "_OLD_VIRTUAL_PATH=%PATH%"
@set "PATH=%VIRTUAL_ENV%\\Scripts;@CONDA_PATH@%PATH%"
@if defined PYTHONHOME set "_OLD_VIRTUAL_PYTHONHOME=%PYTHONHOME%"
@set PYTHONHOME=
@if not defined PROMPT set "PROMPT=$P$G"
@if not defined VIRTUAL_ENV_DISABLE_PROMPT set "_OLD_VIRTUAL_PROMPT=%PROMPT%"
@if not defined VIRTUAL_ENV_DISABLE_PROMPT set "PROMPT=(@PROMPT@) %PROMPT%"
@CONDA_SCRIPTS@
"""

_BAT_DEACTIVATE = """\
@if defined _OLD_VIRTUAL_PATH set "PATH=%_OLD_VIRTUAL_PATH%"
@set _OLD_VIRTUAL_PATH=
@if defined _OLD_VIRTUAL_PYTHONHOME set "PYTHONHOME=%_OLD_VIRTUAL_PYTHONHOME%"
@set _OLD_VIRTUAL_PYTHONHOME=
@if defined _OLD_VIRTUAL_PROMPT set "PROMPT=%_OLD_VIRTUAL_PROMPT%"
@set _OLD_VIRTUAL_PROMPT=
@set VIRTUAL_ENV=
@set VIRTUAL_ENV_PROMPT=
"""
