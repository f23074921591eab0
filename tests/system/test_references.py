"""Projects that come from one certain folder or archive, as people have them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from envforge.workflows.stamp import find_stamped

from support.distributions import BUILD_SYSTEM, backend, make_sdist, make_wheel, project_tables
from support.projects import MINOR, Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of the environment are POSIX here")


def write_library(
    folder: Path, name: str = "lib", version: str = "1.0", *, requires: tuple[str, ...] = (), more: str = ""
) -> Path:
    """A project in a folder, with a backend that needs nothing."""
    module = name.replace("-", "_")
    (folder / module).mkdir(parents=True, exist_ok=True)
    (folder / "_backend").mkdir(exist_ok=True)
    (folder / "_backend" / "backend.py").write_text(backend(name, version, requires))
    (folder / module / "__init__.py").write_text("value = 1\n")
    (folder / "pyproject.toml").write_text(project_tables(name, version, requires) + BUILD_SYSTEM + more)
    return folder


def source(text: str, *, name: str = "lib") -> str:
    return f"[tool.envforge.sources]\n{name} = {{ {text} }}"


def value(project: Project, module: str = "lib") -> str:
    return project.python(f"import {module}; print({module}.value)").strip()


def origin(project: Project, name: str) -> dict[str, object]:
    code = f"import importlib.metadata as m; print(m.distribution({name!r}).read_text('direct_url.json'))"
    found: dict[str, object] = json.loads(project.python(code))
    return found


def stamped(project: Project) -> bool:
    """Whether the next plain sync takes the environment for right without reading manifest and lock."""
    return find_stamped(str(project.root), project.environ()) != ""


def test_a_folder_is_locked_by_its_path_and_built_again_when_its_files_change(project: Project) -> None:
    folder = write_library(project.root.parent / "lib", requires=("core<2",))
    project.write("lib>=1", tables=source('path = "../lib/"'))
    project.done("sync")
    entry = json.loads(project.lock.read_text())["packages"]["lib"]
    assert entry == {"name": "lib", "requires": ["core<2"], "source": {"folder": "../lib"}, "version": "1.0"}
    assert json.loads(project.lock.read_text())["version"] == 3
    assert str(project.root) not in project.lock.read_text()
    assert value(project) == "1"
    assert "core" in project.locked
    assert origin(project, "lib") == {"url": folder.as_uri(), "dir_info": {}}
    lock = project.lock.read_bytes()

    assert "up to date" in project.done("sync").err
    assert stamped(project)
    (folder / "lib" / "__init__.py").write_text("value = 2\n")
    assert not stamped(project)
    assert project.envforge("sync", "--check").code == 1
    project.done("sync")
    assert value(project) == "2"
    assert project.lock.read_bytes() == lock, "code is no matter of the lock"
    (folder / "build" / "lib").mkdir(parents=True)
    (folder / "build" / "lib" / "x.py").write_text("")
    assert "up to date" in project.done("sync").err


def test_an_editable_folder_needs_no_build_for_its_code(project: Project) -> None:
    folder = write_library(project.root.parent / "lib")
    project.write("lib", tables=source('path = "../lib", editable = true'))
    project.done("sync")
    (folder / "lib" / "__init__.py").write_text("value = 2\n")
    assert value(project) == "2"
    assert stamped(project), "its code is no matter of the environment"
    assert origin(project, "lib") == {"url": folder.as_uri(), "dir_info": {"editable": True}}
    (folder / "lib2.py").write_text("")
    assert not stamped(project), "a new name to be imported is"


def test_what_a_folder_requires_makes_the_lock_stale(project: Project) -> None:
    folder = write_library(project.root.parent / "lib")
    project.write("lib", tables=source('path = "../lib", editable = true'))
    project.done("sync")
    project.done("lock", "--check")
    write_library(folder, requires=("core",))
    assert not stamped(project)
    project.fails("lock", "--check", says=["does not fit pyproject.toml", "envforge lock"])
    project.fails("sync", "--frozen", says=["does not fit"])
    project.done("sync")
    assert set(project.locked) == {"core", "lib"}
    project.done("lock", "--check")


def test_a_project_with_folders_can_be_moved(project: Project, tmp_path: Path) -> None:
    write_library(project.root.parent / "lib")
    project.write("lib", tables=source('path = "../lib"'))
    project.done("lock")
    lock = project.lock.read_bytes()
    elsewhere = Project(tmp_path / "elsewhere", project.index_url)
    shutil.copytree(project.root, elsewhere.root, dirs_exist_ok=True)
    shutil.copytree(project.root.parent / "lib", elsewhere.root.parent / "lib")
    elsewhere.done("lock", "--check")
    elsewhere.done("sync", "--frozen")
    assert elsewhere.lock.read_bytes() == lock
    assert value(elsewhere) == "1"


def test_sources_of_a_folder_are_followed(project: Project) -> None:
    more = '[tool.envforge.sources]\nother = { path = "../other", editable = true }\n'
    write_library(project.root.parent / "libs" / "lib", requires=("other",), more=more)
    write_library(project.root.parent / "libs" / "other", "other", "3.0")
    project.write("lib", tables=source('path = "../libs/lib"'))
    project.done("sync")
    packages = json.loads(project.lock.read_text())["packages"]
    assert packages["other"]["source"] == {"editable": "../libs/other"}
    assert value(project, "other") == "1"
    assert "other 3.0" in project.done("tree").out
    assert "lib 1.0" in project.done("why", "other").out


def test_archives_by_path_and_by_url(project: Project, index: SimpleIndex) -> None:
    wheel, sdist = make_wheel("lib", "1.0", requires=["core<2"]), make_sdist("packed", "2.0")
    index.add(make_wheel("far", "1.0"))
    (project.root / "wheels").mkdir()
    (project.root / "wheels" / wheel.filename).write_bytes(wheel.content)
    (project.root / "wheels" / sdist.filename).write_bytes(sdist.content)
    far = f"{index.url.removesuffix('simple')}files/far-1.0-py3-none-any.whl"
    tables = (
        source(f'path = "wheels/{wheel.filename}"') + f'\npacked = {{ path = "wheels/{sdist.filename}" }}\n'
    )
    project.write("lib", "packed", f"far @ {far}", tables=tables)
    project.done("lock")
    packages = json.loads(project.lock.read_text())["packages"]
    assert packages["lib"]["source"] == {"path": f"./wheels/{wheel.filename}"}
    assert packages["lib"]["files"][0]["url"] == f"./wheels/{wheel.filename}"
    assert packages["far"]["source"] == {"url": far}
    assert len(packages["far"]["files"][0]["sha256"]) == 64
    index.forget()
    project.done("sync")
    assert index.downloads["far-1.0-py3-none-any.whl"] == 0, "what was fetched to be locked is kept"
    assert project.installed()["far"] == "1.0"
    assert project.installed()["packed"] == "2.0"
    project.done("lock", "--check")
    project.done("sync", "--offline")
    index.forget()
    project.write("lib", "packed", "core", f"far @ {far}", tables=tables)
    project.done("lock", "--offline")
    assert index.requests.total() == 0


def test_add_and_remove_folders_and_archives(project: Project, index: SimpleIndex) -> None:
    write_library(project.root.parent / "lib")
    write_library(project.root.parent / "other", "other")
    wheel = make_wheel("packed", "1.0")
    (project.root / wheel.filename).write_bytes(wheel.content)
    index.add(make_wheel("far", "1.0"))
    far = f"far @ {index.url.removesuffix('simple')}files/far-1.0-py3-none-any.whl"
    project.write("core<2")
    (project.root / "src").mkdir()
    project.done("add", "../../lib", "--editable", "../../other", cwd=project.root / "src")
    project.done("add", f"./{wheel.filename}", far)
    manifest = project.manifest.read_text()
    assert 'lib = { path = "../lib" }' in manifest
    assert 'other = { path = "../other", editable = true }' in manifest
    assert f'packed = {{ path = "./{wheel.filename}" }}' in manifest
    for entry in ('"lib"', '"other"', '"packed"', f'"{far}"'):
        assert entry in manifest, "without a bound: there is this version only"
    assert {"lib", "other", "packed", "far", "core"} <= project.installed().keys()
    project.done("remove", "lib", "other", "packed", "far")
    manifest = project.manifest.read_text()
    assert "sources" not in manifest
    assert "far" not in manifest
    assert set(project.locked) == {"core"}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["./nowhere"], 2, ["there is nothing at", "nowhere"]),
        (["."], 2, ["cannot require itself"]),
        (["../empty"], 1, ["is no project", "neither a pyproject.toml with a project nor a setup.py"]),
        (["--editable", "./x-1.0.zip"], 2, ["x-1.0.zip is an archive: only a folder"]),
        (["./odd.zip"], 1, ["not named like an sdist"]),
        ([], 2, ["nothing to add"]),
        (["lib @ https://host/lib.exe"], 1, ["URL of lib is not the URL of a wheel or an sdist"]),
        (["lib @ ftp://me:secret@host/lib.zip"], 1, ["is not the URL of an archive"]),
    ],
)
def test_what_cannot_be_added_is_refused(
    project: Project, words: list[str], code: int, says: list[str]
) -> None:
    (project.root.parent / "empty").mkdir()
    for name in ("x-1.0.zip", "odd.zip"):
        (project.root / name).write_bytes(b"")
    project.write()
    finished = project.fails("add", *words, code=code, says=says)
    assert "secret" not in finished.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('path = "../nowhere"', ["there is nothing at", "nowhere", "from the folder of pyproject.toml"]),
        ('path = "../empty"', ["is no project", "neither a pyproject.toml with a project nor a setup.py"]),
        ('path = "../bare", editable = true', ["../bare/pyproject.toml has no [build-system]", "hatchling"]),
        ('path = "../other"', ["../other is a project named 'other', not 'lib'", "call it other"]),
        ('path = "notes.txt"', ["is neither a folder nor a wheel or sdist"]),
        ('path = "broken-1.0.whl"', ["broken-1.0.whl is damaged"]),
        ('path = "../other", subdirectory = "x"', ["subdirectory is for archives"]),
        ('path = "lib-1.0-py3-none-any.whl", editable = true', ["is an archive: only a folder"]),
    ],
)
def test_a_path_that_cannot_be_used_is_told_with_its_line(
    project: Project, text: str, says: list[str]
) -> None:
    (project.root.parent / "empty").mkdir()
    write_library(project.root.parent / "other", "other")
    bare = write_library(project.root.parent / "bare", "lib")
    (bare / "pyproject.toml").write_text(project_tables("lib", "1.0"))
    (project.root / "notes.txt").write_text("")
    (project.root / "broken-1.0.whl").write_bytes(b"PK")
    wheel = make_wheel("lib")
    (project.root / wheel.filename).write_bytes(wheel.content)
    project.write("lib", tables=source(text))
    finished = project.fails("sync", says=says)
    if "damaged" not in finished.err:
        line = project.manifest.read_text().splitlines().index(source(text).splitlines()[1]) + 1
        assert f"pyproject.toml:{line}: tool.envforge.sources.lib" in finished.err


def test_urls_that_cannot_be_had(project: Project, index: SimpleIndex) -> None:
    index.add(make_wheel("far", "1.0"))
    base = index.url.removesuffix("simple") + "files"
    wheel = f"{base}/far-1.0-py3-none-any.whl"
    project.write(f"far @ {base}/gone-1.0-py3-none-any.whl")
    project.fails("lock", says=["gone-1.0-py3-none-any.whl", "404"])
    project.write(f"far @ {wheel}")
    project.fails("lock", "--offline", says=["far-1.0-py3-none-any.whl", "the network is forbidden"])
    project.write(f"far @ {wheel}#sha256={'0' * 64}")
    project.fails("lock", says=["far-1.0-py3-none-any.whl", "0" * 64])
    project.write(f"far @ {wheel}?token=secret")
    assert "token" not in project.fails("lock", says=["has a query"]).err.replace("?***", "")
    project.write(f"near @ {wheel}")
    project.fails("lock", says=["is a project named 'far', not 'near'", "project.dependencies[0]"])

    project.write(f"far @ {wheel}")
    project.done("lock")
    index.replace_content("far-1.0-py3-none-any.whl", make_wheel("far", "1.0", files={"far.py": ""}).content)
    shutil.rmtree(project.cache)
    project.fails("sync", says=["far-1.0-py3-none-any.whl", "sha256"])
    project.done("lock", "--upgrade-package", "far")
    project.done("sync")


def test_credentials_are_used_and_never_stored_nor_shown(project: Project, index: SimpleIndex) -> None:
    index.add(make_wheel("far", "1.0"))
    host = index.url.removeprefix("http://").removesuffix("simple")
    project.variables |= {"TOKEN_USER": "someone", "TOKEN": "sesame"}
    url = f"http://${{TOKEN_USER}}:${{TOKEN}}@{host}files/far-1.0-py3-none-any.whl"
    project.write("far", tables=source(f'url = "{url}"', name="far"))
    finished = project.done("sync")
    assert "sesame" not in finished.err + finished.out + project.lock.read_text()
    assert "someone" not in project.lock.read_text()
    assert json.loads(project.lock.read_text())["packages"]["far"]["source"]["url"].startswith(
        f"http://{host}"
    )
    index.statuses["/files/far-1.0-py3-none-any.whl"] = 403
    finished = project.fails("lock", "--upgrade", says=["403"])
    assert "sesame" not in finished.err
    del project.variables["TOKEN"]
    project.fails("lock", "--upgrade", says=["the URL of the source of 'far'", "TOKEN"])


def test_what_others_require_of_a_folder_has_to_admit_its_version(
    project: Project, index: SimpleIndex
) -> None:
    index.add(make_wheel("needy", requires=["lib>=2"]))
    write_library(project.root.parent / "lib")
    project.write("lib", "needy", tables=source('path = "../lib"'))
    project.fails("lock", says=["your project → needy 1.0 needs lib>=2", "lib 1.0 comes from ../lib"])
    project.write("lib>=3", tables=source('path = "../lib"'))
    project.fails("lock", says=["no version of lib meets >=3", "lib 1.0 comes from ../lib"])


def test_a_wheel_for_one_platform_is_none_for_another(project: Project) -> None:
    python = f"cp{MINOR.replace('.', '')}"
    wheel = make_wheel("lib", tag=f"{python}-{python}-manylinux_2_17_x86_64")
    (project.root / wheel.filename).write_bytes(wheel.content)
    project.write("lib", tables=source(f'path = "{wheel.filename}"'))
    project.fails(
        "lock", says=["no version of lib fits", f"lib 1.0 comes from ./{wheel.filename}", "linux-aarch64"]
    )


def test_two_sources_for_one_name(project: Project) -> None:
    above = project.root.parent
    write_library(above / "one" / "shared", "shared")
    write_library(above / "two" / "shared", "shared")
    for name, place in (("a", "one"), ("b", "two")):
        more = f'[tool.envforge.sources]\nshared = {{ path = "../{place}/shared" }}\n'
        write_library(above / name, name, requires=("shared",), more=more)
    tables = '[tool.envforge.sources]\na = { path = "../a" }\nb = { path = "../b" }\n'
    project.write("a", "b", tables=tables)
    project.fails(
        "lock",
        says=[
            "shared has two sources",
            "your project → a 1.0 takes it from ../one/shared",
            "your project → b 1.0 takes it from ../two/shared",
            "tool.envforge.sources",
        ],
    )
    project.write("a", "b", tables=tables + 'shared = { path = "../two/shared" }\n')
    project.done("lock")
    packages = json.loads(project.lock.read_text())["packages"]
    assert packages["shared"]["source"] == {"folder": "../two/shared"}


def test_a_folder_that_went_away_after_it_was_locked(project: Project) -> None:
    folder = write_library(project.root.parent / "lib")
    project.write("lib", tables=source('path = "../lib"'))
    project.done("sync")
    shutil.rmtree(folder)
    project.fails("sync", says=["there is nothing at", "tool.envforge.sources.lib"])
    project.fails("sync", "--frozen", says=["does not fit"])


def test_urls_by_platform(project: Project, index: SimpleIndex) -> None:
    base = index.url.removesuffix("simple") + "files"
    wheels = [
        make_wheel("far", "1.0", tag=f"py3-none-{each}") for each in ("manylinux_2_17_x86_64", "win_amd64")
    ]
    index.add(*wheels)
    linux, windows = (f"{base}/{wheel.filename}" for wheel in wheels)
    project.write(
        f"far @ {linux} ; sys_platform == 'linux'",
        f"far @ {windows} ; sys_platform == 'win32'",
        settings='platforms = ["linux-64", "win-64"]',
    )
    project.done("lock")
    packages = json.loads(project.lock.read_text())["packages"]
    assert sorted(package["source"]["url"] for package in packages.values()) == sorted([linux, windows])
    project.done("sync")
    project.done("lock", "--check")


def test_an_sdist_by_url_says_where_it_comes_from(project: Project, index: SimpleIndex) -> None:
    sdist = make_sdist("packed", "2.0")
    index.add(sdist)
    url = f"{index.url.removesuffix('simple')}files/{sdist.filename}"
    project.write(f"packed @ {url}")
    project.done("sync")
    found = origin(project, "packed")
    assert found["url"] == url
    assert found["archive_info"] == {"hash": f"sha256={sdist.sha256}", "hashes": {"sha256": sdist.sha256}}
    project.write("packed")
    project.done("sync")
    code = "import importlib.metadata as m; print(m.distribution('packed').read_text('direct_url.json'))"
    assert project.python(code).strip() == "None", "the same file from an index is another thing"


def test_a_sdist_whose_project_is_in_a_folder_of_it(project: Project) -> None:
    folder = write_library(project.root.parent / "repository" / "python", requires=("core<2",))
    shutil.make_archive(str(project.root / "repository-main"), "zip", folder.parents[1], "repository")
    project.write("lib", tables=source('path = "repository-main.zip", subdirectory = "python"'))
    project.done("sync")
    assert value(project) == "1"
    assert "core" in project.locked
    project.write("lib", tables=source('path = "repository-main.zip", subdirectory = "rust"'))
    project.fails("lock", says=["neither pyproject.toml nor setup.py is in repository/rust"])


def test_extras_and_groups_of_what_comes_directly(project: Project) -> None:
    folder = write_library(project.root.parent / "lib")
    (folder / "pyproject.toml").write_text(
        project_tables("lib", "1.0")
        + "[project.optional-dependencies]\nrest = ['lint']\n"
        + "plots = ['core<2', 'other ; sys_platform == \"linux\"']\n"
        + BUILD_SYSTEM
        + '[tool.envforge.sources]\nother = { path = "../other" }\n'
    )
    write_library(project.root.parent / "other", "other")
    project.write("lib[plots]", tables=source('path = "../lib"'))
    project.done("lock")
    assert set(project.locked) == {"core", "lib", "other"}
    project.done("lock", "--check")


def test_one_of_many_processes_builds(project: Project) -> None:
    folder = write_library(project.root.parent / "lib")
    noted = project.root.parent / "noted"
    hooks = folder / "_backend" / "backend.py"
    hooks.write_text(
        hooks.read_text().replace(
            "    files = {}\n", f"    files = {{}}\n    open({str(noted)!r}, 'a').write('x')\n", 1
        )
    )
    project.write("lib", tables=source('path = "../lib"'))
    project.done("lock")
    running = [project.start("sync") for _ in range(6)]
    for process in running:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert noted.read_text() == "x"
    assert project.leftovers() == []


def test_an_archive_that_was_replaced_is_told_and_taken_when_asked(project: Project) -> None:
    wheel = make_wheel("lib")
    place = project.root / wheel.filename
    place.write_bytes(wheel.content)
    project.write("lib", tables=source(f'path = "{wheel.filename}"'))
    project.done("lock")
    place.write_bytes(make_wheel("lib", files={"lib/__init__.py": "value = 2\n"}).content)
    project.fails("sync", says=[wheel.filename, "envforge lock --upgrade-package"])
    project.done("lock", "--upgrade-package", "lib")
    project.done("sync")
    assert value(project) == "2"


def test_what_folders_are_made_of_is_kept_while_it_is_used(project: Project) -> None:
    write_library(project.root.parent / "lib")
    write_library(project.root.parent / "other", "other")
    tables = source('path = "../lib"') + '\nother = { path = "../other", editable = true }\n'
    project.write("lib", "other", tables=tables)
    project.done("sync")
    project.done("cache", "prune", "--all")
    project.done("verify")
    assert value(project) == value(project, "other") == "1"


def test_variants_take_a_project_from_different_places(project: Project, index: SimpleIndex) -> None:
    index.add(make_wheel("lib", "1.0"))
    write_library(project.root.parent / "lib")
    tables = (
        '[tool.envforge.variants.gpu]\nwhen = { cuda = ">=12" }\n'
        '[tool.envforge.variants.cpu]\nsources = { lib = { path = "../lib" } }\n'
    )
    project.write("lib", settings='platforms = ["linux-64"]', tables=tables)
    project.done("lock")
    packages = json.loads(project.lock.read_text())["packages"]
    assert set(packages) == {"lib@1.0@../lib", "lib@1.0@local"}
    assert packages["lib@1.0@../lib"]["source"] == {"folder": "../lib"}
    project.done("sync", "--variant", "cpu")
    assert origin(project, "lib")["dir_info"] == {}
    project.done("lock", "--check")


def test_a_file_url_in_a_requirement_is_a_folder_or_an_archive(project: Project) -> None:
    folder = write_library(project.root.parent / "my lib", requires=("other @ ../other",))
    write_library(project.root.parent / "other", "other")
    project.write(f"lib @ {folder.as_uri()}")
    project.done("sync")
    packages = json.loads(project.lock.read_text())["packages"]
    assert packages["lib"]["source"] == {"folder": str(folder)}
    assert packages["other"]["source"] == {"folder": str(folder.parent / "other")}
    assert value(project) == value(project, "other") == "1"
    write_library(folder, requires=("core",))
    project.fails("lock", "--check", says=["does not fit"])
