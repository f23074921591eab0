"""A group with one cache: a prefix that one has made is used by the other, and a new one can be made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.conda_channel import ChannelServer
from support.environments import base_interpreter
from support.projects import Project
from support.users import ANNE, BEN, MakeProject

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")


def write(project: Project, server: ChannelServer, *conda: str) -> None:
    project.variables |= {"ENVFORGE_PYTHON": "/nowhere/python", "CONDA_OVERRIDE_CUDA": ""}
    project.write(
        "app",
        settings=f'platforms = ["{base_interpreter().platform}"]\nchannels = ["{server.url}"]',
        tables="\n".join(["[tool.envforge.conda-dependencies]", *(f'{name} = "*"' for name in conda)]),
    )


@pytest.mark.parametrize("umask", ["022", "077"])
def test_a_group_shares_prefixes(
    shared_cache: Path, of_user: MakeProject, server: ChannelServer, umask: str
) -> None:
    anne, ben = (of_user(user, shared_cache, umask=umask) for user in (ANNE, BEN))
    for project, is_made in ((anne, True), (ben, False)):
        write(project, server, "conda-hello", "greet-env")
        assert ("Installed" in project.done("sync").err) is is_made
        assert project.done("run", "app").out == "app with core 1.2.0\n"
    write(ben, server, "conda-hello", "tinymath")
    assert "Installed" in ben.done("sync").err
    for project in (ben, anne):
        assert project.done("verify", "--json").json["findings"] == []
    assert len(list((shared_cache / "tier" / "prefixes").glob("*/conda-meta"))) == 2
