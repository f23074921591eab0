"""Scripts as bytes, and run by a real interpreter."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from envforge.errors import ArchiveError, GenerationError
from envforge.link.scripts import (
    LONGEST_SHEBANG,
    check_script_name,
    rewritten_script,
    script_text,
    shebang,
    write_scripts,
)
from envforge.model.layout import environment_layout
from envforge.model.tree import EntryPoint
from envforge.plan.link_plan import LinkMode, Script, plan_links

from support.forest import Forest

LINUX = environment_layout("linux-64", "3.12")
TOOL = EntryPoint(name="tool", module="pkg.cli", attribute="App.main")
WINDOWS_PYTHON = r"C:\envs\python312\Scripts\python.exe"


def test_posix_script() -> None:
    text = script_text(TOOL, "/e/bin/python", "linux-64").decode()
    assert text == (
        "#!/e/bin/python\n# -*- coding: utf-8 -*-\nimport sys\nfrom pkg.cli import App\n"
        'if __name__ == "__main__":\n    sys.exit(App.main())\n'
    )


@pytest.mark.parametrize(("platform", "other"), [("win-64", "win-arm64"), ("win-arm64", "win-64")])
@pytest.mark.parametrize(("gui", "python"), [(False, "python.exe"), (True, "pythonw.exe")])
def test_windows_launcher(platform: str, other: str, gui: bool, python: str) -> None:
    point = EntryPoint(name="tool", module="pkg.cli", attribute="App.main", gui=gui)
    content = script_text(point, WINDOWS_PYTHON, platform)
    assert content == script_text(point, WINDOWS_PYTHON, platform), "same input, same bytes"
    assert content.startswith(b"MZ")
    assert content[:100_000] != script_text(point, WINDOWS_PYTHON, other)[:100_000]
    assert f"#!C:\\envs\\python312\\Scripts\\{python}\n".encode() in content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        main = archive.read("__main__.py").decode()
    assert "from pkg.cli import App\n" in main
    compile(main, "__main__.py", "exec")


def test_windows_path_with_a_blank_is_quoted() -> None:
    content = script_text(TOOL, r"C:\My Envs\Scripts\python.exe", "win-64")
    assert b'#!"C:\\My Envs\\Scripts\\python.exe"\n' in content


@pytest.mark.parametrize(
    ("first_line", "expected"),
    [
        (b"#!python\n", b"#!/e/bin/python\n"),
        (b"#!pythonw\n", b"#!/e/bin/python\n"),
        (b"#!python3\r\n", b"#!/e/bin/python\n"),
        (b"#!python -E -s\n", b"#!/e/bin/python -E -s\n"),
    ],
)
def test_rewritten_first_line(first_line: bytes, expected: bytes) -> None:
    assert (
        rewritten_script(first_line + b"print(1)\n", "/e/bin/python", "linux-64") == expected + b"print(1)\n"
    )


def test_rewritten_first_line_on_windows() -> None:
    content = rewritten_script(b"#!pythonw\r\nx = 1\r\n", WINDOWS_PYTHON, "win-64")
    assert content == b"#!C:\\envs\\python312\\Scripts\\pythonw.exe\r\nx = 1\r\n"


@pytest.mark.parametrize(
    "name",
    ["plain", "with blank", "it's", 'quo"te', "a$HOME`id`", "x" * 120, "x" * 100 + " it's y", "ümlaut"],
)
def test_every_path_starts_the_interpreter(tmp_path: Path, name: str) -> None:
    python = tmp_path / name / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    script = tmp_path / "script"
    script.write_bytes(shebang(str(python)) + b"import sys\nprint(sys.argv[1:])\n")
    script.chmod(0o755)
    ran = subprocess.run([script, "a b", "c"], capture_output=True, text=True, check=True)
    assert ran.stdout == "['a b', 'c']\n"


def test_options_survive_a_long_path(tmp_path: Path) -> None:
    python = tmp_path / ("x" * 120) / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    content = rewritten_script(
        b"#!python -S\nimport sys\nprint(sys.flags.no_site)\n", str(python), "linux-64"
    )
    script = tmp_path / "script"
    script.write_bytes(content)
    script.chmod(0o755)
    assert content.startswith(b"#!/bin/sh\n")
    assert subprocess.run([script], capture_output=True, text=True, check=True).stdout == "1\n"


def test_the_longest_plain_first_line() -> None:
    fits = "/" + "x" * (LONGEST_SHEBANG - 4)
    assert shebang(fits) == f"#!{fits}\n".encode()
    assert len(shebang(fits)) == LONGEST_SHEBANG
    assert shebang(f"{fits}x").startswith(b"#!/bin/sh\n")


@pytest.mark.parametrize("path", ["/a\nb/python", "/a b\\nc/python", "/\udcff/python"])
def test_a_path_that_no_script_can_carry(path: str) -> None:
    with pytest.raises(GenerationError, match="no script can start a Python at") as raised:
        shebang(path)
    assert raised.value.hints


@pytest.mark.parametrize(
    ("module", "attribute"),
    [("pkg", "main; import os"), ("pkg-x", "main"), ("", "main"), ("pkg", ""), ("a..b", "c")],
)
def test_an_entry_point_that_is_no_name(module: str, attribute: str) -> None:
    with pytest.raises(ArchiveError, match="no Python name"):
        script_text(EntryPoint(name="x", module=module, attribute=attribute), "/p", "linux-64")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/x", "a\0b"])
def test_names_that_leave_the_folder(name: str) -> None:
    with pytest.raises(ArchiveError, match="not a plain file name"):
        check_script_name(name, windows=False)


@pytest.mark.parametrize("name", ["CON", "nul.txt", "com1", "lpt0.py", "x.", "x ", "a:b", "a\\b", "what?"])
def test_names_that_windows_does_not_have(name: str) -> None:
    check_script_name(name, windows=False)
    with pytest.raises(ArchiveError, match=r"Windows|plain"):
        check_script_name(name, windows=True)


def test_scripts_of_a_plan_are_written_and_run(forest: Forest, tmp_path: Path) -> None:
    point = EntryPoint(name="hello", module="json", attribute="dumps.__call__")
    forest.plant(
        "a", points=(point,),
        scripts={"old": "#!python\nprint('old')\n", "shell": "#!/bin/sh\necho shell\n", "program": b"ELF"},
    )  # fmt: skip
    plan = plan_links(forest.trees, LINUX, forest, mode=LinkMode.SHARED)
    prefix = tmp_path / "e"
    (prefix / "bin").mkdir(parents=True)
    write_scripts(plan.scripts, forest.root, prefix, LINUX, python=sys.executable, platform="linux-64")

    def run(name: str) -> str:
        return subprocess.run([prefix / "bin" / name], capture_output=True, text=True, check=False).stdout

    assert sorted(os.listdir(prefix / "bin")) == ["hello", "old", "program", "shell"]
    assert run("old") == "old\n"
    assert run("shell") == "shell\n"
    assert os.access(prefix / "bin/hello", os.X_OK)
    source = forest.root / "trees" / forest.trees[0].id / "scripts"
    assert (prefix / "bin/program").samefile(source / "program")
    assert (source / "old").read_text().startswith("#!python\n"), "the store is as it was"


def test_programs_are_copied_where_files_may_be_written_to(forest: Forest, tmp_path: Path) -> None:
    forest.plant("a", scripts={"program": b"\x7fELF..."})
    plan = plan_links(forest.trees, LINUX, forest, mode=LinkMode.COPY)
    (tmp_path / "e/bin").mkdir(parents=True)
    write_scripts(plan.scripts, forest.root, tmp_path / "e", LINUX, python="/p", platform="linux-64")
    program = tmp_path / "e/bin/program"
    assert program.stat().st_nlink == 1
    assert os.access(program, os.X_OK | os.W_OK)


def test_nothing_is_written_if_one_name_is_bad(forest: Forest, tmp_path: Path) -> None:
    (tmp_path / "e/bin").mkdir(parents=True)
    scripts = [Script("fine", TOOL), Script("../evil", TOOL)]
    with pytest.raises(ArchiveError, match="evil"):
        write_scripts(scripts, forest.root, tmp_path / "e", LINUX, python="/p", platform="linux-64")
    assert os.listdir(tmp_path / "e/bin") == []
