"""Mount tables of real kinds of hosts; and of this one, whose answers the kernel confirms."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from envforge.host.file_systems import is_pseudo, kind_of
from envforge.host.mounts import (
    Mount,
    find_mount,
    mount_id,
    parse_mount_output,
    parse_mountinfo,
    read_mounts,
)
from envforge.model.storage import Reach

TABLES = {
    path.stem: parse_mountinfo(path.read_text(encoding="utf-8"))
    for path in (Path(__file__).parent / "mounts").glob("*.txt")
}


@pytest.mark.parametrize(
    "table, path, point, file_system",
    [
        ("slurm_node", "/home/jo/project", "/home/jo", "nfs4"),
        ("slurm_node", "/home/joanna", "/home", "autofs"),
        ("slurm_node", "/scratch", "/scratch", "xfs"),
        ("slurm_node", "/scratch/4711/x", "/scratch", "xfs"),
        ("slurm_node", "/scratchy", "/", "tmpfs"),
        ("slurm_node", "/lustre/work/jo", "/lustre/work", "lustre"),
        ("slurm_node", "/opt/sw/x", "/opt/sw", "lustre"),
        ("slurm_node", "/gpfs/projects/x", "/gpfs/projects", "gpfs"),
        ("slurm_node", "/beegfs/x", "/beegfs", "beegfs"),
        ("slurm_node", "/dev/shm/x", "/dev/shm", "tmpfs"),
        ("container", "/home/vscode/.cache/envforge/tier", "/home/vscode/.cache/envforge", "ext4"),
        ("container", "/home/vscode/.cache", "/", "overlay"),
        ("container", "/workspaces/my project/src", "/workspaces/my project", "virtiofs"),
        ("laptop", "/home/jo", "/home", "btrfs"),
        ("laptop", "/mnt/data\\ 1/x", "/mnt/data\\ 1", "xfs"),
        ("laptop", "/mnt/far/x", "/mnt/far", "fuse.sshfs"),
    ],
)
def test_the_longest_mount_holds_a_path(table: str, path: str, point: str, file_system: str) -> None:
    mount = find_mount(path, TABLES[table])
    assert mount is not None
    assert (mount.point, mount.file_system) == (point, file_system)


def test_all_of_a_line_is_read() -> None:
    [mount] = parse_mountinfo(
        "140 130 2389:231328 /sw /opt/sw ro,nosuid shared:70 master:3 - lustre a@o2ib:/work rw,flock"
    )
    assert mount == Mount(
        id=140,
        device="2389:231328",
        root="/sw",
        point="/opt/sw",
        file_system="lustre",
        source="a@o2ib:/work",
        read_only=True,
        options=("ro", "nosuid", "rw", "flock"),
    )


@pytest.mark.parametrize(
    "line",
    [
        "",
        "a line",
        "1 2 3:4 / /x rw",
        "1 2 3:4 / /x rw shared:1 ext4 /dev/sda rw",
        "x 2 3:4 / /x rw - a b rw",
    ],
)
def test_what_is_no_line_is_passed_over(line: str) -> None:
    assert parse_mountinfo(line) == ()


def test_of_two_mounts_on_one_point_the_last_counts() -> None:
    mounts = parse_mountinfo(
        "1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / /x rw - nfs b rw\n3 2 0:3 / /x rw - xfs c rw"
    )
    mount = find_mount("/x/y", mounts)
    assert mount is not None
    assert mount.file_system == "xfs"


def test_the_kernel_knows_better_than_the_longest_name() -> None:
    """/a was mounted over what holds /a/b, so that /a/b/c is on the second."""
    mounts = parse_mountinfo("2 1 0:2 / /a/b rw - nfs b rw\n3 1 0:3 / /a rw - xfs c rw")
    for number, file_system in ((0, "nfs"), (3, "xfs"), (99, "nfs")):
        mount = find_mount("/a/b/c", mounts, number)
        assert mount is not None
        assert mount.file_system == file_system


def test_nothing_is_mounted() -> None:
    assert find_mount("/x", ()) is None


def test_what_macos_prints() -> None:
    text = (
        "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\n"
        "devfs on /dev (devfs, local, nobrowse)\n"
        "/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect, root data)\n"
        "//jo@nas._smb._tcp.local/lab (2) on /Volumes/lab (2) (smbfs, nodev, nosuid, mounted by jo)\n"
        "map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)\n"
        "nas:/export on /Volumes/x (nfs, nodev, nosuid, mounted by jo)\n"
    )
    mounts = {mount.point: mount for mount in parse_mount_output(text)}
    assert len(mounts) == 6
    assert mounts["/"].read_only
    assert mounts["/Volumes/lab (2)"].file_system == "smbfs"
    assert mounts["/System/Volumes/Data"].source == "/dev/disk3s5"
    found = find_mount("/System/Volumes/Data/Users/jo", tuple(mounts.values()))
    assert found is mounts["/System/Volumes/Data"]


@pytest.mark.parametrize(
    "name, reach",
    [
        ("ext4", Reach.LOCAL),
        ("btrfs", Reach.LOCAL),
        ("overlay", Reach.LOCAL),
        ("tmpfs", Reach.MEMORY),
        ("nfs4", Reach.SHARED),
        ("lustre", Reach.SHARED),
        ("virtiofs", Reach.SHARED),
        ("9p", Reach.SHARED),
        ("fuse.sshfs", Reach.SHARED),
        ("fuse.of.the.future", Reach.SHARED),
        ("fuse.fuse-overlayfs", Reach.LOCAL),
    ],
)
def test_who_sees_a_file_system(name: str, reach: Reach) -> None:
    assert kind_of(name).reach is reach


def test_kinds_without_links_and_without_files() -> None:
    assert not kind_of("vfat").symlinks
    assert not kind_of("exfat").hardlinks
    assert kind_of("xfs").symlinks
    assert is_pseudo("autofs")
    assert is_pseudo("squashfs")
    assert not is_pseudo("auto")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_this_host_says_the_same_as_stat_and_findmnt(tmp_path: Path) -> None:
    mounts = read_mounts()
    for folder in ("/", "/proc", "/dev/shm", str(tmp_path)):
        if not os.path.isdir(folder):
            continue
        mount = find_mount(os.path.realpath(folder), mounts, mount_id(folder))
        assert mount is not None
        if mount.file_system != "btrfs":  # a subvolume has a number of its own
            device = os.stat(folder).st_dev
            assert mount.device == f"{os.major(device)}:{os.minor(device)}"
        told = subprocess.run(
            ["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True
        ).stdout.strip()
        assert told.split("/")[0][:3] == mount.file_system[:3] or told == "ext2/ext3"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_no_number_for_what_is_not_there(tmp_path: Path) -> None:
    assert mount_id(str(tmp_path / "gone")) == 0
    assert mount_id(str(tmp_path)) > 0
