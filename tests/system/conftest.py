"""A loopback index and a project beside it, for commands that run as real processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from envforge.store.sealing import remove_sealed

from support.distributions import make_sdist, make_wheel
from support.projects import Project
from support.simple_index import SimpleIndex
from support.users import GROUP, MakeProject, UsersProject

if os.name == "posix":
    # What runs in the background of a shell ignores Ctrl-C, and so would all processes that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def index() -> Iterator[SimpleIndex]:
    """``app`` needs ``core`` and, for Windows, ``winonly``; ``extra[more]`` needs ``plugin``."""
    with SimpleIndex() as index:
        index.add(
            make_wheel("core", "1.0"),
            make_wheel("core", "1.2.0"),
            make_wheel("core", "2.0rc1"),
            make_wheel(
                "app",
                "3.1",
                requires=["core>=1", "winonly; sys_platform == 'win32'"],
                files={
                    "app/__init__.py": "import core\ndef main():\n    print('app with core', core.version)\n",
                    "app-3.1.data/data/share/app/greeting.txt": "hello",
                },
                scripts={"app": "app:main"},
            ),
            make_wheel("winonly"),
            make_wheel("extra", extras={"more": ["plugin"]}),
            make_wheel("plugin"),
            make_wheel("space-one", files={"space/one/__init__.py": "value = 1\n"}),
            make_wheel("space-two", files={"space/two/__init__.py": "value = 2\n"}),
            make_wheel("lint"),
            make_wheel("doc"),
            make_sdist("built", requires=["core"]),
        )
        yield index


@pytest.fixture
def project(tmp_path: Path, index: SimpleIndex) -> Project:
    return Project(tmp_path, index.url)


@pytest.fixture
def without_privileges() -> list[str]:
    """Words before a command that make it heed the modes of files, also when root runs the tests."""
    if os.geteuid() != 0:
        return []
    words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]
    if shutil.which("setpriv") is None or subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("root, and setpriv cannot give up the right to write everywhere")
    return words


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that other users can reach (pytest's own are closed to them)."""
    if os.name == "nt" or os.getuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv to become other users")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
        for place in Path(name).iterdir():
            remove_sealed(place)


@pytest.fixture
def of_user(open_folder: Path, index: SimpleIndex) -> MakeProject:
    """Makes a user's project; its umask is 077 unless another is asked for."""

    def make(user: int, cache: Path | None = None, umask: str = "077") -> Project:
        return UsersProject(open_folder / f"user{user}", index.url, cache=cache, user=user, umask=umask)

    return make


@pytest.fixture
def shared_cache(open_folder: Path) -> Path:
    """A folder as a cluster makes it for a project: ``drwxrws---``."""
    cache = open_folder / "shared"
    cache.mkdir()
    os.chown(cache, 0, GROUP)
    cache.chmod(0o2770)
    return cache


@pytest.fixture
def noted(tmp_path: Path, project: Project) -> Path:
    """The file in which the builds of :mod:`support.telling` are noted."""
    place = tmp_path / "builds-noted"
    project.variables["BUILDS_NOTED"] = str(place)
    return place
