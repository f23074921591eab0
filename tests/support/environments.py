"""A project with a tier, trees and interpreters of this host, on which real environments are made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from envforge.environment.generation import Generation, create_generation
from envforge.environment.spec import GenerationSpec, generation_trees
from envforge.events import SilentReporter
from envforge.host.paths import project_environments_folder
from envforge.model.host import Interpreter
from envforge.plan.link_plan import LinkMode, LinkPlan, plan_links

from support.forest import Forest

MINORS = ("3.11", "3.12", "3.13", "3.14")


@cache
def describe(executable: str) -> Interpreter | None:
    """An interpreter by running it; None if it cannot be run (a pyenv shim without a version)."""
    facts = "os.path.realpath(sys._base_executable), sys.version.split()[0], sys.base_prefix"
    code = f"import os, sys; print({facts})"
    try:
        answer = subprocess.run(
            [executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=30
        )
        real, version, prefix = answer.stdout.split()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Interpreter(executable=real, version=version, platform="linux-64", base_prefix=prefix)


def base_interpreter() -> Interpreter:
    """The Python that runs the tests, without its virtual environment."""
    interpreter = describe(sys.executable)
    assert interpreter is not None
    return interpreter


def interpreters() -> list[Interpreter]:
    """That one, and one of every other minor that is on the PATH or with pyenv."""
    found = {base_interpreter().minor: base_interpreter()}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for minor in MINORS:
        beside = [str(place / "bin" / "python") for place in sorted(pyenv.glob(f"{minor}.*"))]
        for executable in [shutil.which(f"python{minor}"), *beside]:
            described = describe(executable) if executable and minor not in found else None
            if described is not None:
                found[described.minor] = described
    return list(found.values())


@dataclass
class Grounds:
    """A project folder, its ``.venv``, and the tier in which its environments stand."""

    root: Path
    interpreter: Interpreter = field(default_factory=base_interpreter)
    project_name: str = "project"

    def __post_init__(self) -> None:
        self.project = self.root / self.project_name
        self.project.mkdir(parents=True)
        self.venv = self.project / ".venv"
        self.tier = self.root / "tier"
        self.forest = Forest(self.tier)
        self.environments = project_environments_folder(self.tier, self.project)

    def plan(self, mode: LinkMode = LinkMode.SHARED) -> LinkPlan:
        return plan_links(self.forest.trees, self.spec(mode).layout, self.forest, mode=mode)

    def spec(self, mode: LinkMode = LinkMode.SHARED, **changes: Any) -> GenerationSpec:
        fields: dict[str, Any] = {
            "target": "linux-64",
            "groups": ("project",),
            "interpreter": self.interpreter,
            "link_mode": mode,
            "trees": generation_trees(self.forest.trees, mode),
            "venv": str(self.venv),
            "prompt": "demo",
        }
        return GenerationSpec(**{**fields, **changes})

    def create(self, mode: LinkMode = LinkMode.SHARED, **changes: Any) -> Generation:
        return create_generation(
            self.spec(mode, **changes),
            self.plan(mode),
            self.tier,
            self.environments,
            SilentReporter(),
        )
