"""What the real channel has can be solved, installed by rattler itself, and run."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.conda_channel import ChannelServer


def _solve(channel: str, cache: Path, *specs: str) -> list[Any]:
    import rattler

    async def solve() -> list[Any]:
        return await rattler.solve(
            [rattler.Channel(channel)],
            specs,
            gateway=rattler.Gateway(cache_dir=cache),
            platforms=[rattler.Subdir.current(), "noarch"],
            virtual_packages=rattler.VirtualPackage.detect(),
        )

    return asyncio.run(solve())


@pytest.fixture
def install(tmp_path: Path, channel: Path) -> Any:
    """Solves specs on the real channel's folder and installs them into a new prefix, which is given back."""
    import rattler

    def install(*specs: str, link_scripts: bool = False) -> Path:
        records, prefix = _solve(channel.as_uri(), tmp_path / "repodata", *specs), tmp_path / "prefix"

        async def run() -> None:
            await rattler.install(
                records, prefix, cache_dir=tmp_path / "cache", show_progress=False,
                execute_link_scripts=link_scripts,
            )  # fmt: skip

        asyncio.run(run())
        return prefix

    return install


def _run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_python_runs_from_its_prefix(install: Any) -> None:
    prefix = install("python")
    code = (
        "import json, sys, sysconfig, ssl, sqlite3, ctypes, bz2;"
        "print(json.dumps([sys.prefix, sysconfig.get_config_var('LIBDIR'), sys.path]))"
    )
    python_prefix, libdir, path = json.loads(_run(prefix / "bin" / "python", "-I", "-c", code))
    assert (python_prefix, libdir) == (str(prefix), str(prefix / "lib"))
    assert all(Path(entry).is_relative_to(prefix) for entry in path)


def test_a_venv_on_it_works(install: Any, tmp_path: Path) -> None:
    prefix = install("python")
    _run(prefix / "bin" / "python", "-m", "venv", "--without-pip", tmp_path / "venv")
    told = _run(tmp_path / "venv" / "bin" / "python", "-c", "import sys; print(sys.prefix, sys.base_prefix)")
    assert told.split() == [str(tmp_path / "venv"), str(prefix)]


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


@pytest.mark.parametrize(("zst", "shards"), [(True, True), (True, False), (False, False)])
def test_every_form_of_the_repodata_is_read(
    server: ChannelServer, tmp_path: Path, zst: bool, shards: bool
) -> None:
    server.zst, server.shards = zst, shards
    names = {record.name.normalized for record in _solve(server.url, tmp_path, "greet")}
    assert names == {"greet", "libgreet"}
    wanted = "/shards/" if shards else "repodata.json.zst" if zst else "repodata.json"
    assert any(wanted in path for path in server.paths())
