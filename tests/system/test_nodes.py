"""Several nodes in one project: each has its own environment, and ``.venv`` is the same for all of them.

Nodes are mount namespaces with their own ``/tmp``; the project's folder is a FUSE file system that all see.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.nodes import Node, nodes, require_nodes, shared_folder
from support.projects import Project
from support.simple_index import SimpleIndex

LOCAL_TIER = "/tmp/tier"
PATHS = "import sys; print(sys.prefix)"


@pytest.fixture
def cluster(tmp_path: Path, index: SimpleIndex) -> Iterator[Project]:
    """A project in a shared folder, with a tier that each node has for itself."""
    require_nodes()
    with shared_folder(tmp_path / "real", tmp_path / "shared") as shared:
        project = Project(shared, index.url)
        project.variables["ENVFORGE_TIER"] = LOCAL_TIER
        project.write("core")
        project.done("lock")
        yield project


def python(project: Project, node: Node, code: str) -> str:
    """What ``.venv/bin/python`` prints on a node."""
    return node.run(str(project.venv / "bin/python"), "-I", "-c", code)


def test_each_node_has_its_own_environment(cluster: Project, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", cluster.root], check=True)
    (cluster.root / ".gitignore").write_text(".venv\n")
    with nodes(tmp_path, 2) as (a, b):
        cluster.done("sync", prefix=a.enter(cluster.root))
        text = os.readlink(cluster.venv)
        assert text.startswith(f"/tmp/envforge-{os.geteuid()}-")
        assert python(cluster, a, "import core; print(core.version)") == "1.2.0"
        b.run("test", "!", "-e", str(cluster.venv))  # it leads nowhere there
        assert "core 1.2.0" in cluster.done("sync", prefix=b.enter(cluster.root)).err
        assert os.readlink(cluster.venv) == text
        listed = sorted(entry.name for entry in cluster.root.iterdir())
        assert listed == [".git", ".gitignore", ".venv", "envforge.lock", "pyproject.toml"]
        cluster.done("add", "lint", prefix=a.enter(cluster.root))
        assert os.readlink(cluster.venv) == text
        assert python(cluster, a, "import lint; print('there')") == "there"
        # the other node has what it had, until it syncs
        assert "lint" not in python(
            cluster, b, "import os, core; print(os.listdir(core.__path__[0] + '/..'))"
        )
        cluster.done("sync", prefix=b.enter(cluster.root))
        assert python(cluster, b, "import lint; print('there')") == "there"
        for node in (a, b):
            assert "up to date" in cluster.done("sync", prefix=node.enter(cluster.root)).err
            assert cluster.done("verify", prefix=node.enter(cluster.root)).code == 0
        previous = cluster.done("rollback", "--json", prefix=a.enter(cluster.root)).json["previous"]
        assert python(cluster, b, PATHS) == str(cluster.venv)
        assert b.run("readlink", "-f", str(cluster.venv)) == previous
        assert a.run("readlink", "-f", str(cluster.venv)) != previous


def test_run_on_nodes_at_once(cluster: Project, index: SimpleIndex, tmp_path: Path) -> None:
    """Each makes its own environment; what one of them has downloaded is kept for all."""
    index.forget()
    with nodes(tmp_path, 4) as crowd:
        code = "import core, sys; print(sys.prefix)"
        jobs = [cluster.start("run", "python", "-c", code, prefix=node.enter(cluster.root)) for node in crowd]
        for job in jobs:
            out, err = job.communicate(timeout=60)
            assert job.returncode == 0, err
            assert out.startswith(f"{LOCAL_TIER}/envs/")
        assert index.downloads == {"core-1.2.0-py3-none-any.whl": 1}
        for node in crowd:
            cluster.done("sync", prefix=node.enter(cluster.root))
            assert node.run("readlink", "-f", str(cluster.venv)).startswith(LOCAL_TIER)


def test_jobs_of_one_node_with_their_own_scratch(cluster: Project, tmp_path: Path) -> None:
    """``.venv`` means what was synced last; each job runs what is its own, also when the other is gone."""
    with nodes(tmp_path, 1) as (node,):

        def job(number: int) -> str:
            scratch = f"/tmp/scratch/{number}"
            cluster.variables["ENVFORGE_TIER"] = f"{scratch}/tier"
            out = cluster.done(
                "run", "python", "-c", "import sys, core; print(sys.prefix)", prefix=node.enter(cluster.root)
            ).out
            assert out.startswith(f"{scratch}/tier/envs/")
            return out.strip()

        first, second = job(1), job(2)
        assert first != second
        assert node.run("readlink", "-f", str(cluster.venv)) == second
        assert job(1) == first  # it is not run in the other job's environment
        job(2)
        node.run("rm", "-rf", "/tmp/scratch/2")
        assert job(1) == first
        assert node.run("readlink", "-f", str(cluster.venv)) == first
        assert python(cluster, node, "import core; print(core.version)") == "1.2.0"


def test_a_rebooted_node(cluster: Project, tmp_path: Path) -> None:
    with nodes(tmp_path, 1) as (node,):
        cluster.done("sync", prefix=node.enter(cluster.root))
        node.run("sh", "-c", "rm -rf /tmp/envforge-*")  # the tier was on a disk
        assert cluster.done("run", "python", "-c", "import core", prefix=node.enter(cluster.root))
        python(cluster, node, "import core")
        node.run("sh", "-c", f"rm -rf /tmp/envforge-* {LOCAL_TIER}")
        cluster.done("sync", prefix=node.enter(cluster.root))
        python(cluster, node, "import core")


ATTACKS = {
    "another user's": "mkdir {0}; chown 4711 {0}",
    "open to all": "mkdir -m 777 {0}",
    "a link": "mkdir /tmp/evil; ln -s /tmp/evil {0}",
    "a file": "touch {0}",
}


def test_what_somebody_else_put_there_is_refused(cluster: Project, tmp_path: Path) -> None:
    with nodes(tmp_path, 1 + len(ATTACKS)) as (a, *others):
        cluster.done("sync", prefix=a.enter(cluster.root))
        link = os.readlink(cluster.venv)
        folder, name = os.path.split(link)
        for attack, node in zip(ATTACKS.values(), others, strict=True):
            enter = node.enter(cluster.root)
            node.run("sh", "-c", attack.format(folder))
            node.run("sh", "-c", f"mkdir -p /tmp/evil/bin; ln -s /tmp/evil {folder}/{name} || true")
            failed = cluster.fails(
                "run", "true", says=["is not a folder that only you can write to"], prefix=enter
            )
            assert "hint: remove the project's .venv" in failed.err
            assert "no environment" in cluster.envforge("rollback", prefix=enter).err  # not looked into
        python(cluster, a, "import core")
        cluster.venv.unlink()
        cluster.done("sync", prefix=others[0].enter(cluster.root))
        assert os.readlink(cluster.venv) != link
        python(cluster, others[0], "import core")


def test_what_all_nodes_see_is_linked_straight(cluster: Project, tmp_path: Path) -> None:
    tier = cluster.cache / "tier"
    cluster.variables["ENVFORGE_TIER"] = str(tier)
    with nodes(tmp_path, 2) as (a, b):
        cluster.done("sync", prefix=a.enter(cluster.root))
        assert os.readlink(cluster.venv).startswith(f"{tier}/envs/")
        python(cluster, b, "import core")
        assert "up to date" in cluster.done("sync", prefix=b.enter(cluster.root)).err
        # another tier, that is not seen by all, makes it each node's own
        cluster.variables["ENVFORGE_TIER"] = LOCAL_TIER
        cluster.done("sync", prefix=b.enter(cluster.root))
        assert os.readlink(cluster.venv).startswith("/tmp/envforge-")
        cluster.variables["ENVFORGE_TIER"] = str(tier)
        cluster.done("sync", prefix=a.enter(cluster.root))
        assert os.readlink(cluster.venv).startswith("/tmp/envforge-")
        assert a.run("readlink", "-f", str(cluster.venv)).startswith(str(tier))
        assert b.run("readlink", "-f", str(cluster.venv)).startswith(LOCAL_TIER)


def test_a_local_project_is_linked_straight(project: Project) -> None:
    require_nodes()
    project.write("core")
    project.done("sync")
    assert os.readlink(project.venv).startswith(str(project.tier))
    shutil.rmtree(project.cache, ignore_errors=True)
