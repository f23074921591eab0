"""An environment's own names and files, as values: Linux, macOS and Windows."""

from __future__ import annotations

import pytest

from envforge.environment.activate_scripts import activation_files
from envforge.environment.conda_activation import CondaActivation
from envforge.environment.contents import PythonName, plan_python, planned_files, powershell_source
from envforge.environment.spec import GenerationPrefix
from envforge.errors import GenerationError
from envforge.model.host import Interpreter
from envforge.model.layout import environment_layout
from envforge.struct import replace

from support.environments import Grounds

LINUX = Interpreter(
    executable="/opt/py/bin/python3.12", version="3.12.4", platform="linux-64", base_prefix="/opt/py"
)
MAC = replace(LINUX, platform="osx-arm64")
WINDOWS = Interpreter(
    executable=r"C:\py\python.exe", version="3.12.4", platform="win-64", base_prefix=r"C:\py"
)


def layout(interpreter: Interpreter) -> object:
    return environment_layout(interpreter.platform, interpreter.minor)


def test_names_on_linux() -> None:
    assert plan_python(LINUX, environment_layout("linux-64", "3.12")) == (
        PythonName("bin/python", "/opt/py/bin/python3.12"),
        PythonName("bin/python3", "python"),
        PythonName("bin/python3.12", "python"),
        PythonName("lib64", "lib"),
    )


def test_names_on_a_mac() -> None:
    names = plan_python(MAC, environment_layout("osx-arm64", "3.12"))
    assert [name.path for name in names] == ["bin/python", "bin/python3", "bin/python3.12"]


@pytest.mark.parametrize(
    ("version", "launchers"),
    [
        ("3.11.9", ["python.exe", "pythonw.exe"]),
        ("3.12.4", ["python.exe", "pythonw.exe"]),
        ("3.13.0", ["venvlauncher.exe", "venvwlauncher.exe"]),
        ("3.14.1", ["venvlauncher.exe", "venvwlauncher.exe"]),
    ],
)
def test_names_on_windows(version: str, launchers: list[str]) -> None:
    names = plan_python(replace(WINDOWS, version=version), environment_layout("win-64", "3.12"))
    assert [(name.path, name.copied) for name in names] == [
        ("Scripts/python.exe", True),
        ("Scripts/pythonw.exe", True),
    ]
    assert [name.source for name in names] == [rf"C:\py\Lib\venv\scripts\nt\{name}" for name in launchers]


def test_pyvenv_cfg(grounds: Grounds) -> None:
    spec = grounds.spec(interpreter=LINUX)
    text = planned_files(spec, powershell=None)["pyvenv.cfg"].decode()
    lines = dict(line.split(" = ") for line in text.splitlines())
    assert lines.pop("envforge")
    assert lines == {
        "home": "/opt/py/bin",
        "include-system-site-packages": "false",
        "version": "3.12.4",
        "executable": "/opt/py/bin/python3.12",
        "prompt": "demo",
    }


def test_files_on_linux(grounds: Grounds) -> None:
    files = planned_files(grounds.spec(interpreter=LINUX), powershell=b"ps")
    assert set(files) == {
        ".gitignore",
        "pyvenv.cfg",
        "bin/activate",
        "bin/activate.fish",
        "bin/activate.csh",
        "bin/Activate.ps1",
    }
    assert files[".gitignore"] == b"*\n"
    assert files["bin/Activate.ps1"] == b"ps"


def test_files_on_windows(grounds: Grounds) -> None:
    spec = grounds.spec(interpreter=WINDOWS, venv=r"C:\100%\.venv")
    with pytest.raises(GenerationError):
        planned_files(replace(spec, venv=r"C:\a;b\.venv"), powershell=None)
    files = planned_files(spec, powershell=None)
    assert set(files) == {
        ".gitignore",
        "pyvenv.cfg",
        "Scripts/activate",
        "Scripts/activate.bat",
        "Scripts/deactivate.bat",
    }
    assert files["pyvenv.cfg"].startswith(b"home = C:\\py\n")
    assert b'@set "VIRTUAL_ENV=C:\\100%%\\.venv"\r\n' in files["Scripts/activate.bat"]
    assert b"cygpath 'C:\\100%\\.venv'" in files["Scripts/activate"]


CONDA = CondaActivation(
    prefix=r"C:\tier\prefixes\50%",
    folders=(r"C:\tier\prefixes\50%", r"C:\tier\prefixes\50%\Library\bin"),
    variables={"CONDA_PREFIX": r"C:\tier\prefixes\50%", "OWN": "it's %PATH%"},
    activate=(r"C:\p\a.bat", r"C:\p\a.ps1", "C:/p/a.sh"),
    deactivate=(r"C:\p\d.bat", r"C:\p\d.ps1", "C:/p/d.sh"),
)


def test_activation_of_a_prefix_on_windows(grounds: Grounds) -> None:
    spec = grounds.spec(interpreter=WINDOWS, venv=r"C:\p\.venv", prefix=GenerationPrefix(CONDA.prefix, ()))
    files = planned_files(spec, powershell=STOCK, conda=CONDA)
    assert b"include-system-site-packages = true\n" in files["pyvenv.cfg"]
    assert files["Lib/site-packages/_envforge.pth"]
    enter = files["Scripts/activate.bat"].decode().split("\r\n")
    assert '@set "CONDA_PREFIX=C:\\tier\\prefixes\\50%%"' in enter
    assert '@set "OWN=it\'s %%PATH%%"' in enter
    folders = r"C:\tier\prefixes\50%%;C:\tier\prefixes\50%%\Library\bin"
    assert rf'@set "PATH=%VIRTUAL_ENV%\Scripts;{folders};%PATH%"' in enter
    assert enter[-2:] == [r'@call "C:\p\a.bat"', ""]
    leave = files["Scripts/deactivate.bat"].decode().split("\r\n")
    assert leave[0] == r'@if defined _ENVFORGE_CONDA call "C:\p\d.bat"'
    assert '@if defined _ENVFORGE_CONDA set "OWN=%_OLD_OWN%"' in leave
    sh = files["Scripts/activate"].decode()
    assert 'PATH="$VIRTUAL_ENV/Scripts:$_ENVFORGE_CONDA:$_ENVFORGE_CONDA/Library/bin:$PATH"' in sh
    assert "_ENVFORGE_CONDA=$(cygpath 'C:\\tier\\prefixes\\50%' " in sh


STOCK = b"\xef\xbb\xbf<# help #>\r\n$VenvExecPath = 1\r\n# SIG # Begin signature block\r\n# SIG # MIIx\r\n"


def test_activation_of_a_prefix_in_powershell(grounds: Grounds) -> None:
    spec = grounds.spec(interpreter=WINDOWS, venv=r"C:\p\.venv", prefix=GenerationPrefix(CONDA.prefix, ()))
    script = planned_files(spec, powershell=STOCK, conda=CONDA)["Scripts/Activate.ps1"].decode()
    assert script.startswith("<# help #>\r\n$VenvExecPath = 1\r\n")
    assert "SIG" not in script
    lines = script.split("\r\n")
    folders = r"';C:\tier\prefixes\50%;C:\tier\prefixes\50%\Library\bin;'"
    assert f"$Env:PATH = $VenvExecPath + {folders} + $Env:_OLD_VIRTUAL_PATH" in lines
    values = r"CONDA_PREFIX = 'C:\tier\prefixes\50%'; OWN = 'it''s %PATH%'"
    assert f"$_EnvforgeNew = [ordered]@{{ {values} }}" in lines
    assert r"foreach ($script in @('C:\p\a.ps1')) { . $script }" in lines
    assert r"    foreach ($script in @('C:\p\d.ps1')) { . $script }" in lines
    assert planned_files(spec, powershell=STOCK)["Scripts/Activate.ps1"] == STOCK


def test_where_powershells_script_comes_from() -> None:
    linux = powershell_source(LINUX, environment_layout("linux-64", "3.12"))
    assert linux == "/opt/py/lib/python3.12/venv/scripts/common/Activate.ps1"
    windows = powershell_source(WINDOWS, environment_layout("win-64", "3.12"))
    assert windows == r"C:\py/Lib/venv/scripts/common/Activate.ps1"


@pytest.mark.parametrize("venv", ["/a:b/.venv", "/a\nb/.venv"])
def test_a_venv_that_no_path_can_name(grounds: Grounds, venv: str) -> None:
    with pytest.raises(GenerationError, match="cannot be on a PATH") as raised:
        planned_files(grounds.spec(venv=venv), powershell=None)
    assert raised.value.hints


def test_a_prompt_cannot_run_anything() -> None:
    for content in activation_files(
        "/p/.venv", "$(touch x)`y`'!", environment_layout("linux-64", "3.12")
    ).values():
        assert b"(--touch x--y---) " in content or b"'--touch x--y---'" in content
        assert b"touch x)`" not in content
