"""conda and PyPI as people use them together: add, lock, sync, run, why, remove. All of it is real."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from support.conda_channel import ChannelServer
from support.distributions import make_wheel
from support.environments import base_interpreter
from support.projects import MINOR, Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the channel's packages run on POSIX")
PLATFORMS = ("linux-64", "linux-aarch64", "osx-64", "osx-arm64", "win-64")


@pytest.fixture
def project(tmp_path: Path, index: SimpleIndex, server: ChannelServer) -> Project:
    project = Project(tmp_path, index.url)
    # No Python of this host may be used: it comes from conda.
    project.variables = {"ENVFORGE_PYTHON": "/nowhere/python", "CONDA_OVERRIDE_CUDA": ""}
    write(project, server)
    return project


def write(project: Project, server: ChannelServer, *requirements: str, **specs: Any) -> None:
    lines = [f"{name.replace('_', '-')} = {json.dumps(spec)}" for name, spec in specs.items()]
    table = ["[tool.envforge.conda-dependencies]", *lines] if lines else []
    project.write(
        *requirements,
        settings=f'platforms = {json.dumps(PLATFORMS)}\nchannels = ["{server.url}"]',
        tables="\n".join(table),
    )


def records(project: Project, platform: str = "") -> dict[str, str]:
    """conda name → version of what a platform has."""
    lock = json.loads(project.lock.read_text())
    wanted = platform or base_interpreter().platform
    ids = next(target["conda"] for target in lock["targets"] if target["platform"] == wanted)
    return {lock["conda"][each]["name"]: lock["conda"][each]["version"] for each in ids}


def test_from_add_to_remove(project: Project) -> None:
    added = project.done("add", "--conda", "greet", "conda-hello")
    assert "greet >=2.0" in added.err
    assert "tool.envforge.conda-dependencies" in added.err
    assert 'greet = ">=2.0"' in project.manifest.read_text()
    assert "libgreet" not in project.manifest.read_text()
    for platform in PLATFORMS:
        assert records(project, platform).keys() >= {"greet", "libgreet", "conda-hello", "python"}
    project.done("add", "app")
    assert project.locked == {"app": "3.1", "core": "1.2.0", "winonly": "1.0"}

    prefix = project.done("run", "sh", "-c", "echo $CONDA_PREFIX").out.strip()
    assert "/prefixes/" in prefix
    assert project.done("run", "greet").out.startswith("hello from libgreet 2.0")
    assert project.done("run", "app").out == "app with core 1.2.0\n"
    assert project.done("run", "conda-hello").code == 0
    assert project.python("import sys; print(sys.base_prefix)") == prefix

    assert "up to date" in project.done("lock").err
    assert project.done("sync", "--check").code == 0
    assert project.done("lock", "--check").code == 0
    assert "libgreet" in project.done("tree").out
    why = project.done("why", "libgreet").out
    assert "greet" in why
    assert project.done("verify").code == 0

    project.done("remove", "conda:greet")
    assert "greet" not in records(project)
    project.done("remove", "--no-sync", "--conda", "conda-hello")
    assert "conda-dependencies" not in project.lock.read_text()
    assert project.leftovers() == []


def test_the_lock_is_the_same_whoever_makes_it(
    project: Project, tmp_path: Path, server: ChannelServer
) -> None:
    write(project, server, "app", greet="*", tinymath="*")
    project.done("lock")
    first = project.lock.read_bytes()
    project.lock.unlink()
    project.cache = tmp_path / "another-cache"
    project.done("lock")
    assert project.lock.read_bytes() == first
    assert project.done("lock").err.count("up to date") == 1


def test_condas_package_moves_for_pypi(project: Project, server: ChannelServer, index: SimpleIndex) -> None:
    index.add(make_wheel("classic", requires=["tinymath<2"]), make_wheel("tinymath", "1.9"))
    write(project, server, tinymath="*")
    project.done("lock")
    assert records(project)["tinymath"].startswith("2.")
    project.done("add", "classic")
    assert records(project)["tinymath"].startswith("1.")
    assert "tinymath" not in project.locked
    assert project.installed()["tinymath"] == records(project)["tinymath"]
    assert "tinymath<2" in project.done("why", "tinymath").out


def test_names_of_conda_packages_to_be_upgraded(project: Project, server: ChannelServer) -> None:
    write(project, server, libgreet="<2")
    project.done("lock")
    write(project, server, libgreet="*")
    project.done("lock")
    assert records(project)["libgreet"].startswith("1.")
    project.fails("lock", "-P", "libgret", says=["has libgret\n", "did you mean libgreet?"])
    project.done("lock", "-P", "conda:LibGreet")
    assert records(project)["libgreet"].startswith("2.")


def test_two_worlds_that_cannot_agree(project: Project, server: ChannelServer, index: SimpleIndex) -> None:
    index.add(make_wheel("classic", requires=["tinymath<2"]))
    write(project, server, tinymath=">=2")
    project.done("lock")
    says = [
        "classic and tinymath >=2 (conda) cannot be met together",
        "classic 1.0 needs tinymath<2",
        "widen",
    ]
    project.fails("add", "classic", says=says)


def test_cuda_is_locked_anywhere_and_refused_without_a_driver(
    project: Project, server: ChannelServer
) -> None:
    project.write(
        settings=f'platforms = ["{base_interpreter().platform}"]\nchannels = ["{server.url}"]',
        tables='[tool.envforge.system]\ncuda = "12.8"\n'
        '[tool.envforge.conda-dependencies]\ntinytensor = "* cuda*"',
    )
    project.done("lock")
    assert "cuda" in project.lock.read_text()
    server.asked.clear()
    project.fails("sync", says=["__cuda", "--ignore-host"])
    assert server.downloads() == []
    assert "__cuda" in project.done("sync", "--ignore-host").err


def test_what_a_platform_does_not_have_is_left_out_and_said(project: Project, server: ChannelServer) -> None:
    """``tinycolor`` is needed by the Windows build only: see the catalogue."""
    write(project, server, greet="*", tinyabi="*")
    finished = project.done("lock")
    here = base_interpreter().platform
    assert "tinyabi" in records(project, here)
    for platform in set(PLATFORMS) - {here}:
        assert ("tinyabi" in records(project, platform)) == ("is left out" not in finished.err)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "conda:no-such-package"], ["no conda channel has a package named 'no-such-package'"]),
        (["add", "conda:conda-helo"], ["did you mean conda-hello?"]),
        (["add", "conda:app"], ["envforge add app"]),
        (["add", "conda:greet >=="], ["greet >==", "^"]),
        (["add", "conda:greet >=99"], ["greet >=99"]),
        (["add", "libgreet"], ["conda has it: envforge add conda:libgreet"]),
    ],
)
def test_what_cannot_be_added(
    project: Project, server: ChannelServer, words: list[str], says: list[str]
) -> None:
    write(project, server, conda_hello="*")
    project.done("sync")
    project.fails(*words, says=says)


def test_a_channel_that_is_not_there(project: Project, server: ChannelServer) -> None:
    write(project, server, greet="*")
    text = project.manifest.read_text()
    project.manifest.write_text(text.replace(server.url, server.root + "/nowhere"))
    project.fails("lock", says=["nowhere"])
    project.manifest.write_text(text.replace(server.url, "http://127.0.0.1:9/channel"))
    project.fails("lock", says=["http://127.0.0.1:9/channel"])


def test_offline_from_the_cache(project: Project, server: ChannelServer) -> None:
    write(project, server, "app", greet="*")
    project.fails("lock", "--offline", says=["offline"])
    project.done("sync")
    project.lock.unlink()
    asked = len(server.asked)
    project.done("lock", "--offline")
    project.done("sync", "--offline")
    assert len(server.asked) == asked


@pytest.mark.parametrize("format_", ["zst", "shards", "json"])
def test_every_form_of_repodata(project: Project, server: ChannelServer, format_: str) -> None:
    server.zst, server.shards = format_ != "json", format_ == "shards"
    write(project, server, greet="*")
    project.done("lock")
    assert records(project)["greet"] == "2.0"


def test_a_folder_is_a_channel(project: Project, channel: Path, server: ChannelServer) -> None:
    write(project, server, greet="*")
    project.manifest.write_text(project.manifest.read_text().replace(server.url, str(channel)))
    project.done("sync")
    assert project.done("run", "greet").code == 0


def test_a_password_is_never_shown_nor_written(project: Project, server: ChannelServer) -> None:
    server.password = "me:s3cret-word"
    write(project, server, greet="*")
    open_url = server.url
    project.fails("lock", says=["401"])
    text = project.manifest.read_text()
    project.manifest.write_text(text.replace(open_url, open_url.replace("://", "://me:s3cret-word@")))
    finished = project.done("sync", "-v")
    assert "s3cret-word" not in finished.out + finished.err
    assert "s3cret-word" not in project.lock.read_text()
    for place in (project.cache / "tier").rglob("*.json"):
        assert "s3cret-word" not in place.read_text(errors="replace"), place


def test_a_corrupt_archive_leaves_everything_as_it_was(project: Project, server: ChannelServer) -> None:
    write(project, server, greet="*")
    project.done("lock")
    server.corrupt("*/libgreet-2*")
    project.fails("sync", says=["libgreet"])
    server.heal()
    project.done("sync")
    assert project.done("run", "greet").code == 0


def test_an_unchanged_sync_is_quick_with_conda_too(project: Project, server: ChannelServer) -> None:
    write(project, server, "app", greet="*")
    project.done("sync")
    asked = len(server.asked)
    start_s = time.perf_counter()
    assert "up to date" in project.done("sync").err
    assert time.perf_counter() - start_s < 2
    assert len(server.asked) == asked


def test_the_python_follows_what_pypi_needs(
    project: Project, server: ChannelServer, index: SimpleIndex
) -> None:
    """No ``python`` in the manifest: conda's best, unless a release has a wheel for another one only."""
    index.add(make_wheel("picky", requires_python=f"<={MINOR}.99"))
    write(project, server, "picky", conda_hello="*")
    project.manifest.write_text(project.manifest.read_text().replace(f'python = "{MINOR}"\n', ""))
    project.done("lock")
    assert records(project)["python"].startswith(f"{MINOR}.")


def test_a_bad_merge_of_the_lock_is_found(project: Project, server: ChannelServer) -> None:
    """URL and hash are right, the dependencies are another package's."""
    write(project, server, "app", greet="*", tinymath="*")
    project.done("sync")
    assert project.done("lock", "--check").code == 0
    lock = json.loads(project.lock.read_text())
    here = base_interpreter().platform
    (greet,) = (key for key in lock["conda"] if key.startswith(f"{here}/greet-2"))
    lock["conda"][greet]["depends"] = ["libgreet >=1.2,<2"]
    project.lock.write_text(json.dumps(lock, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    project.fails("lock", "--check", says=["greet 2.0 requires libgreet >=1.2,<2", "run: envforge lock"])
    lock["conda"][greet]["depends"] = ["libgreet"]
    project.lock.write_text(json.dumps(lock, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    project.fails("lock", "--check", says=[f"conda.{greet}.depends: is not what the channel says"])


def test_a_damaged_record_is_told(project: Project, server: ChannelServer) -> None:
    write(project, server, greet="*")
    project.done("lock")
    text = project.lock.read_text()
    here = base_interpreter().platform
    project.lock.write_text(text.replace(f'"{here}/greet-2.0', f'"{here}/gret-2.0', 1))
    project.fails("sync", "--frozen", says=["envforge.lock is damaged"])


def test_an_extra_of_what_conda_has_comes_from_pypi(
    project: Project, server: ChannelServer, index: SimpleIndex
) -> None:
    index.add(make_wheel("tinymath", "2.1", extras={"plots": ["plugin"]}))
    write(project, server, "tinymath[plots]", tinymath="*")
    assert "conda has no extras: what tinymath[plots] needs" in project.done("lock").err
    assert project.locked == {"plugin": "1.0"}


def test_a_folder_beside_the_manifest_is_named_not_placed(project: Project, channel: Path) -> None:
    """The lock is the same wherever the project is."""
    (project.root / "channel").symlink_to(channel)
    project.write(
        settings=f'platforms = ["{base_interpreter().platform}"]\nchannels = ["./channel"]',
        tables='[tool.envforge.conda-dependencies]\ngreet = "*"',
    )
    project.done("sync")
    assert str(project.root) not in project.lock.read_text()
    assert str(channel) not in project.lock.read_text()
    assert project.done("run", "greet").code == 0
    assert project.done("lock", "--check").code == 0
    assert project.done("lock", "--upgrade").err.count("up to date") == 1


def test_a_token_in_a_channels_url_is_kept_out(project: Project, server: ChannelServer) -> None:
    server.token = "t0ken-word"
    write(project, server, greet="*")
    finished = project.done("sync", "-v")
    assert "t0ken-word" in project.manifest.read_text()
    assert "t0ken-word" not in finished.out + finished.err + project.lock.read_text()


def test_removing_what_is_from_conda_by_its_bare_name(project: Project, server: ChannelServer) -> None:
    write(project, server, greet="*")
    project.done("lock")
    project.fails("remove", "greet", says=["it is from conda: envforge remove conda:greet"])


def test_versions_that_there_are(project: Project, server: ChannelServer) -> None:
    write(project, server, greet=">=99")
    project.fails("lock", says=["greet >=99", "the newest versions of greet for", "2.0, 1.0"])


def test_versions_that_exclude_newer_leaves_out(project: Project, server: ChannelServer) -> None:
    """libgreet 2.0 is of 2025-12-22, 1.2 ten days older."""
    write(project, server, libgreet=">=2")
    text = project.manifest.read_text()
    project.manifest.write_text(
        text.replace("[tool.envforge]\n", '[tool.envforge]\nexclude-newer = "2025-12-15"\n')
    )
    says = [
        "the newest versions of libgreet for",
        ": 1.2, 1.0\n",
        "exclude-newer leaves out libgreet 2.0: move exclude-newer past 2025-12-22",
    ]
    project.fails("lock", says=says)
    project.manifest.write_text(project.manifest.read_text().replace(">=2", ">=3"))
    assert "leaves out" not in project.fails("lock", says=["libgreet >=3"]).err


def test_a_lock_that_does_not_fit_says_which_conda_package(project: Project, server: ChannelServer) -> None:
    write(project, server, greet="*")
    assert "Locked 4 packages" in project.done("lock").err
    write(project, server, greet="<2")
    project.fails("lock", "--check", says=["greet <2", "run: envforge lock"])
