"""Who sees a project's folder beside those who see the tier, told from mounts as hosts have them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envforge.host.mounts import find_mount, parse_mountinfo
from envforge.host.visibility import compare_sight, first_local, is_seen_further, is_shared

from support.nodes import require_nodes, shared_folder

LAPTOP = """\
21 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw
40 21 0:30 / /tmp rw - tmpfs tmpfs rw
41 21 259:4 / /data rw - xfs /dev/nvme1n1 rw
42 21 0:60 / /home/me/remote rw - fuse.sshfs me@host: rw
"""
CLUSTER = """\
21 1 259:2 / / rw - xfs /dev/sda1 rw
40 21 0:30 / /home rw - nfs4 server:/home rw
41 21 0:31 / /lustre rw - lustre 10.0.0.1@o2ib:/lustre rw
42 21 259:4 / /local rw - xfs /dev/nvme0n1 rw
43 21 0:33 / /dev/shm rw - tmpfs tmpfs rw
44 21 0:34 / /gpfs rw - gpfs gpfs0 rw
"""
CONTAINER = """\
21 1 0:50 / / rw - overlay overlay rw,lowerdir=/a
40 21 259:2 /home/me/project /workspaces/project rw - ext4 /dev/nvme0n1p2 rw
41 21 259:2 /var/lib/docker/volumes/cache/_data /root/.cache rw - ext4 /dev/nvme0n1p2 rw
42 21 0:61 / /mac rw - virtiofs share rw
"""


@pytest.mark.parametrize(
    ("host", "project", "tier", "further"),
    [
        (LAPTOP, "/home/me/project", "/home/me/.cache/envforge/tier", False),
        (LAPTOP, "/home/me/project", "/data/tier", False),
        (LAPTOP, "/home/me/project", "/tmp/tier", False),
        (LAPTOP, "/home/me/remote/project", "/home/me/.cache/envforge/tier", True),
        (CLUSTER, "/home/me/project", "/home/me/.cache/envforge/tier", False),
        (CLUSTER, "/home/me/project", "/lustre/me/tier", False),
        (CLUSTER, "/lustre/me/project", "/local/job.1/tier", True),
        (CLUSTER, "/gpfs/me/project", "/dev/shm/tier", True),
        (CLUSTER, "/local/project", "/home/me/tier", False),
        (CLUSTER, "/local/project", "/dev/shm/tier", False),
        (CONTAINER, "/workspaces/project", "/root/.envforge/tier", True),
        (CONTAINER, "/workspaces/project", "/root/.cache/envforge/tier", True),
        (CONTAINER, "/workspaces/project", "/workspaces/project/.cache/tier", False),
        (CONTAINER, "/mac/project", "/root/.cache/envforge/tier", True),
        (CONTAINER, "/app", "/root/.envforge/tier", False),
        (CONTAINER, "/app", "/root/.cache/envforge/tier", False),
    ],
)
def test_who_sees_more(host: str, project: str, tier: str, further: bool) -> None:
    mounts = parse_mountinfo(host)
    places = [find_mount(place, mounts) for place in (project, tier, "/")]
    assert compare_sight(*places, in_container=False) is further


def test_a_container_whose_root_is_no_overlay() -> None:
    mounts = parse_mountinfo(LAPTOP)
    places = [find_mount(place, mounts) for place in ("/data/project", "/root/tier", "/")]
    assert not compare_sight(*places, in_container=False)
    assert compare_sight(*places, in_container=True)


def test_what_nobody_tells_counts_as_local() -> None:
    assert not compare_sight(None, None, None, in_container=True)
    [root, *_] = parse_mountinfo(LAPTOP)
    assert not compare_sight(root, None, None, in_container=False)


def test_this_host(tmp_path: Path) -> None:
    require_nodes()
    assert not is_seen_further(str(tmp_path), str(tmp_path / "tier" / "of" / "tomorrow"))
    with shared_folder(tmp_path / "real", tmp_path / "shared") as shared:
        assert is_shared(str(shared / "project"))
        assert is_seen_further(str(shared / "project"), str(tmp_path / "tier"))
        assert not is_seen_further(str(tmp_path), str(shared))
        assert first_local([str(tmp_path / "absent"), str(shared), str(tmp_path)]) == str(tmp_path)
        assert first_local([str(shared)]) == ""
    assert os.listdir(shared) == []
