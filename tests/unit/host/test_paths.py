from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from envforge.errors import HostError, StoreError
from envforge.host.paths import (
    find_cache_root,
    find_data_root,
    find_places,
    make_folder,
    project_environments_folder,
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"XDG_CACHE_HOME": "/somewhere/cache", "XDG_DATA_HOME": "/somewhere/data"},
        {"XDG_CACHE_HOME": "/with/slash/", "XDG_DATA_HOME": "/a//b/../c"},
        {"XDG_CACHE_HOME": "relative/is/ignored", "XDG_DATA_HOME": "~/tilde"},
        {"XDG_CACHE_HOME": "", "XDG_DATA_HOME": ""},
        {"HOME": "/elsewhere"},
        {"HOME": "/"},
        {"HOME": ""},
        {"HOME": "relative"},
        {"HOME": None},
    ],
)
def test_default_places_are_those_of_platformdirs(
    changes: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "ENVFORGE_CACHE_DIR", "ENVFORGE_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in changes.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert find_cache_root(os.environ) == platformdirs.user_cache_path("envforge", appauthor=False)
    assert find_data_root(os.environ) == platformdirs.user_data_path("envforge", appauthor=False)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs is asked")
def test_the_usual_case_imports_no_platformdirs() -> None:
    code = (
        "import sys; from envforge.host.paths import find_cache_root; find_cache_root({'HOME': '/home/me'});"
        "print('platformdirs' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_settings_win_over_defaults_and_arguments_over_settings() -> None:
    environ = {"HOME": "/home/me", "ENVFORGE_CACHE_DIR": "/c", "ENVFORGE_TIER": "/fast"}
    places = find_places(environ)
    assert (places.cache, places.tier, places.archives) == (Path("/c"), Path("/fast"), Path("/c/archives"))
    places = find_places(environ, cache_dir="/c2", tier="/faster")
    assert (places.cache, places.tier, places.archives) == (
        Path("/c2"),
        Path("/faster"),
        Path("/c2/archives"),
    )
    assert find_data_root({"HOME": "/home/me", "ENVFORGE_DATA_DIR": "/d"}) == Path("/d")


def test_the_store_of_a_site() -> None:
    assert find_places({"ENVFORGE_CACHE_DIR": "/c"}).site is None
    places = find_places({"ENVFORGE_CACHE_DIR": "/c", "ENVFORGE_SITE_STORE": "/sw/../opt/envforge"})
    assert places.site == Path("/opt/envforge")
    assert not places.keeps_archives


def test_without_settings_everything_stands_below_the_cache() -> None:
    places = find_places({"ENVFORGE_CACHE_DIR": "/c", "ENVFORGE_TIER": ""})
    assert places.tier == Path("/c/tier")


def test_relative_and_tilde_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    places = find_places({"ENVFORGE_CACHE_DIR": "sub/../cache"}, tier="~/tier")
    assert places.cache == tmp_path / "cache"
    assert places.tier == Path("/home/me/tier")


def test_the_home_of_nobody_is_refused() -> None:
    with pytest.raises(HostError, match="ENVFORGE_TIER"):
        find_places({"HOME": "/home/me"}, tier="~nobody-of-this-name/x")


def test_a_relative_path_from_a_vanished_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(HostError, match="no longer exists"):
        find_cache_root({}, "cache")


def test_folders_of_projects(tmp_path: Path) -> None:
    project = tmp_path / "my project (1)"
    project.mkdir()
    folder = project_environments_folder(Path("/tier"), project)
    assert folder.parent == Path("/tier/envs")
    assert folder.name.startswith("my_project__1_-")
    assert folder == project_environments_folder(Path("/tier"), project / "." / ".." / project.name)
    (tmp_path / "route").symlink_to(project)
    assert folder == project_environments_folder(Path("/tier"), tmp_path / "route")


def test_projects_of_one_name_have_different_folders(tmp_path: Path) -> None:
    folders = {project_environments_folder(Path("/tier"), tmp_path / place / "app") for place in "ab"}
    assert len(folders) == 2


def test_names_of_folders_stay_short_and_plain(tmp_path: Path) -> None:
    assert project_environments_folder(Path("/t"), Path("/")).name.startswith("root-")
    for name in ("x" * 200, "Größe ✓"):
        folder = project_environments_folder(Path("/t"), tmp_path / name).name
        assert len(folder) <= 53
        assert folder.isascii()
        assert " " not in folder


def test_make_folder(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_make_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write to") as caught:
        make_folder(tmp_path / "file" / "folder", "ENVFORGE_TIER")
    assert "ENVFORGE_TIER" in caught.value.hints[0]
    with pytest.raises(StoreError):
        make_folder(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_make_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(StoreError):
        make_folder(tmp_path)
    with pytest.raises(StoreError):
        make_folder(tmp_path / "below")
