"""A loopback index and a project beside it, for commands that run as real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.distributions import make_sdist, make_wheel
from support.projects import Project
from support.simple_index import SimpleIndex

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
