"""Projects that come from git, as people have them: real repositories, locked by their commit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.git_repositories import GitHttpServer, GitRepository, git, git_daemon, package_files
from support.projects import Project
from support.simple_index import SimpleIndex
from support.users import ANNE, BEN, MakeProject

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of the environment are POSIX here")


@pytest.fixture
def lib(tmp_path: Path) -> GitRepository:
    repository = GitRepository(tmp_path / "served" / "lib")
    repository.commit(package_files("lib", "1.0", ["core<2"]))
    return repository


@pytest.fixture
def daemon(lib: GitRepository) -> Iterator[str]:
    with git_daemon(lib.folder.parent) as url:
        yield url


def source(text: str, *, name: str = "lib") -> str:
    return f"[tool.envforge.sources]\n{name} = {{ {text} }}"


def entry(project: Project, name: str = "lib") -> dict[str, object]:
    found: dict[str, object] = json.loads(project.lock.read_text())["packages"][name]
    return found


def version(project: Project, module: str = "lib") -> str:
    return project.python(f"import {module}; print({module}.version)")


def move(repository: GitRepository, to: str) -> str:
    return repository.commit(package_files("lib", to, ["core<2"]))


def test_a_branch_is_locked_to_its_commit(project: Project, lib: GitRepository, daemon: str) -> None:
    url = f"{daemon}/lib"
    first = lib.head
    project.write("lib", tables=source(f'git = "{url}", branch = "main"'))
    project.done("sync")
    assert entry(project) == {
        "name": "lib",
        "requires": ["core<2"],
        "source": {"branch": "main", "commit": first, "git": url},
        "version": "1.0",
    }
    assert version(project) == "1.0"
    assert set(project.locked) == {"lib", "core"}
    code = "import importlib.metadata as m; print(m.distribution('lib').read_text('direct_url.json'))"
    assert json.loads(project.python(code)) == {
        "url": url,
        "vcs_info": {"vcs": "git", "commit_id": first, "requested_revision": "main"},
    }
    lock = project.lock.read_bytes()
    assert "up to date" in project.done("sync").err
    project.done("lock", "--check")

    second = move(lib, "1.1")
    project.done("lock")
    assert project.lock.read_bytes() == lock
    project.write("lib", "lint", tables=source(f'git = "{url}", branch = "main"'))
    project.done("lock")
    assert project.locked["lib"] == "1.0", "another requirement moves no branch"
    told = project.done("lock", "--upgrade-package", "lib")
    assert f"~ lib 1.0 ({first[:12]}) → 1.1 ({second[:12]})" in told.out + told.err
    project.done("sync")
    assert version(project) == "1.1"
    assert "lib 1.1" in project.done("tree").out
    assert "lib 1.1" in project.done("why", "core").out


def test_whatever_names_a_commit(project: Project, lib: GitRepository) -> None:
    first = lib.head
    lib.tag("v1", annotated=True)
    move(lib, "2.0")
    for key, name, expected in (
        ("tag", "v1", "1.0"),
        ("rev", first, "1.0"),
        ("rev", first[:10], "1.0"),
        ("rev", "main", "2.0"),
        ("branch", "main", "2.0"),
    ):
        project.write("lib", tables=source(f'git = "{lib.url}", {key} = "{name}"'))
        project.done("lock")
        assert project.locked["lib"] == expected, f"{key} = {name}"
    project.write("lib", tables=source(f'git = "{lib.url}"'))
    project.done("sync")
    assert version(project) == "2.0"
    project.write(f"lib @ git+{lib.url}@v1")
    project.done("sync")
    assert version(project) == "1.0"
    assert entry(project)["source"] == {"commit": first, "git": lib.url, "rev": "v1"}


def test_a_force_push_and_a_server_that_is_gone(
    project: Project, lib: GitRepository, daemon: str, tmp_path: Path, index: SimpleIndex
) -> None:
    lost = move(lib, "1.5")
    lib.tag("v1.5")
    project.write("lib", tables=source(f'git = "{daemon}/lib", tag = "v1.5"'))
    project.done("sync")
    git(lib.folder, "reset", "--hard", "--quiet", "HEAD~1")
    git(lib.folder, "tag", "-d", "v1.5")
    lib.forget(lost)

    shutil.rmtree(project.tier)
    project.venv.unlink()
    project.done("sync", "--frozen")
    assert version(project) == "1.5", "the commit is in the cache"
    other = Project(tmp_path / "other", index.url)
    shutil.copy(project.manifest, other.manifest)
    shutil.copy(project.lock, other.lock)
    other.fails("sync", "--frozen", says=[f"does not have commit {lost} any more", "--upgrade-package"])
    project.fails("lock", "--upgrade", says=["has no tag v1.5", "branches: main", "tags: none", "lib"])


def test_offline(project: Project, lib: GitRepository) -> None:
    lib.commit(package_files("lib", "1.0"))
    project.write("lib", tables=source(f'git = "{lib.url}", branch = "main"'))
    project.fails("lock", "--offline", says=["branch main", "not in the cache", "without --offline"])
    project.done("sync")
    away = lib.folder.with_name("away")
    lib.folder.rename(away)
    shutil.rmtree(project.tier)
    project.venv.unlink()
    project.done("sync", "--offline")
    assert version(project) == "1.0"
    project.lock.unlink()
    project.done("lock", "--offline")
    project.fails("lock", "--upgrade", says=["there is no such repository", lib.url])


def test_subdirectories_and_their_neighbours(project: Project, lib: GitRepository) -> None:
    sources = '[tool.envforge.sources]\nother = { path = "../other" }\n'
    files = package_files("part", "3.0", ["other"], "python/part/")
    files["python/part/pyproject.toml"] = f"{files['python/part/pyproject.toml']!s}{sources}"
    lib.commit({**files, **package_files("other", "4.0", [], "python/other/")})
    text = f'git = "{lib.url}", subdirectory = "python/part"'
    project.write("part", tables=source(text, name="part"))
    project.done("sync")
    assert version(project, "part") == "3.0"
    assert version(project, "other") == "4.0"
    assert entry(project, "other")["source"] == {
        "commit": lib.head,
        "git": lib.url,
        "subdirectory": "python/other",
    }


def test_what_is_in_no_repository(project: Project, lib: GitRepository) -> None:
    lib.commit({"docs/readme.txt": "", **package_files("deep", "1.0", [], "python/deep/")})
    bad = (
        ('subdirectory = "pyhton"', ["has no folder pyhton", "docs, lib, python"]),
        ('subdirectory = "python"', ["is no project", 'subdirectory = "python/deep"']),
        ('subdirectory = "../x"', ["no folder inside"]),
        ('branch = "mian"', ["has no branch mian", "did you mean main?"]),
        ('branch = "main", tag = "v1"', ["names two commits: branch and tag", "keep one"]),
        ('brnach = "main"', ["is no key of a source with git", "did you mean branch?"]),
        ('rev = "--upload-pack=x"', ["cannot be the name of a rev"]),
        ('lfs = "yes"', ["is a text, not true or false"]),
        (f'rev = "{"1" * 40}"', [f"does not have commit {'1' * 40}"]),
    )
    for text, says in bad:
        project.write("lib", tables=source(f'git = "{lib.url}", {text}'))
        project.fails("lock", says=says)
    project.write("other", tables=source(f'git = "{lib.url}"', name="other"))
    project.fails("lock", says=["is a project named 'lib', not 'other'", "call it lib"])
    for url, says in (
        ("ext::sh -c true", ["has characters"]),
        ("../lib", ["is not the address of a git repository", "file:///path"]),
        ("https://host/lib?token=secret", ["has characters"]),
    ):
        project.write("lib", tables=source(f'git = "{url}"'))
        assert (
            "secret"
            not in project.fails("lock", says=[*says, "tool.envforge.sources.lib.git"]).err.split("url")[0]
        )
    project.write("lib", tables=source('git = "http://127.0.0.1:1/lib"'))
    project.fails("lock", says=["it does not answer", "your project takes lib from http://127.0.0.1:1/lib"])


def test_credentials_are_used_and_nowhere_kept(project: Project, lib: GitRepository) -> None:
    with GitHttpServer(lib.folder.parent, "anne", "s3cret") as server:
        url = server.url.replace("://", "://anne:${LIB_PASSWORD}@") + "/lib/.git"
        project.write("lib", tables=source(f'git = "{url}"'))
        project.fails("lock", says=["LIB_PASSWORD"])
        project.variables["LIB_PASSWORD"] = "wr0ng"
        assert "wr0ng" not in project.fails("lock", says=["it wants other credentials"]).err
        project.variables["LIB_PASSWORD"] = "s3cret"
        project.done("sync")
        assert version(project) == "1.0"
        shutil.rmtree(project.cache / "git-v1")
        shutil.rmtree(project.tier)
        project.done("sync", "--frozen")
        assert entry(project)["source"] == {"commit": lib.head, "git": f"{server.url}/lib/.git"}
    found = subprocess.run(["grep", "-rl", "s3cret", str(project.root.parent)], capture_output=True)
    assert found.stdout == b""


def test_a_version_that_is_made_of_the_history(project: Project, lib: GitRepository) -> None:
    """As setuptools-scm does it; here by a backend of the repository's own, which the build requires."""
    files = package_files("lib", "0")
    computed = (
        "import subprocess\n"
        '_said = subprocess.run(["git", "describe", "--tags"], capture_output=True, text=True)\n'
        'VERSION = _said.stdout.strip().split("-")[0].lstrip("v") + ".post" + _said.stdout.split("-")[1]\n'
    )
    before = "\n\ndef build_wheel"
    backend = str(files["_backend/backend.py"]).replace(before, f"\n{computed}{before}", 1)
    table = '[project]\nname = "lib"\ndynamic = ["version"]\n[tool.setuptools_scm]\n'
    system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["_backend"]\n'
    lib.commit({**files, "_backend/backend.py": backend, "pyproject.toml": table + system})
    lib.tag("v2.0")
    lib.commit({"a.txt": "1"})
    lib.commit({"a.txt": "2"})
    project.write("lib", tables=source(f'git = "{lib.url}"'))
    project.done("sync")
    assert project.locked["lib"] == "2.0.post2"
    assert project.installed()["lib"] == "2.0.post2"


def test_projects_share_what_was_fetched_and_built(
    project: Project, lib: GitRepository, tmp_path: Path, index: SimpleIndex
) -> None:
    project.write("lib", tables=source(f'git = "{lib.url}"'))
    project.done("sync")
    other = Project(tmp_path / "other", index.url, cache=project.cache)
    other.write("lib", tables=source(f'git = "{lib.url}"'))
    told = other.done("sync", "-v")
    assert "Built" not in told.err
    assert version(other) == "1.0"
    assert len(list((project.cache / "git-v1").glob("*/*.json"))) == 1


def test_the_cache_knows_commits(project: Project, lib: GitRepository) -> None:
    project.write("lib", tables=source(f'git = "{lib.url}"'))
    project.done("sync")
    report = project.done("cache", "info", "--json").json
    assert "git commit" in json.dumps(report)
    project.done("cache", "prune", "--all")
    assert list((project.cache / "git-v1").glob("*/*.json")), "used within the hour"
    for marker in (project.cache / "git-v1").glob("*/*.json"):
        os.utime(marker, (0, 0))
    project.done("cache", "prune", "--all")
    assert not list((project.cache / "git-v1").glob("*/*.git"))
    project.done("sync")


def test_add(project: Project, lib: GitRepository) -> None:
    lib.tag("v1.0")
    project.write()
    assert "Added lib" in project.done("add", f"git+{lib.url}@v1.0").err
    assert f'lib = {{ git = "{lib.url}", rev = "v1.0" }}' in project.manifest.read_text()
    assert version(project) == "1.0"
    project.done("remove", "lib")
    assert lib.url not in project.manifest.read_text()
    lib.commit(package_files("part", "2.0", folder="python/"))
    words = ("--git", lib.url, "--branch", "main", "--subdirectory", "python", "--no-sync")
    project.done("add", *words)
    wanted = f'part = {{ git = "{lib.url}", branch = "main", subdirectory = "python" }}'
    assert wanted in project.manifest.read_text()
    project.done("add", "lib>=1", "--git", lib.url, "--tag", "v1.0")
    assert project.locked["lib"] == "1.0"
    assert '"lib>=1"' in project.manifest.read_text()
    assert f'lib = {{ git = "{lib.url}", tag = "v1.0" }}' in project.manifest.read_text()


def test_what_cannot_be_added(project: Project, lib: GitRepository) -> None:
    docs = lib.commit({"docs/a.txt": "x"})
    project.write()
    bad: tuple[tuple[list[str], int, list[str]], ...] = (
        (["lint", "--tag", "v1"], 2, ["--tag is of no use without --git"]),
        (["lib", "lint", "--git", lib.url], 2, ["--git is for one project"]),
        (["lib", "--git", "ext::sh"], 2, ["address"]),
        (["git+https://anne:secret@host/lib"], 2, ["credentials", "${TOKEN}"]),
        ([f"git+{lib.url}@nowhere"], 1, ["has no rev nowhere"]),
        ([f"git+{lib.url}@{docs}#subdirectory=docs"], 1, ["does not say the name", "--git"]),
        (["other", "--git", lib.url], 1, ["is a project named 'lib', not 'other'"]),
    )
    for words, code, says in bad:
        assert "secret" not in project.fails("add", *words, code=code, says=says).err


def test_ssh(project: Project, lib: GitRepository, tmp_path: Path) -> None:
    """Git's ssh is asked with the address as it is written; here a program that stands in for it."""
    asked = tmp_path / "asked"
    program = tmp_path / "ssh"
    program.write_text(
        f'#!/bin/sh\nwhile [ $# -gt 2 ]; do shift; done\necho "$1" >> {asked}\nexec sh -c "$2"\n'
    )
    program.chmod(0o755)
    project.variables["GIT_SSH"] = str(program)
    project.write("lib", tables=source(f'git = "git@host.example:{lib.folder}", branch = "main"'))
    project.done("sync")
    assert version(project) == "1.0"
    assert entry(project)["source"] == {
        "branch": "main",
        "commit": lib.head,
        "git": f"git@host.example:{lib.folder}",
    }
    project.write(f"lib @ git+ssh://git@host.example{lib.folder}@main")
    project.done("sync")
    assert set(asked.read_text().split()) == {"git@host.example"}


def test_ssh_that_wants_to_ask_fails_at_once(project: Project, tmp_path: Path) -> None:
    program = tmp_path / "ssh"
    program.write_text(
        "#!/bin/sh\nread answer < /dev/tty || echo 'Permission denied (publickey).' >&2\nexit 255\n"
    )
    program.chmod(0o755)
    project.variables["GIT_SSH"] = str(program)
    project.write("lib", tables=source('git = "git@host.example:lib.git"'))
    project.fails("lock", says=["ssh is not let in", "ssh -o BatchMode=yes git@host.example"])


def test_what_a_commit_requires_from_git(project: Project, lib: GitRepository) -> None:
    other = GitRepository(lib.folder.with_name("other"))
    other.commit(package_files("other", "5.0"))
    lib.commit(package_files("lib", "1.1", [f"other @ git+{other.url}@main"]))
    project.write("lib", tables=source(f'git = "{lib.url}"'))
    project.done("sync")
    assert version(project, "other") == "5.0"
    assert entry(project, "other")["source"] == {"commit": other.head, "git": other.url, "rev": "main"}
    other.commit(package_files("other", "6.0"))
    project.done("lock", "--upgrade-package", "other")
    assert project.locked == {"lib": "1.1", "other": "6.0"}


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="needs git-lfs")
def test_large_files_and_submodules_are_in_the_wheel(project: Project, lib: GitRepository) -> None:
    part = GitRepository(lib.folder.with_name("part"))
    part.commit({"data.py": "value = 'of the submodule'\n"})
    git(lib.folder, "submodule", "--quiet", "add", "../part", "lib/part")
    lib.add_large("lib/large.py", b"value = 'of git-lfs'\n")
    project.write("lib", tables=source(f'git = "{lib.url}"'))
    project.fails("lock", says=["keeps files in git-lfs", "lib/large.py", "lfs = true"])
    project.write("lib", tables=source(f'git = "{lib.url}", lfs = true'))
    project.done("sync")
    assert entry(project)["source"] == {"commit": lib.head, "git": lib.url, "lfs": True}
    said = project.python("import lib.large, lib.part.data; print(lib.large.value, lib.part.data.value)")
    assert said == "of git-lfs of the submodule"


def test_many_syncs_at_once_fetch_and_build_once(
    project: Project, lib: GitRepository, tmp_path: Path, index: SimpleIndex
) -> None:
    with GitHttpServer(lib.folder.parent) as server:
        url = f"{server.url}/lib/.git"
        projects = [Project(tmp_path / str(number), index.url, cache=project.cache) for number in range(8)]
        project.write("lib", tables=source(f'git = "{url}"'))
        project.done("lock")
        shutil.rmtree(project.cache)
        server.requests.clear()
        for each in projects:
            shutil.copy(project.manifest, each.manifest)
            shutil.copy(project.lock, each.lock)
        running = [each.start("sync", "--frozen", "-v") for each in projects]
        said = [process.communicate(timeout=120)[1] for process in running]
        assert [process.returncode for process in running] == [0] * 8, said
        assert server.requests["/lib/.git/git-upload-pack"] <= 2
    assert {version(each) for each in projects} == {"1.0"}
    assert len(list((project.tier / "builds").glob("*.json"))) == 1


def test_a_group_shares_commits(
    of_user: MakeProject, shared_cache: Path, open_folder: Path, tmp_path: Path
) -> None:
    """Two users with umask 077: what the one has fetched, the other checks out."""
    lib = GitRepository(open_folder / "served" / "lib")
    lib.commit(package_files("lib", "1.0"))
    with git_daemon(lib.folder.parent) as url:
        table = source(f'git = "{url}/lib", branch = "main"')
        anne, ben = of_user(ANNE, cache=shared_cache), of_user(BEN, cache=shared_cache)
        for each in (anne, ben):
            each.write("lib", tables=table)
        anne.done("sync")
    shutil.copy(anne.lock, ben.lock)
    os.chown(ben.lock, BEN, BEN)
    shutil.rmtree(shared_cache / "tier" / "builds")
    ben.done("sync", "--offline")
    assert version(ben) == "1.0"
