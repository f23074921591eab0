"""What the real channel has can be solved and installed by rattler itself, and runs."""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Solve = Callable[..., list[Any]]


@pytest.fixture
def install(rattler_solve: Solve, rattler_install: Callable[..., Path]) -> Callable[..., Path]:
    """Solves and installs specs into a new prefix."""
    return lambda *specs, **options: rattler_install(rattler_solve(*specs), **options)


def _run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _python(prefix: Path, code: str) -> str:
    return _run(prefix / "bin" / "python", "-I", "-c", code).strip()


def _chosen(records: list[Any], name: str) -> tuple[str, str]:
    """Version and build."""
    record = next(record for record in records if record.name.normalized == name)
    return str(record.version), str(record.build)


def test_python_runs_from_its_prefix(install: Any) -> None:
    prefix = install("python")
    python_prefix, libdir, path = json.loads(
        _python(
            prefix,
            "import json, sys, sysconfig, ssl, sqlite3, ctypes, bz2;"
            "print(json.dumps([sys.prefix, sysconfig.get_config_var('LIBDIR'), sys.path]))",
        )
    )
    assert (python_prefix, libdir) == (str(prefix), str(prefix / "lib"))
    assert all(Path(entry).is_relative_to(prefix) for entry in path)
    assert (prefix / "bin" / "python3").resolve().parent == prefix / "bin"


def test_each_python_has_the_packages_that_were_built_for_it(channel: Path, install: Any) -> None:
    document = json.loads((channel / "noarch" / "repodata.json").read_text())
    records = document["packages.conda"].values()
    minors = sorted(row["version"] for row in records if row["name"] == "python_abi")
    if len(minors) < 2:
        pytest.skip("this machine has one Python only")
    prefix = install(f"python={minors[0]}", "tinymath=1.5")
    code = "import sys, tinymath; print(*sys.version_info[:2], tinymath.add(1, 2), sep='.')"
    assert _python(prefix, code) == f"{minors[0]}.3"


def test_a_venv_on_it_works(install: Any, tmp_path: Path) -> None:
    prefix = install("python")
    _run(prefix / "bin" / "python", "-m", "venv", "--without-pip", tmp_path / "venv")
    told = _run(tmp_path / "venv" / "bin" / "python", "-c", "import sys; print(sys.prefix, sys.base_prefix)")
    assert told.split() == [str(tmp_path / "venv"), str(prefix)]


def test_python_runs_where_the_path_is_too_long_for_a_script_s_first_line(
    rattler_solve: Solve, rattler_install: Any, tmp_path: Path
) -> None:
    prefix = rattler_install(rattler_solve("conda-hello"), tmp_path / ("long" * 30) / "prefix")
    told = _run("env", f"PATH={prefix}/bin:/usr/bin:/bin", "conda-hello")
    assert told.split()[-1] == str(prefix)


def test_a_program_reads_the_file_that_its_library_knows_by_prefix(install: Any) -> None:
    prefix = install("greet=1")
    first, second = _run(prefix / "bin" / "greet", "-v").splitlines()
    assert first == "hello from libgreet 1.2"
    assert second == f"greet 1.0, libgreet 1.2, {prefix}/share/libgreet/greeting.txt"
    assert f"prefix={prefix}\n" in (prefix / "lib" / "pkgconfig" / "libgreet.pc").read_text()


def test_a_console_script_runs(install: Any) -> None:
    prefix = install("conda-hello")
    assert _run(prefix / "bin" / "conda-hello").split() == ["conda-hello", "1.1", "in", str(prefix)]


def test_an_activation_script_sets_its_variable(install: Any) -> None:
    prefix = install("greet-env")
    script = prefix / "etc" / "conda" / "activate.d" / "greet-env.sh"
    told = _run("sh", "-c", f'CONDA_PREFIX="{prefix}"; . "{script}"; cat "$GREET_HOME/style.txt"')
    assert told == "loud\n"


def test_python_packages_of_every_kind_are_imported_and_known(install: Any) -> None:
    prefix = install("tinyplot-base", "tinyabi", "tinyclick", "tinytensor")
    code = (
        "import tinyplot, tinyabi, tinyclick, tinytensor;"
        "from importlib.metadata import version;"
        "print(tinyplot.add(1, 1), tinyabi.answer, tinyclick.SYSTEM, tinytensor.BACKEND, version('tinyplot'))"
    )
    assert _python(prefix, code).split() == ["2", "42", "unix", "cpu", "3.9"]


def test_link_scripts_run_when_they_may(install: Any) -> None:
    prefix = install("linkscript", link_scripts=True)
    assert (prefix / "share" / "linkscript.txt").read_text() == f"linkscript 1.0 was linked into {prefix}\n"


def test_rattler_does_not_say_that_a_link_script_failed(install: Any) -> None:
    prefix = install("linkscript-fails", link_scripts=True)
    assert (prefix / "share" / "linkscript-fails.txt").read_text() == "tried\n"
    script = prefix / "bin" / ".linkscript-fails-post-link.sh"
    assert subprocess.run([script], env={"PREFIX": str(prefix)}, stderr=subprocess.DEVNULL).returncode == 7


def test_link_scripts_do_not_run_otherwise(install: Any) -> None:
    prefix = install("linkscript", "linkscript-fails")
    assert not (prefix / "share" / "linkscript.txt").exists()


def test_a_prefix_that_is_longer_than_the_placeholder_is_refused(
    rattler_solve: Solve, rattler_install: Any, tmp_path: Path
) -> None:
    records = rattler_solve("short-placeholder")
    with pytest.raises(Exception, match="short"):
        rattler_install(records, tmp_path / "a-prefix-that-is-longer-than-it")


def test_two_packages_clobber_one_path(install: Any) -> None:
    prefix = install("clobber-a", "clobber-b")
    assert (prefix / "share" / "clobber" / "shared.txt").read_text() in ("of a\n", "of b\n")
    assert (prefix / "share" / "clobber" / "b.txt").read_text() == "of b alone\n"


def test_the_solver_sees_variants_features_constraints_and_dates(rattler_solve: Solve) -> None:
    assert _chosen(rattler_solve("tinytensor"), "tinytensor")[1].startswith("cpu_")
    with_gpu = rattler_solve("tinytensor", virtual=["__cuda=12.8"])
    assert _chosen(with_gpu, "tinytensor")[1].startswith("cuda126_")
    assert _chosen(rattler_solve("tinyblas"), "tinyblas")[1].endswith("openblas")
    limited = rattler_solve("tinylimits", "tinymath")
    assert _chosen(limited, "tinymath")[0] == "1.5"
    old = rattler_solve("libgreet", exclude_newer=datetime.datetime(2025, 12, 15))
    assert _chosen(old, "libgreet")[0] == "1.2"
    with pytest.raises(Exception, match="nobody-has-this"):
        rattler_solve("needs-missing")


def test_other_platforms_can_be_solved_for(rattler_solve: Solve) -> None:
    records = rattler_solve("tinyclick", "tinymath", platform="win-64", virtual=["__win"])
    assert {"python", "tinyclick", "tinycolor", "tinymath"} <= {record.name.normalized for record in records}
    assert _chosen(records, "tinyclick")[1].startswith("win_")
    python = next(record for record in records if record.name.normalized == "python")
    assert (python.subdir, python.python_site_packages_path) == ("win-64", "Lib/site-packages")
