"""What quota commands print, and commands that do not answer."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from envforge.host import quota as module
from envforge.host.quota import (
    find_quota,
    parse_beegfs_quota,
    parse_lfs_quota,
    parse_mmlsquota,
    parse_quota,
)
from envforge.model.storage import Origin, Quota, StoragePlace
from envforge.struct import replace

KIB = 1024
PLACE = StoragePlace(folder="/work/jo", base="/work/jo", origin=Origin.WORK, offered_by="$WORK")
LFS = """\
Disk quotas for usr jo (uid 10817):
     Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace
       /work/jo 982177580       0 1000000000       -  443208       0 1000000       -
uid 10817 is using default file quota setting
"""
LFS_OVER = """\
Disk quotas for usr jo (uid 10817):
     Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace
/lustre/a/name/that/is/too/long/for/the/column
                [5242880]* 4194304 6291456  6d23h59m15s  120000  0  0       -
"""
MMLS = """\
mmlsquota::HEADER:version:reserved:reserved:filesystemName:quotaType:id:name:blockUsage:blockQuota:blockLimit:\
blockInDoubt:blockGrace:filesUsage:filesQuota:filesLimit:filesInDoubt:filesGrace:remarks:quota:defQuota:fid:\
filesetname:
mmlsquota::0:1:::home:USR:10817:jo:99:1000:1000:0:none:7:0:0:0:none::on:off:0:root:
mmlsquota::0:1:::projects:GRP:500:lab:99999:0:0:0:none:1:0:0:0:none::on:off:0:root:
mmlsquota::0:1:::projects:USR:10817:jo:2097152:10485760:12582912:0:none:4000:0:500000:0:none::on:off:0:root:
"""
BEEGFS = """\
name,id,size,hard,files,hard
jo,10817,2791507521536,5497558138880,873812,unlimited
"""
NFS = """\
Disk quotas for user jo (uid 10817):
     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
nas1:/export/home 47185920* 46137344 52428800 1795254922  161000       0       0       0
/dev/sdb1            36       0       0       0      10       0       0       0
"""


def test_lustre() -> None:
    assert parse_lfs_quota(LFS) == Quota(
        used_bytes=982177580 * KIB,
        limit_bytes=1000000000 * KIB,
        used_inodes=443208,
        limit_inodes=1000000,
    )
    assert parse_lfs_quota(LFS_OVER) == Quota(
        used_bytes=5242880 * KIB, limit_bytes=4194304 * KIB, used_inodes=120000
    )


def test_gpfs() -> None:
    found = parse_mmlsquota(MMLS, "/dev/projects")
    assert found == Quota(
        used_bytes=2097152 * KIB, limit_bytes=10485760 * KIB, used_inodes=4000, limit_inodes=500000
    )
    assert parse_mmlsquota(MMLS, "scratch") is None


def test_beegfs() -> None:
    assert parse_beegfs_quota(BEEGFS) == Quota(
        used_bytes=2791507521536, limit_bytes=5497558138880, used_inodes=873812
    )
    assert parse_beegfs_quota(BEEGFS.replace("5497558138880", "unlimited")) is None


def test_nfs() -> None:
    found = parse_quota(NFS, "nas1:/export/home", "/home")
    assert found == Quota(used_bytes=47185920 * KIB, limit_bytes=46137344 * KIB, used_inodes=161000)
    assert found.left_bytes == 0
    assert parse_quota(NFS, "/dev/sdb1", "/x") is None  # no limits
    assert parse_quota(NFS, "nas2:/export", "/y") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "lfs quota: '/home/jo' not on a mounted Lustre filesystem",
        "/work a b c d e f g h",
        "name,id,size,hard,files,hard\n",
        "name,id,size,hard,files,hard\njo,1,x,y,z,u\n",
        "mmlsquota::HEADER:version:\nmmlsquota::0:\n",
        "mmlsquota: command not found",
        "Disk quotas for user jo (uid 1): none",
        "/work\n",
    ],
)
def test_what_says_nothing(text: str) -> None:
    assert parse_lfs_quota(text) is None
    assert parse_mmlsquota(text, "x") is None
    assert parse_beegfs_quota(text) is None
    assert parse_quota(text, "/work", "/work") is None


def program(folder: Path, name: str, body: str) -> dict[str, str]:
    place = folder / name
    place.write_text(f"#!/bin/sh\n{body}\n")
    place.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


@pytest.mark.skipif(sys.platform == "win32", reason="shell scripts")
@pytest.mark.parametrize(
    "file_system, source, name, output, used",
    [
        ("lustre", "a@o2ib:/work", "lfs", LFS, 982177580 * KIB),
        ("gpfs", "projects", "mmlsquota", MMLS, 2097152 * KIB),
        ("beegfs", "beegfs_nodev", "beegfs-ctl", BEEGFS, 2791507521536),
        ("nfs4", "nas1:/export/home", "quota", NFS, 47185920 * KIB),
    ],
)
def test_the_command_of_a_file_system_is_asked(
    tmp_path: Path, file_system: str, source: str, name: str, output: str, used: int
) -> None:
    (tmp_path / "output").write_text(output)
    environ = program(tmp_path, name, f'echo "$@" > {tmp_path}/words; cat {tmp_path}/output; exit 1')
    found = find_quota(replace(PLACE, file_system=file_system, source=source), environ)
    assert found is not None
    assert found.used_bytes == used
    if name in ("lfs", "mmlsquota"):
        assert f"-u {os.geteuid()}" in (tmp_path / "words").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="shell scripts")
def test_a_command_that_hangs_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
    environ = program(tmp_path, "lfs", "sleep 30")
    start_s = time.monotonic()
    assert find_quota(replace(PLACE, file_system="lustre"), environ) is None
    assert time.monotonic() - start_s < 2


@pytest.mark.skipif(sys.platform == "win32", reason="shell scripts")
def test_no_command_and_a_broken_one(tmp_path: Path) -> None:
    assert find_quota(replace(PLACE, file_system="lustre"), {"PATH": str(tmp_path)}) is None
    (tmp_path / "lfs").write_text("no program")
    (tmp_path / "lfs").chmod(0o755)
    assert find_quota(replace(PLACE, file_system="lustre"), {"PATH": str(tmp_path)}) is None


def test_file_systems_that_have_none() -> None:
    for file_system in ("btrfs", "tmpfs", "overlay", "fuse.sshfs", "vfat"):
        assert find_quota(replace(PLACE, file_system=file_system), {}) is None
    assert find_quota(replace(PLACE, file_system="ext4", source="/dev/of-nobody"), {}) is None
