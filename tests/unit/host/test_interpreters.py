from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from envforge.errors import InterpreterError, RequirementError
from envforge.host.facts import host_platform
from envforge.host.interpreters import (
    _newest,
    _parse_demand,
    choose_interpreter,
    list_interpreters,
    query_interpreter,
)
from envforge.host.probe import Report
from envforge.model.requirement import specifier_admits

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")
MakeProgram = Callable[[Path, str], Path]
MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"


def report(version: str, **changes: object) -> Report:
    release = tuple(int(part.rstrip("abrc").split("rc")[0]) for part in version.split("."))
    known = {
        "executable": f"/pythons/{version}/bin/python3",
        "version": version,
        "release": release,
        "final": version.replace(".", "").isdigit(),
        "platform": "linux-64",
        "implementation": "cpython",
        "base_prefix": f"/pythons/{version}",
        "glibc": (2, 36),
    }
    return Report(**{**known, **changes})  # type: ignore[arg-type]


def refusal(
    candidate: Report,
    wanted: str,
    requires_python: str = "",
    *,
    platform: str = "linux-64",
    prereleases: bool = False,
) -> str:
    return _parse_demand(wanted, requires_python, platform, prereleases).refuses(candidate, specifier_admits)


@pytest.mark.parametrize(
    ("candidate", "wanted", "requires_python", "reason"),
    [
        (report("3.12.4"), "3.12", "", ""),
        (report("3.12.4"), "3.12.4", ">=3.11", ""),
        (report("3.12.4"), "", "", ""),
        (report("3.12.4"), "3", "", ""),
        (report("3.12.4"), "3.1", "", "it is Python 3.12.4"),
        (report("3.12.4"), "3.12.3", "", "it is Python 3.12.4"),
        (report("3.12.4"), "3.13", "", "it is Python 3.12.4"),
        (report("3.12.4"), "3.12", ">=3.12.5", "requires-python is >=3.12.5"),
        (report("3.12.4", platform="osx-arm64"), "3.12", "", "for osx-arm64"),
        (report("3.12.4", platform="", built_for="linux riscv64 64 bit"), "3.12", "", "linux riscv64"),
        (report("3.12.4", implementation="pypy"), "3.12", "", "it is pypy, not CPython"),
        (report("3.13.4", free_threaded=True), "3.13", "", "free-threaded"),
        (report("3.13.4", debug=True), "3.13", "", "debug build"),
        (report("3.13.4", glibc=None), "3.13", "", "musl"),
        (report("3.13.4", glibc=None, platform="osx-arm64"), "3.13", "", "for osx-arm64"),
        (report("3.15.0rc1", release=(3, 15, 0)), "3.15", "", "pre-release"),
        (report("3.15.0rc1", release=(3, 15, 0)), "3.15.0", "", "pre-release"),
        (report("3.15.0rc1", release=(3, 15, 0)), "3.15.0rc1", ">=3.11", ""),
        (report("3.15.0rc2", release=(3, 15, 0)), "3.15.0rc1", "", "it is Python 3.15.0rc2"),
        (report("3.15.0"), "3.15.0rc1", "", "it is Python 3.15.0"),
        (Report(executable="/x", fault="it ended with status 1"), "3.12", "", "status 1"),
    ],
)
def test_why_one_does_not_fit(candidate: Report, wanted: str, requires_python: str, reason: str) -> None:
    found = refusal(candidate, wanted, requires_python)
    assert reason in found
    assert bool(reason) == bool(found)


def test_prereleases_fit_when_asked_for() -> None:
    candidate = report("3.15.0rc1", release=(3, 15, 0))
    assert refusal(candidate, "3.15", prereleases=True) == ""


@pytest.mark.parametrize(
    "wanted", ["3.12.*", "python3.12", "3.12.4.1", "3..12", ">=3.12", "3.12+local", "x", "3.15rc1"]
)
def test_what_names_no_python_is_refused(wanted: str) -> None:
    with pytest.raises((InterpreterError, RequirementError)):
        _parse_demand(wanted, "", "linux-64", False)


def test_the_newest_patch_wins_and_the_first_among_equals() -> None:
    older, newer = report("3.12.9"), report("3.12.10")
    twin = report("3.12.10", executable="/elsewhere")
    assert _newest([older, newer, twin]) is newer
    assert _newest([twin, older, newer]) is twin
    release_candidate = report("3.12.10rc1", release=(3, 12, 10), final=False)
    assert _newest([release_candidate, newer]) is newer
    assert _newest([]) is None


def test_this_python_is_chosen_by_name(
    bare_environ: dict[str, str], real_python: str, cache_file: Path
) -> None:
    environ = {**bare_environ, "ENVFORGE_PYTHON": real_python}
    chosen = choose_interpreter(MINOR, ">=3.8", host_platform(), cache_file=cache_file, environ=environ)
    assert chosen.executable == real_python
    assert chosen.version == platform.python_version()
    assert chosen.minor == MINOR
    assert chosen.platform == host_platform()


def test_this_python_is_found_where_nothing_else_is(bare_environ: dict[str, str], cache_file: Path) -> None:
    chosen = choose_interpreter(MINOR, "", host_platform(), cache_file=cache_file, environ=bare_environ)
    assert chosen.minor == MINOR


def test_the_warm_choice_starts_nothing_and_asks_nobody(
    bare_environ: dict[str, str],
    cache_file: Path,
    real_python: str,
    tmp_path: Path,
    make_program: MakeProgram,
) -> None:
    calls = tmp_path / "calls"
    make_program(tmp_path / "bin" / "python3", f'echo x >> "{calls}"\nexec "{real_python}" "$@"\n')
    for _ in range(3):
        choose_interpreter(MINOR, ">=3.8", host_platform(), cache_file=cache_file, environ=bare_environ)
    assert calls.read_text() == "x\n"


def test_a_named_one_that_does_not_fit_is_an_error_not_a_fallback(
    bare_environ: dict[str, str], real_python: str, cache_file: Path
) -> None:
    environ = {**bare_environ, "ENVFORGE_PYTHON": real_python}
    with pytest.raises(InterpreterError, match=r"no Python 3\.99") as caught:
        choose_interpreter("3.99", "", host_platform(), cache_file=cache_file, environ=environ)
    assert caught.value.context == (
        f"{real_python} (ENVFORGE_PYTHON): it is Python {platform.python_version()}",
    )
    assert "ENVFORGE_PYTHON" in caught.value.hints[0]


def test_a_named_one_that_is_not_there(bare_environ: dict[str, str], cache_file: Path) -> None:
    environ = {**bare_environ, "ENVFORGE_PYTHON": "/no/such/python"}
    with pytest.raises(InterpreterError, match="/no/such/python") as caught:
        choose_interpreter(MINOR, "", host_platform(), cache_file=cache_file, environ=environ)
    assert "unset" in caught.value.hints[0]


def test_where_none_fits_everything_found_is_listed_with_its_reason(
    tmp_path: Path, bare_environ: dict[str, str], cache_file: Path, make_program: MakeProgram
) -> None:
    make_program(tmp_path / "bin" / "python3.99", "echo broken >&2; exit 1")
    with pytest.raises(InterpreterError) as caught:
        choose_interpreter("3.99", ">=3.8", host_platform(), cache_file=cache_file, environ=bare_environ)
    error = caught.value
    assert error.message == f"no Python 3.99 that >=3.8 admits for {host_platform()} on this machine"
    broken = f"{tmp_path}/bin/python3.99 (PATH): it ended with status 1: broken"
    assert error.context[0] == broken
    assert any(platform.python_version() in line for line in error.context[1:])
    assert "install Python 3.99" in error.hints[0]
    assert "standalone-python" in error.hints[1]
    assert "python = " in error.hints[2]


def test_a_broken_one_does_not_hide_a_good_one(
    tmp_path: Path,
    bare_environ: dict[str, str],
    real_python: str,
    cache_file: Path,
    make_program: MakeProgram,
) -> None:
    make_program(tmp_path / "bin" / "python3", "exit 1")
    make_program(tmp_path / "bin" / "python", f'exec "{real_python}" "$@"\n')
    chosen = choose_interpreter(MINOR, "", host_platform(), cache_file=cache_file, environ=bare_environ)
    assert chosen.minor == MINOR


def test_a_broken_specifier_is_an_error(bare_environ: dict[str, str], cache_file: Path) -> None:
    with pytest.raises(RequirementError):
        choose_interpreter(MINOR, "what?", host_platform(), cache_file=cache_file, environ=bare_environ)


def test_query_of_a_kind_that_is_not_used(
    tmp_path: Path, cache_file: Path, make_program: MakeProgram
) -> None:
    broken = make_program(tmp_path / "python3", "exit 3")
    with pytest.raises(InterpreterError, match="cannot be used") as caught:
        query_interpreter(str(broken), cache_file)
    assert "status 3" in caught.value.context[0]


def test_list_is_newest_first_without_twins(
    tmp_path: Path,
    bare_environ: dict[str, str],
    real_python: str,
    cache_file: Path,
    make_program: MakeProgram,
) -> None:
    make_program(tmp_path / "bin" / "python3", f'exec "{real_python}" "$@"\n')
    make_program(tmp_path / "bin" / "python3.98", "exit 1")
    found = list_interpreters(cache_file, bare_environ)
    assert [one.executable for one in found].count(real_python) == 1
    versions = [tuple(int(part) for part in one.version.split(".")) for one in found]
    assert versions == sorted(versions, reverse=True)
    assert all(one.implementation == "cpython" for one in found)
