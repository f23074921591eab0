"""Environments of conda and PyPI together: synced, run, changed, damaged, by real processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envforge.lock.parse import parse_lock
from envforge.lock.write import format_lock
from envforge.model.lock import Lock
from envforge.struct import replace

from support.conda_channel import ChannelServer
from support.distributions import make_wheel
from support.environments import base_interpreter
from support.projects import MINOR, Finished, Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the channel's packages run on POSIX")


@pytest.fixture
def mixed(tmp_path: Path, index: SimpleIndex, server: ChannelServer) -> Project:
    """``app`` and ``core`` from PyPI, ``conda-hello``, ``greet-env`` and ``tinymath`` from conda."""
    project = conda_project(tmp_path, index, server)
    write(project, server, "app", conda=("conda-hello", "greet-env", "tinymath"))
    return project


def conda_project(tmp_path: Path, index: SimpleIndex, server: ChannelServer, **more: Any) -> Project:
    project = Project(tmp_path, index.url, **more)
    # No Python of this host may be used: it comes from conda.
    project.variables = {"ENVFORGE_PYTHON": "/nowhere/python", "CONDA_OVERRIDE_CUDA": ""}
    return project


def write(project: Project, server: ChannelServer, *requirements: str, conda: Any, **more: Any) -> None:
    specs = conda if isinstance(conda, dict) else dict.fromkeys(conda, "*")
    lines = [f"{name} = {json.dumps(spec)}" for name, spec in specs.items()]
    project.write(
        *requirements,
        settings=f'platforms = ["{platform()}"]\nchannels = ["{server.url}"]',
        tables="\n".join(["[tool.envforge.conda-dependencies]", *lines, more.pop("tables", "")]),
        **more,
    )


def platform() -> str:
    return base_interpreter().platform


def prefixes(project: Project) -> list[Path]:
    return sorted(place for place in (project.tier / "prefixes").iterdir() if (place / "conda-meta").is_dir())


def the_prefix(project: Project) -> Path:
    (found,) = prefixes(project)
    return found


def placed_prefix(project: Project) -> str:
    """The one that the environment stands on."""
    return project.python("import sys; print(sys.base_prefix)")


def changes(finished: Finished) -> set[tuple[str, str | None, str | None, str]]:
    return {
        (change["name"], change["old"], change["new"], change["ecosystem"])
        for change in finished.json["changes"]
    }


# One environment out of both


def test_both_worlds_are_one_environment(mixed: Project) -> None:
    report = mixed.done("sync", "--json").json
    prefix = the_prefix(mixed)
    assert mixed.python("import sys; print(sys.prefix, sys.base_prefix)") == f"{mixed.venv} {prefix}"
    assert set(mixed.installed()) == {"app", "core", "conda-hello", "tinymath"}
    assert mixed.python("import app, tinymath; print(tinymath.add(1, 2))") == "3"
    assert report["python"] == mixed.python("import sys; print(sys.version.split()[0])")
    assert report["package_count"] == 2 + len(list((prefix / "conda-meta").glob("*.json")))
    configuration = (mixed.venv / "pyvenv.cfg").read_text()
    assert f"home = {prefix}/bin\ninclude-system-site-packages = true\n" in configuration


def test_programs_of_both_worlds_run(mixed: Project) -> None:
    assert mixed.done("run", "app").out == "app with core 1.2.0\n"
    assert mixed.done("run", "conda-hello").out == f"conda-hello 1.1 in {mixed.venv.resolve()}\n"
    found = mixed.done(
        "run", "sh", "-c", "for each in app conda-hello python; do command -v $each; done"
    ).out.split()
    generation = mixed.venv.resolve()
    assert found == [f"{generation}/bin/{name}" for name in ("app", "conda-hello", "python")]


def test_nothing_but_conda(tmp_path: Path, index: SimpleIndex, server: ChannelServer) -> None:
    project = conda_project(tmp_path, index, server)
    write(project, server, conda=("greet",))
    project.done("sync")
    assert project.done("run", "greet").out
    assert project.installed() == {}
    assert project.done("verify", "--json").json["findings"] == []


@pytest.mark.parametrize("mode", ["hardlink", "copy"])
def test_link_modes_leave_the_prefix_alone(mixed: Project, mode: str) -> None:
    mixed.done("sync", "--link-mode", mode)
    assert set(mixed.installed()) == {"app", "core", "conda-hello", "tinymath"}
    library = mixed.venv / "lib" / f"python{MINOR}" / "site-packages"
    assert not (library / "app").is_symlink()
    mixed.done("sync")
    assert (library / "app").is_symlink()
    the_prefix(mixed)


def test_the_project_itself_and_an_sdist_are_built_on_condas_python(
    mixed: Project, server: ChannelServer
) -> None:
    write(mixed, server, "built", conda=("tinymath",))
    mixed.done("sync")
    assert set(mixed.installed()) == {"built", "core", "tinymath"}


# What a sync says and what it costs


def test_dry_run_and_check_say_what_would_come(mixed: Project, server: ChannelServer) -> None:
    mixed.done("lock")
    server.asked.clear()
    with mixed.unchanged():
        planned = mixed.done("sync", "--dry-run", "--json")
        assert mixed.envforge("sync", "--check").code == 1
    assert server.downloads() == []
    assert {"app", "core", "tinymath", "python"} <= {name for name, *_ in changes(planned)}
    assert ("conda-hello", None, "1.1", "conda") in changes(planned)
    assert ("app", None, "3.1", "pypi") in changes(planned)
    synced = mixed.done("sync", "--json")
    assert changes(synced) == changes(planned)
    assert synced.json["fetched_count"] == planned.json["fetched_count"] == 2 + len(server.downloads())
    assert mixed.envforge("sync", "--check").code == 0
    again = mixed.done("sync", "--dry-run", "--json").json
    assert (again["changed"], again["changes"], again["fetched_count"]) == (False, [], 0)


def test_an_unchanged_sync_asks_nobody(mixed: Project, server: ChannelServer, index: SimpleIndex) -> None:
    mixed.done("sync")
    server.asked.clear()
    index.forget()
    assert mixed.done("sync").err == "Environment is up to date\n"
    assert mixed.done("sync", "--no-dev").err == "Environment is up to date\n"
    assert server.asked == []
    assert not index.requests


def test_what_changes_in_conda_is_told(mixed: Project, server: ChannelServer) -> None:
    mixed.done("sync")
    old = mixed.venv.resolve()
    write(mixed, server, "app", conda={"conda-hello": "==1.0", "tinymath": "*", "greet": "*"})
    finished = mixed.done("sync", "--json")
    assert changes(finished) == {
        ("conda-hello", "1.1", "1.0", "conda"),
        ("greet", None, "2.0", "conda"),
        ("libgreet", None, "2.0", "conda"),
        ("greet-env", "1.0", None, "conda"),
    }
    assert mixed.installed()["conda-hello"] == "1.0"
    assert len(prefixes(mixed)) == 2
    mixed.done("rollback")
    assert mixed.venv.resolve() == old
    assert mixed.installed()["conda-hello"] == "1.1"


def test_a_change_of_pypi_keeps_the_prefix(mixed: Project, server: ChannelServer) -> None:
    mixed.done("sync")
    server.asked.clear()
    write(mixed, server, "app", "lint", conda=("conda-hello", "greet-env", "tinymath"))
    assert changes(mixed.done("sync", "--json")) == {("lint", None, "1.0", "pypi")}
    assert server.downloads() == []
    the_prefix(mixed)


def test_from_a_python_of_the_host_to_one_of_conda_and_back(
    tmp_path: Path, index: SimpleIndex, server: ChannelServer
) -> None:
    project = Project(tmp_path, index.url)
    project.write("app")
    project.done("sync")
    write(project, server, "app", conda=("tinymath",))
    project.done("sync")
    assert set(project.installed()) == {"app", "core", "tinymath"}
    project.write("app")
    gone = changes(project.done("sync", "--json"))
    assert ("tinymath", "2.1", None, "conda") in gone
    assert set(project.installed()) == {"app", "core"}


def test_projects_with_the_same_conda_part_share_it(
    tmp_path: Path, mixed: Project, index: SimpleIndex, server: ChannelServer
) -> None:
    mixed.done("sync")
    server.asked.clear()
    other = conda_project(tmp_path, index, server, cache=mixed.cache, name="other")
    write(other, server, "lint", conda=("conda-hello", "greet-env", "tinymath"))
    other.done("sync")
    assert server.downloads() == []
    the_prefix(other)
    assert other.venv.resolve() != mixed.venv.resolve()
    assert set(other.installed()) == {"lint", "conda-hello", "tinymath"}


def test_frozen_and_offline(mixed: Project, server: ChannelServer) -> None:
    mixed.done("lock")
    mixed.fails("sync", "--frozen", "--offline", says=["offline"])
    mixed.done("sync", "--frozen")
    for folder in ("prefixes", "envs"):
        shutil.rmtree(mixed.tier / folder)
    server.asked.clear()
    mixed.done("sync", "--frozen", "--offline")
    assert server.asked == []
    assert set(mixed.installed()) == {"app", "core", "conda-hello", "tinymath"}


def test_a_lock_for_other_platforms(mixed: Project, server: ChannelServer) -> None:
    other = "osx-arm64" if platform() != "osx-arm64" else "linux-64"
    mixed.manifest.write_text(mixed.manifest.read_text().replace(f'["{platform()}"]', f'["{other}"]'))
    mixed.done("lock")
    mixed.fails("sync", says=[f"the lock has nothing for this platform, {platform()}", "envforge lock"])


# Activation


def test_run_sets_what_conda_packages_want(mixed: Project) -> None:
    mixed.done("sync")
    prefix = the_prefix(mixed)
    names = ("CONDA_PREFIX", "CONDA_DEFAULT_ENV", "CONDA_SHLVL", "GREET_HOME", "GREET_STYLE")
    code = f"import os; print(*(os.environ[name] for name in {names}), sep='\\n')"
    shown = mixed.done("run", "python", "-c", code).out.splitlines()
    assert shown == [str(prefix), "demo", "1", f"{prefix}/share/greet-env", "loud"]
    first = mixed.done("run", "sh", "-c", "echo $PATH").out.split(":")[:2]
    assert first == [f"{mixed.venv.resolve()}/bin", f"{prefix}/bin"]


def test_a_shell_does_too(mixed: Project) -> None:
    shell = mixed.home / "shell"
    shell.write_text('#!/bin/sh\necho "$GREET_HOME $VIRTUAL_ENV"\n')
    shell.chmod(0o755)
    mixed.variables["SHELL"] = str(shell)
    shown = mixed.done("shell").out
    assert shown == f"{the_prefix(mixed)}/share/greet-env {mixed.venv.resolve()}\n"


def test_in_an_environment_within_another_one(
    tmp_path: Path, mixed: Project, index: SimpleIndex, server: ChannelServer
) -> None:
    mixed.done("sync")
    other = conda_project(tmp_path, index, server, name="other")
    write(other, server, conda=("greet",))
    other.done("sync")
    shown = "echo ${GREET_STYLE-none} ${GREET_HOME-none} $CONDA_PREFIX; echo $PATH"
    inner = f"cd {other.root} && exec {sys.executable} -m envforge run sh -c '{shown}'"
    style, path = mixed.done("run", "sh", "-c", inner).out.splitlines()
    assert style == f"none none {placed_prefix(other)}"
    folders = path.split(":")
    assert f"{placed_prefix(mixed)}/bin" not in folders
    assert f"{mixed.venv.resolve()}/bin" not in folders


def test_a_script_that_fails_is_told_and_the_program_runs(mixed: Project) -> None:
    mixed.done("sync")
    scripts = the_prefix(mixed) / "etc/conda/activate.d"
    (scripts / "broken.sh").write_text("echo 'no licence found' >&2; exit 5\n")
    finished = mixed.envforge("run", "sh", "-c", "echo $GREET_STYLE $GREET_HOME; exit 9")
    assert finished.code == 9
    assert finished.out == f"loud {the_prefix(mixed)}/share/greet-env\n"
    assert "broken.sh failed (exit code 5)" in finished.err
    assert "no licence found" in finished.err


def test_the_activate_script(mixed: Project) -> None:
    mixed.done("sync")
    lines = ". .venv/bin/activate; echo $GREET_HOME; conda-hello >&2; deactivate;"
    lines += " echo ${GREET_HOME-none} ${CONDA_PREFIX-none}"
    done = subprocess.run(
        ["sh", "-euc", lines], capture_output=True, text=True, cwd=mixed.root, env=mixed.environ()
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{the_prefix(mixed)}/share/greet-env", "none none"]


# What is lost or damaged


def test_without_its_prefix_it_is_made_again(mixed: Project) -> None:
    mixed.done("sync")
    prefix = the_prefix(mixed)
    for seal in prefix.rglob("*"):
        if seal.is_dir():
            seal.chmod(0o755)
    shutil.rmtree(prefix)
    lost = mixed.envforge("run", "--no-sync", "python", "-V")
    assert lost.code == 1
    assert "the conda part of the environment is gone" in lost.err
    assert "envforge sync" in lost.err
    told = mixed.envforge("verify", "--json")
    assert told.code == 1
    assert [finding["message"] for finding in told.json["findings"]] == ["the conda prefix is gone"]
    assert mixed.envforge("sync", "--check").code == 1
    mixed.done("sync")
    assert the_prefix(mixed) == prefix
    assert mixed.done("run", "app").out == "app with core 1.2.0\n"
    assert mixed.done("verify", "--json").json["findings"] == []


def test_a_prefix_that_was_purged_by_age_is_made_again(mixed: Project) -> None:
    """What is read stays (its marker, Python), what nobody reads goes: records, programs that nobody ran."""
    mixed.done("sync")
    prefix = the_prefix(mixed)
    assert "up to date" in mixed.done("sync").err
    (generation,) = mixed.tier.glob("envs/*/*/envforge-generation.json")
    generation.parent.with_suffix(".stamp").unlink()
    for tree in mixed.tier.glob("trees/*.files"):
        os.utime(tree, (2e9, 2e9))  # conda's part is the older one
    mixed.done("sync")
    for place in [*prefix.glob("conda-meta/*.json"), prefix / "bin" / "conda-hello"]:
        place.unlink()
    mixed.done("sync")
    assert mixed.done("run", "conda-hello").out
    assert mixed.done("verify", "--json").json["findings"] == []


def test_verify_finds_and_repairs(mixed: Project) -> None:
    mixed.done("sync")
    fine = mixed.done("verify", "--json").json
    assert fine["findings"] == []
    assert fine["checked_count"] > 600
    prefix = the_prefix(mixed)
    module = prefix / "lib" / f"python{MINOR}" / "site-packages" / "tinymath" / "__init__.py"
    module.parent.chmod(0o755)
    module.chmod(0o644)
    # in place, of the same size: the same inode as in the cache of packages
    module.write_text(module.read_text().replace("a + b", "a - b"))
    (prefix / "bin" / "conda-hello").unlink()
    found = mixed.envforge("verify", "--json")
    assert found.code == 1
    place = f"prefixes/{prefix.name}"
    assert {(each["path"], each["message"]) for each in found.json["findings"]} == {
        (f"{place}/{module.relative_to(prefix)}", "changed (tinymath)"),
        (f"{place}/bin/conda-hello", "missing (conda-hello)"),
    }
    assert mixed.done("verify", "--repair", "--json").json["repaired"]
    assert mixed.done("verify", "--json").json["findings"] == []
    assert mixed.python("import tinymath; print(tinymath.add(1, 2))") == "3"


# Whether this machine can use it


@pytest.fixture
def cuda(tmp_path: Path, index: SimpleIndex, server: ChannelServer) -> Project:
    """A project whose lock needs a driver."""
    project = conda_project(tmp_path, index, server)
    tables = '[tool.envforge.system]\ncuda = "12.6"'
    write(project, server, conda=("tinytensor",), tables=tables)
    project.done("lock")
    return project


BACKEND = "import tinytensor; print(tinytensor.BACKEND)"


def test_a_host_without_a_driver_is_refused_before_anything_is_downloaded(
    cuda: Project, server: ChannelServer
) -> None:
    server.asked.clear()
    for words in (("sync",), ("sync", "--frozen"), ("sync", "--dry-run"), ("run", "python", "-V")):
        cuda.fails(*words, says=["tinytensor", "__cuda", "--ignore-host"])
    assert server.downloads() == []
    failed = cuda.envforge("sync", "--json")
    assert failed.json["error"]["code"] == "host"


def test_it_may_be_ignored(cuda: Project) -> None:
    finished = cuda.done("sync", "--ignore-host")
    assert "warning:" in finished.err
    assert "__cuda" in finished.err
    assert cuda.python(BACKEND) == "cuda126"
    # it is there now: nobody is asked again
    assert "warning" not in cuda.done("run", "python", "-c", BACKEND).err
    assert cuda.done("sync").err == "Environment is up to date\n"


def test_a_host_with_a_driver_is_let_in(cuda: Project) -> None:
    cuda.variables["CONDA_OVERRIDE_CUDA"] = "12.8"
    assert "warning" not in cuda.done("sync").err
    assert cuda.python(BACKEND) == "cuda126"


def test_add_and_remove_may_ignore_it(cuda: Project, index: SimpleIndex) -> None:
    index.add(make_wheel("more"))
    cuda.fails("add", "more", says=["__cuda"])
    cuda.done("add", "more", "--ignore-host")
    assert set(cuda.installed()) >= {"more", "tinytensor"}


def test_an_old_c_library_may_be_ignored_too(tmp_path: Path, index: SimpleIndex) -> None:
    project = Project(tmp_path, index.url)
    project.write("core", tables='[tool.envforge.system]\nglibc = "2.99"')
    project.done("lock")
    project.fails("sync", says=["this host has glibc", "2.99"])
    assert "the lock needs 2.99 or newer" in project.done("sync", "--ignore-host").err
    assert project.installed() == {"core": "1.2.0"}


# Locks that nobody made


def rewrite(project: Project, change: Callable[[Lock], Lock]) -> None:
    lock = change(parse_lock(project.lock.read_text()))
    project.lock.write_text(format_lock(lock))


def test_a_project_that_both_worlds_bring(mixed: Project) -> None:
    """Such as after a merge: Python would see it twice."""
    mixed.done("lock")

    def add(lock: Lock) -> Lock:
        core = lock.packages["core"]
        target = lock.targets[0]
        groups = {**target.groups, "project": (*target.groups["project"], "tinymath")}
        twice = replace(core, id="tinymath", name="tinymath")
        packages = {**lock.packages, "tinymath": twice}
        return replace(lock, packages=packages, targets=(replace(target, groups=groups),))

    rewrite(mixed, add)
    mixed.fails("sync", "--frozen", says=["tinymath comes from PyPI and with", "envforge lock"])


def test_conda_packages_without_a_python(mixed: Project) -> None:
    mixed.done("lock")

    def remove(lock: Lock) -> Lock:
        target = lock.targets[0]
        kept = tuple(each for each in target.conda if not each.startswith(f"{platform()}/python-"))
        assert len(kept) == len(target.conda) - 1
        records = {key: record for key, record in lock.conda_packages.items() if key in kept}
        return replace(lock, targets=(replace(target, conda=kept),), conda_packages=records)

    rewrite(mixed, remove)
    mixed.fails("sync", "--frozen", says=["python", "conda brings none"])
