from __future__ import annotations

import os
from pathlib import Path

import pytest

from envforge.host.candidates import (
    Layout,
    explicit_interpreter,
    find_candidates,
    find_interpreters,
    registry_interpreters,
    search_places,
)


def places_of(environ: dict[str, str], sys_platform: str, home: str) -> dict[str, list[str]]:
    places: dict[str, list[str]] = {}
    for place in search_places(environ, sys_platform=sys_platform, home=home, pythons=""):
        places.setdefault(place.source, []).append(place.folder)
    return places


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    path.chmod(0o755)
    return path


def found_in(folder: Path, environ: dict[str, str], **options: str) -> list[str]:
    candidates = find_candidates(environ, **options)
    return [
        os.path.relpath(candidate.path, folder)
        for candidate in candidates
        if candidate.path.startswith(str(folder))
    ]


def test_places_on_linux() -> None:
    environ = {"PATH": "/x/bin:relative:/home/me/.pyenv/shims::/y/bin/"}
    places = places_of(environ, "linux", "/home/me")
    assert places["PATH"] == ["/x/bin", "/y/bin/"]
    assert places["pyenv"] == ["/home/me/.pyenv/versions"]
    assert places["asdf"] == ["/home/me/.asdf/installs/python"]
    assert places["mise"] == ["/home/me/.local/share/mise/installs/python"]
    assert places["uv"] == ["/home/me/.local/share/uv/python"]
    assert "/home/me/miniforge3" in places["conda"]
    assert "/opt/conda" in places["conda"]
    assert places["system"] == ["/usr/local/bin", "/usr/bin"]


def test_places_follow_the_managers_own_settings() -> None:
    environ = {
        "PYENV_ROOT": "/p",
        "ASDF_DATA_DIR": "/a",
        "MISE_DATA_DIR": "/m",
        "XDG_DATA_HOME": "/data",
        "MAMBA_ROOT_PREFIX": "/mamba",
        "CONDA_EXE": "/conda/bin/conda",
    }
    places = places_of(environ, "linux", "/home/me")
    assert places["pyenv"] == ["/p/versions"]
    assert places["asdf"] == ["/a/installs/python"]
    assert places["mise"] == ["/m/installs/python"]
    assert places["uv"] == ["/data/uv/python"]
    assert places["conda"][:2] == ["/mamba", "/conda"]
    environ = {"UV_PYTHON_INSTALL_DIR": "/u"}
    assert places_of(environ, "linux", "/home/me")["uv"] == ["/u"]


def test_shims_are_passed_over_and_tell_where_their_manager_stands() -> None:
    places = places_of({"PATH": "/srv/pyenv/shims:/usr/bin"}, "linux", "/home/me")
    assert places["PATH"] == ["/usr/bin"]
    assert "/srv/pyenv/versions" in places["pyenv"]


def test_places_on_macos() -> None:
    places = places_of({"PATH": "/usr/bin"}, "darwin", "/Users/me")
    assert places["Homebrew"] == ["/opt/homebrew/bin"]
    assert places["python.org"] == ["/Library/Frameworks/Python.framework/Versions"]
    assert places["system"][0] == "/usr/local/bin"
    assert places["uv"] == ["/Users/me/.local/share/uv/python"]


def test_places_on_windows() -> None:
    home = "C:\\Users\\me"
    environ = {
        "PATH": "C:\\Python312;C:\\Users\\me\\AppData\\Local\\Microsoft\\WindowsApps;relative;D:\\tools",
        "APPDATA": "C:\\Users\\me\\AppData\\Roaming",
    }
    places = places_of(environ, "win32", home)
    assert places["PATH"] == ["C:\\Python312", "D:\\tools"]
    assert places["pyenv"] == ["C:\\Users\\me\\.pyenv\\pyenv-win\\versions"]
    assert places["uv"] == ["C:\\Users\\me\\AppData\\Roaming\\uv\\python"]
    assert "C:\\Users\\me\\miniforge3" in places["conda"]
    assert "system" not in places


def test_standalone_builds_come_last() -> None:
    place = search_places({}, sys_platform="linux", home="/h", pythons="/data/pythons")[-1]
    assert (place.source, place.folder, place.layout) == ("envforge", "/data/pythons", Layout.INSTALLATIONS)


def test_registry() -> None:
    registry = {
        "PythonCore": {
            "3.12": {"InstallPath": "C:\\Python312\\", "ExecutablePath": "C:\\Python312\\python.exe"},
            "3.11": {"InstallPath": "C:\\Python311\\", "ExecutablePath": ""},
        },
        "PyLauncher": {"x": {"InstallPath": "C:\\Windows", "ExecutablePath": ""}},
        "ContinuumAnalytics": {"none": {}},
    }
    assert list(registry_interpreters(registry)) == ["C:\\Python312\\python.exe", "C:\\Python311\\python.exe"]


def test_only_programs_named_like_pythons_are_found(tmp_path: Path, bare_environ: dict[str, str]) -> None:
    for name in ("python3.12", "python3.13t", "python", "python3-config", "python3.12-gdb", "pythonw", "pip"):
        program(tmp_path / "bin" / name)
    (tmp_path / "bin" / "python3.11").write_text("not executable")
    (tmp_path / "bin" / "python3.10").mkdir()
    (tmp_path / "bin" / "python3").symlink_to("nowhere")
    assert sorted(found_in(tmp_path / "bin", bare_environ)) == ["python", "python3.12", "python3.13t"]


def test_one_real_file_is_found_once_under_its_first_name(
    tmp_path: Path, bare_environ: dict[str, str]
) -> None:
    real = program(tmp_path / "bin" / "python3.12")
    (tmp_path / "bin" / "python").symlink_to("python3.12")
    other = tmp_path / "other"
    other.symlink_to(tmp_path / "bin")
    bare_environ["PATH"] += f"{os.pathsep}{other}"
    found = [candidate for candidate in find_candidates(bare_environ) if candidate.real == str(real)]
    assert [candidate.path for candidate in found] == [str(tmp_path / "bin" / "python")]
    assert found[0].minor == "3.12"


def test_a_minor_narrows_the_names_on_path(tmp_path: Path, bare_environ: dict[str, str]) -> None:
    for name in ("python3.11", "python3.12"):
        program(tmp_path / "bin" / name)
    program(tmp_path / "bin" / "python3")
    assert found_in(tmp_path / "bin", bare_environ, minor="3.12") == ["python3.12", "python3"]


def test_version_managers_are_searched_in_their_own_folders(
    tmp_path: Path, bare_environ: dict[str, str]
) -> None:
    home = tmp_path / "home"
    expected = [
        ".pyenv/versions/3.12.1/bin/python3",
        ".asdf/installs/python/3.11.9/bin/python3",
        ".local/share/mise/installs/python/3.12.3/bin/python3",
        ".local/share/uv/python/cpython-3.12.4-linux-x86_64-gnu/bin/python3",
        "miniforge3/bin/python3",
    ]
    for name in expected:
        program(home / name)
    program(home / ".pyenv" / "shims" / "python3")
    bare_environ["PATH"] += f"{os.pathsep}{home / '.pyenv' / 'shims'}"
    assert found_in(home, bare_environ) == expected


def test_standalone_builds_are_found_but_not_unfinished_ones(
    tmp_path: Path, bare_environ: dict[str, str]
) -> None:
    pythons = tmp_path / "pythons"
    program(pythons / "3.12.4-linux-64" / "bin" / "python3")
    program(pythons / ".3.12.5-linux-64.abc" / "bin" / "python3")
    assert found_in(pythons, bare_environ, pythons=str(pythons)) == ["3.12.4-linux-64/bin/python3"]


def test_the_named_interpreter_comes_first(
    tmp_path: Path, bare_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin" / "python3.12")
    named = program(tmp_path / "elsewhere" / "my-python")
    assert next(find_interpreters({**bare_environ, "ENVFORGE_PYTHON": str(named)})) == str(named)
    monkeypatch.chdir(tmp_path)
    assert explicit_interpreter({"ENVFORGE_PYTHON": "elsewhere/my-python"}) == str(named)
    on_path = explicit_interpreter({**bare_environ, "ENVFORGE_PYTHON": "python3.12"})
    assert on_path == str(tmp_path / "bin" / "python3.12")
    assert explicit_interpreter({}) == ""
