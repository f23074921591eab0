"""Wheels from pages of releases, which are no indexes: taken instead of a build where they match the lock."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from support.distributions import Distribution, backend, make_sdist, make_wheel
from support.projects import MINOR, Project
from support.simple_index import SimpleIndex

CUDA = "nvidia-cuda-runtime-cu12==12.8.90"
PYTHON = f"cp{MINOR.replace('.', '')}"
NO_BUILD = backend("attention", "2.8.3") + "\ndef build_wheel(*a, **k):\n    raise SystemExit('no nvcc')\n"


@pytest.fixture(autouse=True)
def torches(index: SimpleIndex) -> None:
    index.add(*(make_wheel("torch", version, requires=[CUDA]) for version in ("2.7.1", "2.8.0")))
    index.add(make_wheel("nvidia-cuda-runtime-cu12", "12.8.90"))
    index.add(make_sdist("attention", "2.8.3", requires=["torch"], files={"_backend/backend.py": NO_BUILD}))


def on_release_page(label: str, *, requires: str = "torch", version: str = "2.8.3") -> Distribution:
    """A wheel that no project page lists; inside it says nothing of its label."""
    wheel = make_wheel(
        "attention",
        version,
        requires=[requires],
        tag=f"{PYTHON}-{PYTHON}-linux_x86_64",
        files={"attention.py": f"label = {label!r}"},
    )
    name = wheel.filename.replace(version, f"2.8.3+{label}")
    return replace(wheel, name="on-no-page", filename=name)


def pattern(index: SimpleIndex, more: str = "") -> str:
    name = "attention-{version}+{cuda-major}torch{torch}cxx11abi{abi}-{python}-{python}-{platform}.whl"
    url = f"{index.url.removesuffix('/simple')}/files/{name}"
    return f"[tool.envforge.build.attention]\nprebuilt = '{url}'\n{more}"


PLATFORM = 'platforms = ["linux-64"]'


def test_what_matches_the_locked_torch_is_taken(project: Project, index: SimpleIndex) -> None:
    index.add(on_release_page("cu12torch2.8cxx11abiTRUE"), on_release_page("cu12torch2.7cxx11abiTRUE"))
    project.write("attention", settings=PLATFORM, tables=pattern(index))
    project.done("sync")
    assert project.python("import attention; print(attention.label)") == "cu12torch2.8cxx11abiTRUE"
    assert project.installed()["torch"] == "2.8.0"
    assert project.locked["attention"] == "2.8.3"
    [file] = json.loads(project.lock.read_text())["packages"]["attention"]["files"]
    assert file["url"].endswith("cu12torch2.8cxx11abiTRUE-" + file["url"].rpartition("TRUE-")[2])
    assert [count for name, count in index.downloads.items() if "TRUE" in name] == [1], "not twice"
    assert "attention" not in project.done("sync", "--dry-run").err

    lock = project.lock.read_bytes()
    project.lock.unlink()
    project.done("lock")
    assert project.lock.read_bytes() == lock

    project.write("attention", "torch<2.8", settings=PLATFORM, tables=pattern(index))
    project.done("sync")
    assert project.python("import attention; print(attention.label)") == "cu12torch2.7cxx11abiTRUE"


def test_what_is_locked_is_not_looked_for_again(project: Project, index: SimpleIndex) -> None:
    index.add(on_release_page("cu12torch2.8cxx11abiTRUE"))
    project.write("attention", settings=PLATFORM, tables=pattern(index))
    project.done("lock")
    project.write("attention", "lint", settings=PLATFORM, tables=pattern(index))
    index.forget()
    project.done("lock")
    assert not [path for path in index.requests if "TRUE" in path]
    project.done("lock", "--upgrade")
    assert [path for path in index.requests if "TRUE" in path]


def test_where_there_is_none_it_is_built(project: Project, index: SimpleIndex) -> None:
    project.write("attention", settings='platforms = ["linux-64", "osx-arm64"]', tables=pattern(index))
    told = project.done("lock").err
    assert "attention 2.8.3 has no prebuilt wheel for linux-64, osx-arm64: it has to be built there" in told
    assert "there is no http" in told
    project.fails("sync", says=["no nvcc"])


@pytest.mark.parametrize(
    ("wheel", "says"),
    [
        (
            on_release_page("cu12torch2.8cxx11abiTRUE", requires="torch==2.7.1"),
            "it requires torch==2.7.1, and 2.8.0",
        ),
        (
            on_release_page("cu12torch2.8cxx11abiTRUE", requires="lint"),
            "it requires lint, which its sdist does not",
        ),
    ],
    ids=["another torch", "more than the sdist"],
)
def test_what_contradicts_the_lock_is_not_taken(
    project: Project, index: SimpleIndex, wheel: Distribution, says: str
) -> None:
    index.add(wheel)
    project.write("attention", settings=PLATFORM, tables=pattern(index))
    assert says in project.done("lock").err
    project.write(
        "attention",
        settings=PLATFORM,
        tables=pattern(index) + '[tool.envforge.metadata]\nattention = { requires = ["torch"] }',
    )
    assert "prebuilt" not in project.done("lock").err, "supplied metadata is the user's word"


def test_bad_wheels_and_servers_are_errors(project: Project, index: SimpleIndex) -> None:
    index.add(on_release_page("cu12torch2.8cxx11abiTRUE", version="2.8.2"))
    project.write("attention", settings=PLATFORM, tables=pattern(index))
    project.fails("lock", says=["cu12torch2.8cxx11abiTRUE", "no METADATA of its own"])
    index.add(on_release_page("cu12torch2.8cxx11abiTRUE"))
    project.fails("lock", "--offline", says=["--offline"])
    project.done("lock", "--refresh")
    [wheel] = [name for name in index.downloads if "TRUE" in name]
    index.replace_content(wheel, b"something else")
    for kept in (project.cache / "archives").glob("*.whl"):
        kept.unlink()
    project.fails("sync", says=["attention"])


def test_no_binary_means_build(project: Project, index: SimpleIndex) -> None:
    index.add(on_release_page("cu12torch2.8cxx11abiTRUE"))
    project.write("attention", settings=f'{PLATFORM}\nno-binary = ["attention"]', tables=pattern(index))
    project.done("lock")
    assert "attention-2.8.3.tar.gz" in project.lock.read_text()
