"""Flat indexes: a folder of files, and a page of links to files of any project."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.distributions import Distribution, make_sdist, make_wheel
from support.projects import Project
from support.scripted_server import Answer, ScriptedServer


def fill(folder: Path, *files: Distribution) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file.filename).write_bytes(file.content)


def flat_table(url: str, more: str = "") -> str:
    return f'[[tool.envforge.index]]\nname = "ours"\nurl = "{url}"\nformat = "flat"\n{more}'


@pytest.fixture
def pages() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


class TestFolder:
    def test_wheels_and_sdists_of_a_folder_go_before_the_index(self, project: Project) -> None:
        wheels = project.root / "our wheels"
        fill(wheels, make_wheel("core", "0.5"), make_wheel("core", "0.9"), make_sdist("private"))
        (wheels / "README.txt").write_text("no distribution")
        project.write("core", "private", "lint", tables=flat_table("our wheels/"))
        project.done("sync")
        assert project.locked == {"core": "0.9", "private": "1.0", "lint": "1.0"}
        assert project.installed() | {"core": "0.9", "private": "1.0", "lint": "1.0"} == project.installed()
        lock = json.loads(project.lock.read_text())
        assert lock["packages"]["core"]["files"][0]["url"] == "./our%20wheels/core-0.9-py3-none-any.whl"
        assert {"name": "ours", "url": "./our%20wheels"} in lock["indexes"]
        assert str(project.root) not in project.lock.read_text()
        project.done("lock", "--check")

    def test_the_lock_is_the_same_elsewhere(self, project: Project, tmp_path: Path) -> None:
        fill(project.root.parent / "wheels", make_wheel("private"))
        project.write("private", tables=flat_table("../wheels"))
        project.done("lock")
        other = Project(tmp_path / "elsewhere", project.index_url)
        shutil.copy(project.manifest, other.manifest)
        fill(other.root.parent / "wheels", make_wheel("private"))
        other.done("lock")
        assert other.lock.read_bytes() == project.lock.read_bytes()
        shutil.copy(project.lock, other.lock)
        other.done("sync", "--frozen", "--offline")
        assert "private" in other.installed()

    def test_explicit(self, project: Project) -> None:
        fill(project.root / "wheels", make_wheel("core", "9.0"), make_wheel("lint", "9.0"))
        project.write(
            "core",
            "lint",
            tables=flat_table(
                "wheels", 'explicit = true\n[tool.envforge.sources]\nlint = { index = "ours" }'
            ),
        )
        project.done("lock")
        assert project.locked == {"core": "1.2.0", "lint": "9.0"}

    def test_another_file_under_the_same_name(self, project: Project) -> None:
        wheels = project.root / "wheels"
        fill(wheels, make_wheel("private"))
        project.write("private", tables=flat_table("wheels"))
        project.done("lock")
        fill(wheels, make_wheel("private", files={"private/__init__.py": "changed = True\n"}))
        project.fails("sync", says=["private-1.0-py3-none-any.whl is not the file that was locked", "lock"])
        project.done("lock", "--upgrade")
        project.done("sync")
        assert project.python("import private; print(private.changed)") == "True"

    def test_new_metadata_under_the_same_name_is_read(self, project: Project) -> None:
        wheels = project.root / "wheels"
        fill(wheels, make_wheel("private"))
        project.write("private", tables=flat_table("wheels"))
        project.done("lock")
        fill(wheels, make_wheel("private", requires=["lint"]))
        project.done("lock", "--upgrade")
        assert project.locked == {"private": "1.0", "lint": "1.0"}

    def test_what_is_gone_is_told(self, project: Project) -> None:
        project.write("private", tables=flat_table("wheels"))
        project.fails("lock", says=["index 'ours' cannot be listed", "wheels", "from the project's folder"])
        fill(project.root / "wheels", make_wheel("private"))
        project.done("lock")
        (project.root / "wheels" / "private-1.0-py3-none-any.whl").unlink()
        project.fails("sync", says=["private-1.0-py3-none-any.whl cannot be read"])

    def test_upload_times_are_not_asked_for(self, project: Project) -> None:
        fill(project.root / "wheels", make_wheel("private"))
        project.write("private", settings='exclude-newer = "2020-01-01"', tables=flat_table("wheels"))
        project.done("lock")
        assert project.locked == {"private": "1.0"}


class TestPage:
    def test_links_of_many_projects(self, project: Project, pages: ScriptedServer) -> None:
        files = make_wheel("one", "1.0+cu128"), make_wheel("one", "0.9"), make_wheel("two")
        hashes = f"#sha256={files[0].sha256}", "", ""
        links = [
            f'<a href="files/{file.filename.replace("+", "%2B")}{hash_}">{file.filename}</a>'
            for file, hash_ in zip(files, hashes, strict=True)
        ]
        body = f"<html><h1>Wheels</h1><a href='../'>up</a>{'<br>'.join(links)}</html>".encode()
        pages.on("/whl/all.html", Answer(body=body, headers={"Content-Type": "text/html"}))
        for file in files:
            pages.on(f"/whl/files/{file.filename.replace('+', '%2B')}", Answer(body=file.content))
        project.write("one", "two", "lint", tables=flat_table(f"{pages.url}/whl/all.html"))
        project.done("sync")
        assert project.locked == {"one": "1.0+cu128", "two": "1.0", "lint": "1.0"}
        assert sum(request.path == "/whl/all.html" for request in pages.asked) == 1
        two = json.loads(project.lock.read_text())["packages"]["two"]["files"][0]
        assert two["sha256"] == files[2].sha256

    def test_assets_of_a_release_as_code_hosts_list_them(
        self, project: Project, pages: ScriptedServer
    ) -> None:
        """Links from the root of the host, texts in pieces, and files that lie elsewhere."""
        wheel = make_wheel("one", "1.0+cu128")
        name = wheel.filename.replace("+", "%2B")
        path = f"/lab/one/releases/download/v1.0/{name}"
        link = f'<a href="{path}" data-turbo="false"><span>one-1.0+cu128</span><span>-any.whl</span></a>'
        source = '<a href="/lab/one/archive/refs/tags/v1.0.tar.gz"><span>Source code</span></a>'
        assets = "/lab/one/releases/expanded_assets/v1.0"
        pages.on(
            assets, Answer(body=f"<ul>{link}{source}</ul>".encode(), headers={"Content-Type": "text/html"})
        )
        pages.on(path, Answer(status=302, headers={"Location": f"{pages.url}/objects/7"}))
        pages.on("/objects/7", Answer(body=wheel.content))
        project.write("one", tables=flat_table(f"{pages.url}{assets}"))
        project.done("sync")
        assert project.locked == {"one": "1.0+cu128"}
        assert path in project.lock.read_text()

    def test_a_page_in_a_file(self, project: Project) -> None:
        fill(project.root / "site" / "files", make_wheel("one"))
        page = project.root / "site" / "all.html"
        page.write_text('<a href="files/one-1.0-py3-none-any.whl">one</a>')
        project.write("one", tables=flat_table("site/all.html"))
        project.done("sync")
        lock = json.loads(project.lock.read_text())
        assert lock["packages"]["one"]["files"][0]["url"] == "./site/files/one-1.0-py3-none-any.whl"
        assert str(project.root) not in project.lock.read_text()

    def test_no_page(self, project: Project, pages: ScriptedServer) -> None:
        project.write("one", tables=flat_table(f"{pages.url}/whl/all.html"))
        project.fails("lock", says=["flat index 'ours' has no page: the answer is 404", "/whl/all.html"])


def test_a_format_that_is_none(project: Project) -> None:
    project.write("one", tables='[[tool.envforge.index]]\nname = "a"\nurl = "wheels"\nformat = "html"')
    project.fails("lock", says=["'html' is no format of an index", "is not the URL of an index"])


def compiled(label: str) -> Distribution:
    """A wheel for a build of torch as projects publish it: the label stands in the file's name alone."""
    wheel = make_wheel("attention", "2.8.3", requires=["torch"], files={"attention.py": f"label = {label!r}"})
    return replace(wheel, filename=wheel.filename.replace("2.8.3", f"2.8.3+{label}"))


def test_of_wheels_for_several_builds_of_torch_the_one_that_goes_with_it_is_taken(project: Project) -> None:
    cuda = "nvidia-cuda-runtime-cu12==12.8.90"
    fill(
        project.root / "wheels",
        *(make_wheel("torch", version, requires=[cuda]) for version in ("2.7.1", "2.8.0", "2.9.0")),
        make_wheel("nvidia-cuda-runtime-cu12", "12.8.90"),
        *(compiled(f"cu{cuda}torch{torch}cxx11abiTRUE") for cuda in (12, 13) for torch in ("2.7", "2.8")),
    )
    project.write("attention", "torch", tables=flat_table("wheels"))
    project.done("sync")
    assert project.installed()["torch"] == "2.8.0", "there is none for torch 2.9"
    assert project.python("import attention; print(attention.label)") == "cu12torch2.8cxx11abiTRUE"
    assert project.locked["attention"] == "2.8.3+cu12torch2.8cxx11abitrue"
    project.done("lock", "--check")
    project.done("verify")
    project.write("attention", "torch<2.8", tables=flat_table("wheels"))
    project.done("sync")
    assert project.python("import attention; print(attention.label)") == "cu12torch2.7cxx11abiTRUE"
    project.write("attention", "torch==2.9.*", tables=flat_table("wheels"))
    project.fails("lock", says=["attention", "torch==2.9.*"])
