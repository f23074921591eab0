"""The commands as people use them, one after the other, on a real index and real environments."""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial
from pathlib import Path

import pytest

from support.distributions import BUILD_SYSTEM, backend, make_wheel
from support.projects import MINOR, Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of the environment are POSIX here")
PLATFORMS = ["linux-64", "linux-aarch64", "osx-arm64", "win-64"]


def start(project: Project) -> None:
    """``envforge init``, and the loopback index in place of PyPI."""
    project.done("init", "--python", MINOR)
    project.use_index()


def test_from_init_to_rollback(project: Project) -> None:
    start(project)
    assert "Added app>=3.1 to project.dependencies\n" in project.done("add", "app").err
    assert '"app>=3.1"' in project.manifest.read_text()
    assert "core" not in project.manifest.read_text()
    assert project.locked == {"app": "3.1", "core": "1.2.0", "winonly": "1.0"}
    assert project.installed() == {"app": "3.1", "core": "1.2.0"}

    assert "up to date" in project.done("lock").err
    assert "up to date" in project.done("sync").err
    assert project.done("lock", "--check").code == 0
    assert project.done("sync", "--check").code == 0
    assert project.done("run", "app").out == "app with core 1.2.0\n"
    assert (project.venv / "share/app/greeting.txt").read_text() == "hello"

    tree = project.done("tree").out
    assert "app 3.1" in tree
    assert "core 1.2.0" in tree
    assert "winonly" not in tree
    assert "winonly 1.0" in project.done("tree", "--platform", "win-64").out
    assert "core>=1" in project.done("why", "core").out

    before = os.readlink(project.venv)
    project.done("add", "lint")
    assert set(project.installed()) == {"app", "core", "lint"}
    project.done("remove", "app")
    assert set(project.installed()) == {"lint"}
    assert project.locked == {"lint": "1.0"}
    project.done("rollback")
    project.done("rollback")
    assert os.readlink(project.venv) == before
    assert set(project.installed()) == {"app", "core"}
    assert project.done("verify").code == 0
    assert project.leftovers() == []


def test_what_was_removed_by_hand_is_noticed(project: Project) -> None:
    project.write("core")
    project.done("sync")
    tree = next(iter(project.tier.glob("trees/*/lib/core/__init__.py")))
    tree.chmod(0o644)
    tree.write_text("version = 'changed'\n")
    finished = project.envforge("verify")
    assert finished.code == 1
    assert "core/__init__.py" in finished.out + finished.err


def test_what_is_named_twice_is_added_once(project: Project) -> None:
    start(project)
    folder = project.root / "lib"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "lib"\nversion = "1"\n')
    added = project.done("add", "--no-sync", "Lint", "LINT", "./lib", "lint", "lib", "./lib", "--json").json
    assert added["added"] == ["lint>=1.0", "lib"]
    assert project.manifest.read_text().count('"lint>=1.0"') == 1
    project.fails("add", "core", "core>=1", says=["core is asked for twice"])


def test_json_of_every_command(project: Project) -> None:
    assert project.done("init", "--python", MINOR, "--json").json["created"] is True
    project.use_index()
    added = project.done("add", "app", "--json").json
    assert added["added"] == ["app>=3.1"]
    assert added["sync"]["package_count"] == 2
    assert project.done("lock", "--json").json["written"] is False
    assert project.done("lock", "--json").json["platforms"] == PLATFORMS
    assert project.done("sync", "--json").json["changed"] is False
    assert project.done("tree", "--json").json
    assert project.done("why", "core", "--json").json["name"] == "core"
    project.done("add", "lint")
    assert project.done("rollback", "--json").json
    assert project.done("verify", "--json").json["findings"] == []
    removed = project.done("remove", "lint", "--json").json
    assert [change["name"] for change in removed["diff"]["packages"]] == ["lint"]
    with project.unchanged():
        failed = project.envforge("add", "nothing-like-it", "--json")
    assert failed.code == 1
    assert failed.json["error"]["code"] == "unknown-package"


def test_an_unchanged_lock_is_not_parsed_again(project: Project) -> None:
    """What it says is wrong, and nobody looks: the bytes are those that were found to fit."""
    project.write("core")
    project.done("lock")
    (mark,) = project.cache.glob("locks-v1/*")
    fitting = mark.read_text()
    assert "Lock is up to date" in project.done("lock").err
    project.lock.write_bytes(project.lock.read_bytes() + b"\n")
    assert "Lock is up to date" in project.done("lock").err  # looked at, and found to fit
    assert mark.read_text() != fitting
    project.manifest.write_text(project.manifest.read_text().replace('"core"', '"core<0"'))
    assert project.envforge("lock").code == 1
    assert project.envforge("lock").code == 1


def test_groups_and_extras(project: Project) -> None:
    project.write("core", groups={"dev": ["lint"], "docs": ["doc"]}, extras={"more": ["extra[more]"]})
    project.done("sync")
    assert set(project.installed()) == {"core", "lint"}
    project.done("sync", "--no-dev")
    assert set(project.installed()) == {"core"}
    project.done("sync", "--no-dev", "--extra", "more", "--group", "docs")
    assert set(project.installed()) == {"core", "extra", "plugin", "doc"}
    project.done("add", "--dev", "app")
    assert '"app>=3.1"' in project.manifest.read_text().split("[dependency-groups]")[1]
    assert set(project.installed()) == {"core", "lint", "app"}
    project.fails("sync", "--group", "doc", code=2, says=["did you mean docs?"])


@pytest.mark.parametrize(
    "name, content, mode, says",
    [
        ("main.py", "print(1)", 0o644, "envforge run python main.py"),
        ("./job.sh", "#!/bin/sh\n", 0o644, "chmod +x ./job.sh"),
        ("./job.sh", "#!/no/such/shell\n", 0o755, "interpreter"),
        ("./job.sh", "\x7fELF", 0o755, "not for this machine"),
    ],
)
def test_what_is_no_program(project: Project, name: str, content: str, mode: int, says: str) -> None:
    project.write()
    project.done("sync")
    place = project.root / name
    place.write_text(content)
    place.chmod(mode)
    project.fails("run", name, code=2, says=[says])


def test_a_shell_that_is_not_there(project: Project) -> None:
    project.write()
    project.done("sync")
    project.variables["SHELL"] = "/no/such/shell"
    project.fails("shell", code=2, says=["your shell /no/such/shell", "SHELL"])


def test_pip_of_another_environment_is_told(project: Project, tmp_path: Path) -> None:
    project.write()
    pip = tmp_path / "bin" / "pip3"
    pip.parent.mkdir()
    pip.write_text("#!/bin/sh\necho pip\n")
    pip.chmod(0o755)
    project.variables["PATH"] = f"{pip.parent}:{os.environ['PATH']}"
    told = project.done("run", "pip3", "install", "core")
    assert told.out == "pip\n"
    assert f"no pip in the environment: {pip}" in told.err


def test_run_says_when_it_goes_forward_after_a_rollback(project: Project) -> None:
    start(project)
    project.done("add", "core")
    project.done("add", "lint")
    project.done("rollback")
    assert "lint" not in project.installed()
    assert project.done("run", "--no-sync", "python", "-c", "").err == ""
    assert "Synced first: 1 package changed" in project.done("run", "python", "-c", "import lint").err
    assert project.done("run", "python", "-c", "").err == ""


def test_another_python_does_not_stand_in_for_one_that_is_gone(project: Project) -> None:
    project.write("core")
    project.done("sync")
    (project.venv / "bin" / "python").unlink()
    failed = project.fails("run", "--no-sync", "python", "-c", "print('some Python')", says=["is gone"])
    assert failed.out == ""
    assert project.done("run", "python", "-c", "import core; print('its own')").out == "its own\n"


@pytest.mark.parametrize("left", [0, 20])
def test_an_environment_whose_record_was_cut_off_is_made_again(project: Project, left: int) -> None:
    project.write("core")
    project.done("sync")
    os.truncate(project.venv / "envforge-generation.json", left)
    project.fails("verify", says=["record is damaged", "envforge sync"])
    project.done("sync")
    assert project.done("verify").code == 0
    os.truncate(project.venv / "envforge-generation.json", left)
    assert "what was gone is back" in project.done("sync").err
    assert project.installed() == {"core": "1.2.0"}


def test_the_link_mode_of_a_machine(project: Project) -> None:
    project.write("core")
    module = project.venv / f"lib/python{MINOR}/site-packages/core/__init__.py"
    project.variables["ENVFORGE_LINK_MODE"] = "copy"
    project.done("run", "python", "-c", "import core")
    assert module.resolve().is_relative_to(project.tier / "envs")
    project.done("add", "lint")
    assert module.resolve().is_relative_to(project.tier / "envs")
    project.done("sync", "--link-mode", "shared")
    assert module.resolve().is_relative_to(project.tier / "trees")
    project.variables["ENVFORGE_LINK_MODE"] = "symlinks"
    project.fails("sync", code=2, says=["ENVFORGE_LINK_MODE is 'symlinks'", "shared, hardlink, copy"])


def test_git_passes_over_the_environment(project: Project) -> None:
    """Also where ``.gitignore`` has the usual ``.venv/``, which does not match a symlink."""
    git = partial(subprocess.run, cwd=project.root, check=True, capture_output=True, text=True)
    git(["git", "init", "-q"])
    (project.root / ".gitignore").write_text(".venv/\n")
    project.write("core")
    project.done("sync")
    assert ".venv" not in git(["git", "status", "--porcelain"]).stdout
    assert git(["git", "check-ignore", ".venv"]).stdout == ".venv\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["why", "cor"], ["'cor' is not locked for ", "did you mean core?"]),
        (["why", "xyzzy"], ["'xyzzy' is not locked for ", "envforge tree shows what is"]),
        (["why", "core", "--platform", "osx-arm63"], ["the lock has nothing for osx-arm63"]),
        (["why", "core", "--variant", "cuda"], ["the lock has no variant named 'cuda'"]),
        (["tree", "--invert", "cor"], ["'cor' is not locked for ", "did you mean core?"]),
        (["tree", "--group", "dve"], ["the lock has no group named 'dve'", "it has: project, dev"]),
        (["tree", "--platform", "osx-arm63"], ["the lock has nothing for osx-arm63", "--platform linux-64"]),
        (["tree", "--platform", "osx-arm64", "--variant", "cuda"], ["no variant named 'cuda'"]),
    ],
)
def test_what_is_not_in_the_lock_is_no_wrong_usage(
    project: Project, words: list[str], says: list[str]
) -> None:
    project.write("core", groups={"dev": ["lint"]})
    project.done("lock")
    project.fails(*words, says=says)
    assert project.envforge(*words, "--json").json["error"]["code"] == "lock"


def test_an_extra_that_a_package_does_not_have_is_told(project: Project, index: SimpleIndex) -> None:
    index.add(make_wheel("other", requires=["lint[nope]", "extra[More]"]))
    project.write("other", "extra[Moer]", groups={"dev": ["core[fast]", "extra[moer]"]})
    told = project.done("lock").err
    assert "warning: extra 1.0 has no extra moer" in told
    assert "did you mean extra[more]?" in told
    assert "warning: core 1.2.0 has no extra fast\n" in told
    assert "it has none: leave it out" in told
    assert told.count("has no extra") == 2, "what packages ask of each other is not the user's"
    assert "has no extra" not in project.done("lock").err
    assert "has no extra" not in project.done("lock", "--upgrade").err
    project.write("other", "extra[more]")
    assert "has no extra" not in project.done("lock").err
    added = project.done("add", "--no-sync", "lint[x]", "--json").json
    assert [warning["message"] for warning in added["warnings"]] == ["lint 1.0 has no extra x"]


def test_an_extra_that_is_only_in_markers_is_there(project: Project, index: SimpleIndex) -> None:
    """Old metadata does not always list extras."""
    index.add(make_wheel("old", requires=["lint; extra == 'Some_Thing'"]))
    project.write("old[some-thing]")
    assert "has no extra" not in project.done("lock").err
    assert set(project.locked) == {"old", "lint"}


def test_a_sync_that_locks_says_whether_there_was_a_lock(project: Project) -> None:
    project.write("core")
    assert "There is no lock yet\n" in project.done("sync", "--dry-run").err
    assert "Locked on the way: envforge.lock is new\n" in project.done("sync").err
    project.write("core>=1")
    assert "Lock is not up to date\n" in project.done("sync", "--dry-run").err
    project.fails("lock", "--check", says=["requirements or settings of the manifest were changed"])
    assert "Locked on the way: envforge.lock has changed\n" in project.done("sync").err
    assert "Locked on the way" not in project.done("sync", "--all-extras").err


def test_every_link_mode_gives_the_same(project: Project) -> None:
    project.write("app", "space-one", "space-two")
    for mode in ("shared", "hardlink", "copy"):
        project.done("sync", "--link-mode", mode)
        assert project.python("import space.one, space.two; print(space.one.value + space.two.value)") == "3"
        assert project.done("run", "--link-mode", mode, "app").out == "app with core 1.2.0\n"
        assert project.done("verify").code == 0


def test_a_dry_run_does_nothing(project: Project) -> None:
    project.write("app")
    with project.unchanged():
        told = project.done("sync", "--dry-run").err
    assert "+ app 3.1" in told
    assert not project.venv.exists()
    with project.unchanged():
        assert project.envforge("sync", "--check").code == 1


def test_the_project_itself_is_editable(project: Project) -> None:
    project.write("core", tables=BUILD_SYSTEM + '[project.scripts]\nhello = "demo.main:run"\n')
    (project.root / "_backend").mkdir()
    source = backend("demo", "1.0", ["core"], {"hello": "demo.main:run"})
    (project.root / "_backend" / "backend.py").write_text(source)
    (project.root / "demo").mkdir()
    module = project.root / "demo" / "main.py"
    module.write_text("def run():\n    print('first')\n")
    assert project.done("run", "hello").out == "first\n"
    module.write_text("def run():\n    print('the second time')\n")
    assert project.done("run", "hello").out == "the second time\n"
    assert set(project.installed()) == {"core", "demo"}
    assert project.done("verify").code == 0
    tell_origin = "import importlib.metadata as m; print(m.distribution('demo').read_text('direct_url.json'))"
    origin = json.loads(project.python(tell_origin))
    assert origin == {"url": project.root.as_uri(), "dir_info": {"editable": True}}
    # What changes the manifest builds it from the new one, and nothing is left for the next sync.
    assert "Built demo (editable)" in project.done("add", "lint").err
    assert project.done("sync", "--check").code == 0
    project.done("remove", "lint")
    assert project.done("sync", "--check").code == 0
    # A new entry point is a new build; the project is in no list of packages that came or went.
    manifest = project.root / "pyproject.toml"
    manifest.write_text(manifest.read_text() + 'bye = "demo.main:run"\n')
    told = project.done("sync").err
    assert "Built demo (editable)" in told
    assert "removed" not in told


def test_a_project_without_a_build_system_installs_nothing_of_its_own(project: Project) -> None:
    project.write("core", tables='[project.scripts]\nhello = "demo.main:run"\n')
    project.done("sync")
    assert set(project.installed()) == {"core"}
    assert not (project.venv / "bin" / "hello").exists()


def test_an_sdist_is_built_once(project: Project, index: SimpleIndex, tmp_path: Path) -> None:
    project.write("built")
    assert "Built built 1.0" in project.done("sync", "-v").err
    assert project.python("import built; print(built.version)") == "1.0"
    assert index.downloads["built-1.0.tar.gz"] >= 1

    second = Project(tmp_path, index.url, cache=project.cache, name="second")
    second.write("built", "lint")
    index.forget()
    told = second.done("sync", "-v").err
    assert "Built" not in told
    assert "Building" not in told
    assert index.downloads["built-1.0.tar.gz"] == 0
    assert second.python("import built, core; print(built.version, core.version)") == "1.0 1.2.0"


def test_two_projects_share_their_files(project: Project, index: SimpleIndex, tmp_path: Path) -> None:
    second = Project(tmp_path, index.url, cache=project.cache, name="second")
    for each in (project, second):
        each.write("core")
        each.done("sync")
    places = [next(iter(each.venv.glob("lib/python*/site-packages/core"))) for each in (project, second)]
    assert places[0].stat().st_ino == places[1].stat().st_ino
    assert index.downloads["core-1.2.0-py3-none-any.whl"] == 1
    assert project.venv.resolve() != second.venv.resolve()


def test_locked_versions_stay_until_asked(project: Project, index: SimpleIndex) -> None:
    project.write("core")
    project.done("lock")
    index.add(make_wheel("core", "1.9"), make_wheel("app", "4.0", requires=["core"]))
    project.done("add", "app", "--refresh")
    assert project.locked["core"] == "1.2.0"
    assert project.locked["app"] == "4.0"
    assert "up to date" in project.done("lock", "--refresh").err
    project.done("lock", "--refresh", "-P", "core")
    assert project.locked["core"] == "1.9"


def test_what_is_to_be_upgraded_has_to_be_there(project: Project, index: SimpleIndex) -> None:
    project.write("core")
    assert project.done("lock", "-P", "core").code == 0, "there is no lock: all is new"
    index.forget()
    told = project.fails("lock", "--refresh", "-P", "cor", says=["has cor\n", "hint: did you mean core?"]).err
    assert "neither envforge.lock nor pyproject.toml" in told
    project.fails("lock", "-P", "zzz", "-P", "core", says=["has zzz\n", "envforge tree"])
    project.fails("lock", "-P", "conda:core", says=["has conda:core\n"])
    says = ["takes a name, not 'core==1.0'", "envforge add 'core==1.0'"]
    project.fails("lock", "-P", "core==1.0", code=2, says=says)
    project.fails("lock", "-P", "", code=2, says=["takes a name"])
    assert not index.requests, "asked before anything is resolved"
    project.write("core", groups={"dev": ["Space_One"]})
    project.done("lock", "-P", "space.one", "-P", "CORE")
    assert set(project.locked) == {"core", "space-one"}


def test_a_yanked_release_is_not_chosen(project: Project, index: SimpleIndex) -> None:
    index.add(make_wheel("core", "1.5"), yanked="broken")
    project.write("core")
    project.done("lock")
    assert project.locked["core"] == "1.2.0"


@pytest.mark.parametrize("formats, metadata", [(["html"], False), (["json"], True), (["html"], True)])
def test_indexes_of_every_kind_give_the_same_lock(
    project: Project, tmp_path: Path, formats: list[str], metadata: bool
) -> None:
    wheels = [make_wheel("core", "1.2"), make_wheel("app", "3.1", requires=["core>=1"])]
    with SimpleIndex(formats=formats, metadata=metadata) as plain:
        plain.add(*wheels)
        other = Project(tmp_path, plain.url, name="other")
        other.write("app")
        other.done("sync")
        assert other.locked == {"app": "3.1", "core": "1.2"}
        assert set(other.installed()) == {"app", "core"}


def test_a_platform_gets_its_own_wheel(project: Project, index: SimpleIndex) -> None:
    tags = {
        "linux-64": "manylinux_2_17_x86_64",
        "linux-aarch64": "manylinux_2_17_aarch64",
        "osx-arm64": "macosx_11_0_arm64",
        "win-64": "win_amd64",
    }
    for tag in tags.values():
        index.add(make_wheel("native", tag=f"py3-none-{tag}"))
    project.write("native")
    project.done("sync")
    text = project.lock.read_text()
    for tag in tags.values():
        assert f"native-1.0-py3-none-{tag}.whl" in text
    assert list(index.downloads) == ["native-1.0-py3-none-manylinux_2_17_x86_64.whl"]


def test_a_command_works_from_a_folder_below(project: Project) -> None:
    project.write("core")
    below = project.root / "src" / "deep"
    below.mkdir(parents=True)
    project.done("sync", cwd=below)
    assert set(project.installed()) == {"core"}
    told = project.done("run", "python", "-c", "import os; print(os.getcwd())", cwd=below).out
    assert Path(told.strip()).resolve() == below.resolve()
    elsewhere = project.done("--project", str(project.root), "sync", cwd=project.home).err
    assert "up to date" in elsewhere


def test_run_gives_the_exit_code_and_every_argument(project: Project) -> None:
    project.write("core")
    project.done("sync")
    code = "import sys; print(sys.argv[1:]); sys.exit(7)"
    finished = project.envforge("run", "python", "-c", code, "--json", "-q", "a b", "--", "*")
    assert finished.code == 7
    assert finished.out == "['--json', '-q', 'a b', '--', '*']\n"
