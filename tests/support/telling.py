"""An sdist whose build tells what it saw, in its wheel and in a file: whether and how something was built."""

from __future__ import annotations

import json
from pathlib import Path

from support.distributions import BACKEND, Distribution, make_sdist
from support.projects import Project

# Notes each build in a file, and puts what it saw into the wheel.
TELLING = """

def build_wheel(folder, config_settings=None, metadata_directory=None):
    import json, os
    with open(os.environ["BUILDS_NOTED"], "a") as noted:
        noted.write("built\\n")
    try:
        import core
        runtime = core.version
    except ImportError:
        runtime = None
    names = ("FLAVOUR", "MAX_JOBS", "CMAKE_BUILD_PARALLEL_LEVEL", "TORCH_CUDA_ARCH_LIST")
    seen = {"config": config_settings, "core": runtime, "env": {name: os.environ.get(name) for name in names}}
    return _pack(folder, {"telling/__init__.py": f"seen = {json.dumps(seen)!r}\\n".encode()})
"""


def telling(hooks: str = TELLING, *, version: str = "1.0", built_as: str = "") -> Distribution:
    """An sdist whose build tells what it saw; ``built_as``: the version that its backend claims to build."""
    backend = BACKEND.format(name="telling", version=built_as or version, requires=[], scripts={})
    return make_sdist("telling", version, files={"_backend/backend.py": backend + hooks})


def count(noted: Path) -> int:
    """How many builds are noted."""
    return len(noted.read_text().splitlines()) if noted.exists() else 0


def seen(project: Project) -> dict[str, object]:
    """What the build saw that is installed."""
    found: dict[str, object] = json.loads(project.python("import telling; print(telling.seen)"))
    return found
