"""Variants and conda: packages may assume what `when` asks for; a variant may do without conda."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from envforge.host.facts import host_platform

from support.conda_channel import ChannelServer
from support.environments import base_interpreter
from support.projects import Project
from support.simple_index import SimpleIndex

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="the channel's packages run on POSIX"),
    pytest.mark.skipif(host_platform() != "linux-64", reason="its GPU builds are for Linux on x86-64"),
]

VARIANTS = """
[tool.envforge.conda-dependencies]
tinytensor = "*"

[tool.envforge.variants.cuda]
when = { cuda = ">=12.8" }
conda-dependencies = { greet = ">=2" }

[tool.envforge.variants.cpu]

"""


@pytest.fixture
def project(tmp_path: Path, index: SimpleIndex, server: ChannelServer) -> Project:
    project = Project(tmp_path, index.url)
    project.variables = {"CONDA_OVERRIDE_CUDA": ""}
    write(project, server, VARIANTS)
    return project


def write(project: Project, server: ChannelServer, variants: str) -> None:
    settings = f'platforms = ["linux-64", "osx-arm64"]\nchannels = ["{server.url}"]'
    project.write("app", settings=settings, tables=variants)


def builds(project: Project) -> dict[str, dict[str, str]]:
    """Target id → conda name → build."""
    lock = json.loads(project.lock.read_text())
    records = lock.get("conda", {})
    return {
        f"{target['platform']}:{target['variant']}": {
            records[each]["name"]: records[each]["build"] for each in target.get("conda", [])
        }
        for target in lock["targets"]
    }


def test_each_variant_has_the_builds_for_its_hosts(project: Project) -> None:
    project.done("lock")
    found = builds(project)
    assert [*found] == ["linux-64:cuda", "linux-64:cpu", "osx-arm64:cpu"]
    assert found["linux-64:cuda"]["tinytensor"].startswith("cuda126_")
    assert not found["linux-64:cpu"]["tinytensor"].startswith("cuda")
    assert "greet" in found["linux-64:cuda"]
    assert "greet" not in found["linux-64:cpu"]
    assert project.done("lock", "--check").code == 0

    assert project.done("sync", "--json").json["variant"] == "cpu"
    assert "conda:greet" not in project.done("tree").out
    assert "conda:greet" in project.done("tree", "--variant", "cuda").out
    project.variables["CONDA_OVERRIDE_CUDA"] = "13.0"
    assert project.done("sync", "--variant", "auto", "--json").json["variant"] == "cuda"
    assert project.done("run", "greet").out.startswith("hello from libgreet 2.0")
    assert "up to date" in project.done("sync").err


def test_a_variant_without_conda_has_the_host_s_python(project: Project, server: ChannelServer) -> None:
    write(project, server, VARIANTS.replace("variants.cpu]", 'variants.cpu]\nremove = ["conda:tinytensor"]'))
    project.done("lock")
    found = builds(project)
    assert found["linux-64:cuda"].keys() >= {"tinytensor", "python", "greet"}
    assert found["linux-64:cpu"] == found["osx-arm64:cpu"] == {}
    project.done("sync")
    base = project.python("import sys; print(sys.base_prefix)")
    assert base == base_interpreter().base_prefix
    assert set(project.installed()) == {"app", "core"}


def test_what_only_a_variant_wants_is_added_and_removed(project: Project, server: ChannelServer) -> None:
    write(
        project,
        server,
        '[tool.envforge.variants.cuda]\nwhen = { cuda = ">=12" }\n[tool.envforge.variants.cpu]\n',
    )
    project.done("lock")
    assert not any(builds(project).values())
    added = project.done("add", "--no-sync", "--variant", "cuda", "conda:greet")
    assert "tool.envforge.variants.cuda.conda-dependencies" in added.err
    assert "greet" in builds(project)["linux-64:cuda"]
    assert builds(project)["linux-64:cpu"] == {}
    project.fails("remove", "conda:greet", says=["greet stands in cuda: --variant cuda"])
    project.done("remove", "--no-sync", "--variant", "cuda", "conda:greet")
    assert not any(builds(project).values())
