from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from envforge.host import query
from envforge.host.facts import host_platform
from envforge.host.probe import Report
from envforge.host.query import InterpreterCache, cache_file_for_host, query_reports

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")
MakeProgram = Callable[[Path, str], Path]


def ask(path: Path | str, cache_file: Path, *, timeout_s: float = 20.0) -> Report:
    [report] = query_reports([str(path)], InterpreterCache(cache_file), os.environ, timeout_s=timeout_s)
    return report


def counting(real_python: str, calls: Path) -> str:
    """A script that is a Python and writes down each start."""
    return f'echo x >> "{calls}"\nexec "{real_python}" "$@"\n'


def test_a_real_interpreter(real_python: str, cache_file: Path) -> None:
    report = ask(real_python, cache_file)
    assert report == Report(
        executable=real_python,
        version=platform.python_version(),
        release=sys.version_info[:3],
        final=sys.version_info.releaselevel == "final",
        platform=host_platform(),
        built_for=report.built_for,
        implementation=sys.implementation.name,
        base_prefix=sys.base_prefix,
        glibc=report.glibc,
    )
    libc, version = platform.libc_ver()
    if libc == "glibc":
        assert report.glibc == tuple(int(part) for part in version.split("."))


def test_the_cache_starts_no_second_process(
    tmp_path: Path, real_python: str, cache_file: Path, make_program: MakeProgram
) -> None:
    calls = tmp_path / "calls"
    script = make_program(tmp_path / "python3", counting(real_python, calls))
    first = ask(script, cache_file)
    assert ask(script, cache_file) == first
    assert calls.read_text() == "x\n"


def test_a_changed_file_is_asked_again(
    tmp_path: Path, real_python: str, cache_file: Path, make_program: MakeProgram
) -> None:
    calls = tmp_path / "calls"
    script = make_program(tmp_path / "python3", counting(real_python, calls))
    ask(script, cache_file)
    make_program(tmp_path / "python3", counting(real_python, calls) + "# another build\n")
    ask(script, cache_file)
    assert calls.read_text() == "x\nx\n"


def test_a_shim_answers_for_its_base_and_is_asked_again_when_that_is_gone(
    tmp_path: Path, real_python: str, cache_file: Path, make_program: MakeProgram
) -> None:
    calls = tmp_path / "calls"
    link = tmp_path / "installed" / "python3"
    link.parent.mkdir()
    link.symlink_to(real_python)
    script = make_program(tmp_path / "shims" / "python3", counting(str(link), calls))
    assert ask(script, cache_file).executable == real_python
    content = json.loads(cache_file.read_text())
    content["interpreters"][str(script)]["base_stamp"] = None
    cache_file.write_text(json.dumps(content))
    ask(script, cache_file)
    assert calls.read_text() == "x\nx\n"


@pytest.mark.parametrize("copies", [False, True])
def test_a_venv_answers_for_its_base(
    tmp_path: Path, real_python: str, cache_file: Path, copies: bool
) -> None:
    command = [
        real_python,
        "-m",
        "venv",
        "--without-pip",
        *(["--copies"] if copies else []),
        str(tmp_path / "venv"),
    ]
    subprocess.run(command, check=True)
    report = ask(tmp_path / "venv" / "bin" / "python", cache_file)
    assert report.executable == real_python
    assert report.base_prefix == sys.base_prefix


def test_broken_ones_give_reasons(tmp_path: Path, cache_file: Path, make_program: MakeProgram) -> None:
    broken = {
        "exit": ("echo cannot open libpython >&2; exit 127", "status 127: cannot open libpython"),
        "silent": ("exit 0", "did not answer as a Python does"),
        "garbage": ("echo Python 3.12.4", "did not answer as a Python does: Python 3.12.4"),
        "half": ("echo 'envforge-python:{\"executable\": '", "garbled"),
        "strange": ("echo 'envforge-python:{\"version_info\": 7}'", "garbled"),
        "binary": ("printf '\\377\\376\\000'", "did not answer"),
    }
    paths = [str(make_program(tmp_path / name, body)) for name, (body, _) in broken.items()]
    reports = query_reports(paths, InterpreterCache(cache_file), os.environ, timeout_s=20)
    for report, (_, reason) in zip(reports, broken.values(), strict=True):
        assert reason in report.fault


def test_what_is_no_program_gives_a_reason(tmp_path: Path, cache_file: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no program")
    text.chmod(0o755)
    assert "cannot be started" in ask(text, cache_file).fault
    assert "cannot be started: No such file" in ask(tmp_path / "absent", cache_file).fault
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xf3\x00" + bytes(100))  # RISC-V
    foreign.chmod(0o755)
    assert ask(foreign, cache_file).fault


def test_a_hanging_one_and_its_children_are_killed(
    tmp_path: Path, cache_file: Path, make_program: MakeProgram
) -> None:
    pid_file = tmp_path / "pid"
    script = make_program(tmp_path / "python3", f'sleep 300 & echo $! > "{pid_file}"; wait')
    start = time.monotonic()
    assert "no answer in 0.5 s" in ask(script, cache_file, timeout_s=0.5).fault
    assert time.monotonic() - start < 5
    child = Path("/proc") / pid_file.read_text().strip()
    deadline = time.monotonic() + 5
    while child.exists() and "Z" not in (child / "stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the child survived"
        time.sleep(0.01)


def test_one_that_closes_its_output_and_hangs_is_killed(
    tmp_path: Path, cache_file: Path, make_program: MakeProgram
) -> None:
    script = make_program(tmp_path / "python3", "exec >/dev/null 2>&1; exec sleep 300")
    start = time.monotonic()
    assert ask(script, cache_file, timeout_s=0.5).fault
    assert time.monotonic() - start < 5


def test_an_endless_talker_is_cut_short(tmp_path: Path, cache_file: Path, make_program: MakeProgram) -> None:
    script = make_program(tmp_path / "python3", "exec yes")
    start = time.monotonic()
    assert ask(script, cache_file, timeout_s=0.5).fault
    assert time.monotonic() - start < 5


def test_faults_are_remembered_for_an_hour(
    tmp_path: Path, cache_file: Path, make_program: MakeProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    script = make_program(tmp_path / "python3", f'echo x >> "{calls}"; exit 1')
    ask(script, cache_file)
    ask(script, cache_file)
    assert calls.read_text() == "x\n"
    now = time.time()
    monkeypatch.setattr(query.time, "time", lambda: now + query.FAULT_LIFETIME_S + 1)
    ask(script, cache_file)
    assert calls.read_text() == "x\nx\n"


def test_python_variables_do_not_reach_the_interpreter(
    tmp_path: Path, cache_file: Path, make_program: MakeProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setenv("PYTHONHOME", "/nonsense")
    monkeypatch.setenv("OTHER", "kept")
    script = make_program(tmp_path / "python3", f'echo "$PYTHONHOME:$OTHER" > "{seen}"; exit 1')
    ask(script, cache_file)
    assert seen.read_text() == ":kept\n"


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"format": 99}', '{"format": 1, "interpreters": {"x": {}}}', "\x00\xff"],
)
def test_a_damaged_cache_is_as_good_as_none(real_python: str, cache_file: Path, content: str) -> None:
    cache_file.parent.mkdir()
    cache_file.write_text(content)
    assert not ask(real_python, cache_file).fault
    assert json.loads(cache_file.read_text())["format"] == 1


def test_an_entry_of_a_wrong_shape_is_as_good_as_none(real_python: str, cache_file: Path) -> None:
    ask(real_python, cache_file)
    good = json.loads(cache_file.read_text())
    for damage in ("stamp", "asked_at", "base_stamp", "report"):
        content = json.loads(json.dumps(good))
        del content["interpreters"][real_python][damage]
        cache_file.write_text(json.dumps(content))
        assert ask(real_python, cache_file).executable == real_python


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path, real_python: str) -> None:
    (tmp_path / "file").write_text("")
    assert not ask(real_python, tmp_path / "file" / "cache.json").fault
    (tmp_path / "folder").mkdir()
    assert not ask(real_python, tmp_path / "folder").fault
    assert os.listdir(tmp_path) in (["file", "folder"], ["folder", "file"])


def test_several_are_asked_at_once(tmp_path: Path, real_python: str, cache_file: Path) -> None:
    paths = []
    for number in range(10):  # more than are asked in one go
        script = tmp_path / str(number) / "python3"
        script.parent.mkdir()
        script.write_text(f'#!/bin/sh\nexec "{real_python}" "$@"\n')
        script.chmod(0o755)
        paths.append(str(script))
    reports = query_reports([*paths, paths[0]], InterpreterCache(cache_file), os.environ, timeout_s=30)
    assert [report.executable for report in reports] == [real_python] * 11


def test_specifiers_are_remembered(cache_file: Path) -> None:
    cache = InterpreterCache(cache_file)
    assert cache.admits(">=3.11", "3.12.1")
    assert not cache.admits(">=3.13", "3.12.1")
    cache.save()
    code = (
        "import sys; from pathlib import Path; from envforge.host.query import InterpreterCache\n"
        "cache = InterpreterCache(Path(sys.argv[1]))\n"
        "print(cache.admits('>=3.11', '3.12.1'), cache.admits('>=3.13', '3.12.1'))\n"
        "print('packaging' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(cache_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False"]


def test_each_host_has_a_file_of_its_own(tmp_path: Path) -> None:
    file = cache_file_for_host(tmp_path)
    assert platform.node() in file.name
    assert tmp_path in file.parents


def test_a_copied_interpreter_that_lost_its_library_is_a_fault(
    tmp_path: Path, real_python: str, cache_file: Path
) -> None:
    lonely = tmp_path / "bin" / "python3"
    lonely.parent.mkdir()
    shutil.copy(real_python, lonely)
    report = ask(lonely, cache_file)
    # Some builds find their library by a compiled-in path; then the copy works and says where it belongs.
    assert report.fault or report.base_prefix
