"""A job runs on in the environment that it began with, whatever is synced meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from support.distributions import make_wheel
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = pytest.mark.skipif(os.name == "nt", reason="on Windows a job is a child of envforge")
JOB = """
import importlib, sys
import many
print('up', flush=True)
for number in range(40):
    sys.stdin.readline()
    assert importlib.import_module(f'many.part{number}').value == number
    assert many.version == 1
print('done')
"""


def test_a_job_keeps_importing_while_syncs_switch(project: Project, index: SimpleIndex) -> None:
    """It imports one module after the other; more environments come and go than are kept."""
    parts = {f"many/part{number}.py": f"value = {number}\n" for number in range(40)}
    index.add(
        make_wheel("many", "1.0", files={"many/__init__.py": "version = 1\n", **parts}),
        make_wheel("many", "2.0", files={"many/__init__.py": "version = 2\n"}),
    )
    project.write("many==1.0")
    project.done("lock")
    with subprocess.Popen(
        [sys.executable, "-m", "envforge", "run", "python", "-c", JOB],
        cwd=project.root, env=project.environ(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as job:  # fmt: skip
        assert job.stdin is not None
        assert job.stdout is not None
        assert job.stdout.readline() == "up\n"
        for others in (
            [],
            ["core"],
            ["lint"],
            ["doc"],
            ["plugin"],
            ["core", "lint"],
            ["core", "doc"],
            ["app"],
        ):
            project.write("many==2.0", *others)
            project.done("sync")
            job.stdin.write("\n" * 5)
            job.stdin.flush()
        out, _ = job.communicate(timeout=30)
    assert (job.returncode, out) == (0, "done\n")
    assert project.python("import many; print(many.version)") == "2"
