"""What people and disks and servers get wrong: the message helps, and nothing is half-done."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.distributions import make_sdist, make_wheel
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes, mounts and signals are POSIX here")


@pytest.fixture
def synced(project: Project) -> Project:
    """A project with an environment, which no failure may touch."""
    project.write("core")
    project.done("sync")
    return project


# The manifest


def test_broken_toml(synced: Project) -> None:
    synced.manifest.write_text(synced.manifest.read_text().replace('name = "demo"', 'name = "demo'))
    for command in (["lock"], ["sync"], ["add", "lint"], ["remove", "core"], ["tree"]):
        synced.fails(*command, says=["pyproject.toml:2:", "not valid TOML"])


def test_an_unknown_key(synced: Project) -> None:
    text = synced.manifest.read_text().replace("python =", "pyhton =")
    synced.manifest.write_text(text)
    synced.fails("lock", says=["tool.envforge.pyhton", "did you mean python?"])


def test_an_invalid_requirement(synced: Project) -> None:
    synced.write("core", "app>=three")
    synced.fails("sync", says=["project.dependencies", "app>=three"])
    synced.write("core")
    synced.fails("add", "lint=1", says=["lint=1"])


def test_no_project(project: Project) -> None:
    for command in (["lock"], ["sync"], ["add", "core"], ["verify"], ["run", "python"]):
        project.fails(*command, says=["pyproject.toml", "envforge init"])


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (
            ["python>=3.9"],
            1,
            [
                "tool.envforge.python",
                "project.requires-python",
                "hint: to have it from conda: envforge add conda",
            ],
        ),
        (["needs.txt"], 2, ["needs.txt is a file of requirements", "envforge add $(grep "]),
        (["./needs.txt"], 2, ["./needs.txt is a file of requirements", "envforge add $(grep "]),
        (["-r", "needs.txt"], 2, ["envforge add $(grep "]),
        (["lint", "--requirement=needs.txt"], 2, ["envforge add $(grep "]),
        (
            ["https://me:secret@host/a/x-1.0-py3-none-any.whl#sha256=0"],
            1,
            ["does not say which project it is", "add 'x @ https://host/a/x-1.0"],
        ),
        (["file:///x-1.0.tar.gz"], 1, ["add 'NAME @ file:///x-1.0.tar.gz'"]),
        (["https://host/lab/tool"], 1, ["for a git repository: envforge add git+https://host/lab/tool"]),
    ],
)
def test_what_is_no_requirement_of_a_name(
    synced: Project, words: list[str], code: int, says: list[str]
) -> None:
    (synced.root / "needs.txt").write_text("lint\n")
    told = synced.fails("add", *words, code=code, says=says)
    assert "secret" not in told.err


def test_the_hint_for_a_file_of_requirements_adds_what_is_in_it(synced: Project) -> None:
    text = "# ours\n--index-url x\n-e .\n\nlint == 1.0 \\\n    --hash=sha256:0\n    # via us\nplugin\n"
    (synced.root / "our needs.txt").write_text(text)
    told = synced.fails("add", "our needs.txt", code=2).err
    words = told.partition("envforge add ")[2].strip()
    shown = subprocess.run(["sh", "-c", f"echo {words}"], cwd=synced.root, capture_output=True, text=True)
    assert shown.stdout == "lint==1.0 plugin\n"
    synced.done("add", *shown.stdout.split())


# The index


def test_an_unknown_package(synced: Project) -> None:
    synced.fails("add", "coer", says=["coer"])
    synced.write("core", "no-such-thing")
    synced.fails("sync", says=["no-such-thing"])
    synced.fails("sync", "--frozen", says=["envforge lock"])


def test_no_version_that_fits(synced: Project, index: SimpleIndex) -> None:
    synced.fails("add", "core>=5", says=["core", ">=5", "1.2"])
    index.add(make_wheel("strict", requires=["core<1.1"]))
    synced.write("core>=1.2", "strict")
    synced.fails("lock", says=["strict", "core<1.1", "core>=1.2"])


def test_what_exclude_newer_leaves_out_is_named(project: Project, index: SimpleIndex) -> None:
    index.add(make_wheel("slow", "1.0"), make_sdist("slow", "1.1"), uploaded="2025-03-01T10:00:00Z")
    index.add(make_wheel("slow", "1.0.1"), uploaded="2025-04-01T00:00:00Z")
    index.add(make_wheel("slow", "3.0rc1"), make_wheel("slow", "2.0"), uploaded="2025-06-02T11:00:00Z")
    index.add(make_wheel("slow", "2.5"), yanked="")
    index.add(make_wheel("eager", requires=["slow>=2"]), uploaded="2025-01-01T00:00:00Z")
    project.write(settings='exclude-newer = "2025-06-01"')
    why = "slow 2.0 was uploaded on 2025-06-02, and exclude-newer admits only what is from before 2025-06-01"
    hint = "exclude-newer-package = { slow = false }"
    told = project.fails("add", "slow>=2", says=["no version of slow meets >=2", why, hint]).err
    assert ": 1.1, 1.0.1, 1.0\n" in told, "newest first, whatever has wheels"
    assert "rc1" not in told
    assert "2.5" not in told, "what was yanked would not help"
    project.fails("add", "eager", says=["eager 1.0 needs slow>=2", why, hint])
    assert "exclude-newer" not in project.fails("add", "slow>=4").err
    told = project.fails(
        "add", "core", says=["there is no version of core\n", "core 1.2.0 was uploaded on"]
    ).err
    project.write(settings='exclude-newer = "2025-06-01"\nexclude-newer-package = { slow = false }')
    project.done("add", "--no-sync", "eager")
    assert project.locked["slow"] == "2.0"


def test_no_wheel_for_a_platform(synced: Project, index: SimpleIndex) -> None:
    for tag in ("manylinux_2_17_x86_64", "manylinux_2_17_aarch64", "macosx_11_0_arm64"):
        index.add(make_wheel("native", tag=f"py3-none-{tag}"))
    told = synced.fails("add", "native", says=["native", "hint:"]).err
    assert "win-64" in told


def test_a_file_that_is_not_what_was_locked(synced: Project, index: SimpleIndex) -> None:
    synced.write("core", "lint")
    synced.done("lock")
    wheel = make_wheel("lint", files={"lint/__init__.py": "evil = True\n"})
    index.replace_content(wheel.filename, wheel.content)
    synced.fails("sync", "--frozen", says=["lint-1.0-py3-none-any.whl", "sha256"])
    assert not list(synced.tier.glob("trees/*/lib/lint"))


def test_an_sdist_that_is_not_what_was_locked(synced: Project, index: SimpleIndex) -> None:
    synced.write("core", "built")
    synced.done("lock")
    index.replace_content("built-1.0.tar.gz", make_sdist("built", files={"built/__init__.py": ""}).content)
    synced.fails("sync", "--frozen", says=["built-1.0.tar.gz", "sha256"])


def test_metadata_that_is_not_what_the_index_says(synced: Project, index: SimpleIndex) -> None:
    index.replace_metadata("lint-1.0-py3-none-any.whl", b"Metadata-Version: 2.1\nName: evil\nVersion: 1\n")
    synced.fails("add", "lint", says=["metadata of lint-1.0-py3-none-any.whl", "announced", "--refresh"])


def test_a_backend_that_fails(synced: Project, index: SimpleIndex) -> None:
    broken = make_sdist("broken", files={"broken/__init__.py": "", "_backend/backend.py": "1/0\n"})
    index.add(broken)
    synced.write("core", "broken")
    synced.done("lock")
    synced.fails("sync", says=["broken", "ZeroDivisionError"])
    synced.fails("add", "lint", says=["broken", "ZeroDivisionError"])


def test_a_server_that_fails(synced: Project, index: SimpleIndex) -> None:
    index.statuses["/simple/lint/"] = 403
    synced.fails("add", "lint", says=["403", "lint"])
    index.statuses = {"/files/lint-1.0-py3-none-any.whl": 404}
    synced.fails("add", "lint", says=["404", "lint-1.0-py3-none-any.whl"])


def test_no_network(synced: Project) -> None:
    import socket

    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/simple"
        synced.manifest.write_text(synced.manifest.read_text().replace(synced.index_url, url))
        synced.fails("add", "lint", says=["127.0.0.1"])


def test_offline_with_an_empty_cache(project: Project) -> None:
    project.write("core")
    project.fails("lock", "--offline", says=["core", "offline"])
    project.done("lock")
    project.fails("sync", "--offline", says=["core 1.2.0", "--offline"])


def test_offline_with_a_warm_cache(synced: Project, index: SimpleIndex) -> None:
    lock = synced.lock.read_bytes()
    synced.lock.unlink()
    synced.venv.unlink()
    index.forget()
    synced.done("sync", "--offline")
    assert synced.lock.read_bytes() == lock
    assert synced.installed() == {"core": "1.2.0"}
    assert not index.requests


# The lock


def test_a_lock_of_a_newer_envforge(synced: Project) -> None:
    document = {**json.loads(synced.lock.read_text()), "version": 99}
    synced.lock.write_text(json.dumps(document))
    for command in (["sync"], ["sync", "--frozen"], ["lock"], ["add", "lint"]):
        synced.fails(*command, says=["newer", "99", "upgrade envforge"])


def test_a_damaged_lock(synced: Project) -> None:
    whole = synced.lock.read_bytes()
    synced.lock.write_bytes(whole[: len(whole) // 2])
    synced.fails("sync", says=["envforge.lock", "hint:"])
    document = json.loads(whole)
    document["packages"]["core"]["files"][0]["size"] = "large"
    synced.lock.write_text(json.dumps(document))
    synced.fails("sync", says=["packages.core.files[0].size", "git checkout"])
    synced.lock.write_bytes(b"\xff\xfe")
    synced.fails("sync", says=["envforge.lock"])


def test_a_lock_that_does_not_fit_the_manifest(synced: Project) -> None:
    synced.write("core", "lint")
    for command in (["sync", "--frozen"], ["lock", "--check"], ["tree"]):
        synced.fails(*command, says=["does not fit", "envforge lock"])
    synced.lock.unlink()
    synced.fails("sync", "--frozen", says=["there is no lock", "envforge lock"])


def test_a_merge_conflict_in_the_lock(synced: Project, index: SimpleIndex) -> None:
    synced.write("core", "lint")
    synced.done("lock")
    ours = synced.lock.read_text()
    synced.write("core", "doc")
    synced.done("lock")
    theirs = synced.lock.read_text()
    index.add(make_wheel("core", "1.9"), make_wheel("lint", "2.0"), make_wheel("doc", "2.0"))
    synced.write("core", "lint", "doc")
    synced.lock.write_text(f"<<<<<<< ours\n{ours}=======\n{theirs}>>>>>>> theirs\n")
    synced.fails("sync", "--frozen", says=["conflict", "envforge lock"])
    synced.done("lock", "--refresh")
    assert synced.locked == {"core": "1.2.0", "lint": "1.0", "doc": "1.0"}
    synced.done("sync", "--frozen")
    assert set(synced.installed()) == {"core", "lint", "doc"}


# The command line


def test_a_typo_in_every_command(project: Project) -> None:
    from envforge.cli.commands import COMMANDS

    for name in COMMANDS:
        project.fails(name[:-1] + "x" + name[-1:], code=2, says=[f"did you mean {name}?"])
        words = [name, "--ofline", *(["core"] if name in ("add", "remove", "why", "run") else [])]
        project.fails(*words, code=2, says=["--ofline", "--offline"])


def test_a_foreign_folder_in_the_way(project: Project) -> None:
    project.write("core")
    project.venv.mkdir()
    (project.venv / "mine.txt").write_text("precious")
    project.done("lock")
    project.fails("sync", says=[".venv"])
    project.fails("add", "lint", says=[".venv"])
    assert (project.venv / "mine.txt").read_text() == "precious"


def test_a_folder_in_place_of_the_lock(synced: Project) -> None:
    synced.lock.unlink()
    synced.lock.mkdir()
    for command in (["lock"], ["sync"], ["add", "lint"]):
        synced.fails(*command, says=["envforge.lock"])


def test_a_program_that_does_not_exist(synced: Project) -> None:
    synced.fails("run", "no-such-program", code=2, says=["no-such-program"])


# The disk


def test_a_read_only_project(synced: Project, without_privileges: list[str]) -> None:
    lock = synced.lock.read_text()
    synced.lock.write_text("{}")
    synced.lock.unlink()
    synced.root.chmod(0o555)
    try:
        synced.fails("lock", says=["cannot write", "envforge.lock"], prefix=without_privileges)
        synced.fails("add", "lint", says=["cannot write", "pyproject.toml"], prefix=without_privileges)
        synced.root.chmod(0o755)
        synced.lock.write_text(lock)
        synced.venv.unlink()
        synced.root.chmod(0o555)
        synced.fails("sync", "--frozen", says=[".venv"], prefix=without_privileges)
    finally:
        synced.root.chmod(0o755)


def test_a_read_only_cache(synced: Project, without_privileges: list[str]) -> None:
    folders = [Path(base) for base, _, _ in os.walk(synced.cache) if not Path(base).match("*/trees/*")]
    modes = {folder: folder.stat().st_mode for folder in folders}
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert "up to date" in synced.done("sync", prefix=without_privileges).err
        assert synced.done("run", "python", "-c", "print(1)", prefix=without_privileges).out == "1\n"
        synced.fails("add", "lint", says=[str(synced.cache)], prefix=without_privileges)
        synced.cache = synced.root.parent / "none"
        synced.cache.mkdir(mode=0o555)
        synced.fails("sync", says=[str(synced.cache)], prefix=without_privileges)
    finally:
        for folder, mode in modes.items():
            folder.chmod(mode)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(project: Project, index: SimpleIndex, small_disk: Path) -> None:
    index.add(make_wheel("big", padding=3_000_000))
    project.cache = small_disk / "cache"
    project.write("core")
    project.done("sync")
    project.fails("add", "big", says=["there is not enough room", str(small_disk)])
    assert project.installed() == {"core": "1.2.0"}
    project.done("add", "lint")
    assert set(project.installed()) == {"core", "lint"}


def test_a_file_size_limit(project: Project, index: SimpleIndex) -> None:
    """Like a full disk or a quota, where nothing can be mounted."""
    import resource

    index.add(make_wheel("big", padding=3_000_000))
    project.write("core")
    project.done("sync")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    project.fails("add", "big", says=["File too large"], preexec_fn=limit)
    assert project.installed() == {"core": "1.2.0"}
