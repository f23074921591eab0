"""Real file systems, made for a test where the machine allows it; elsewhere the test is skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

LINUX_KINDS = ("tmpfs", "ext4", "xfs", "btrfs", "overlay")
_MAKERS = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
    "vfat": ["mkfs.vfat"],
    "exfat": ["mkfs.exfat"],
}


@contextmanager
def mounted(kind: str, folder: Path, *, size_mb: int = 400, inode_count: int = 0) -> Iterator[Path]:
    """A new file system of a kind on a folder, as long as the block lasts.

    Args:
        kind: ``tmpfs``, ``ext4``, ``xfs``, ``btrfs``, ``overlay``; ``linkless`` for one that has neither hard
            nor symbolic links; ``slow`` for one that takes two milliseconds for each question.
        folder: gets ``mnt``, and what the file system is made of.
        size_mb: xfs and btrfs need 400.
        inode_count: of tmpfs and ext4, 0 for what is usual.
    """
    if os.name == "nt" or os.geteuid() != 0:
        pytest.skip("only root may mount")
    place = folder / "mnt"
    place.mkdir(parents=True)
    with _MOUNTS[kind](folder, place, size_mb, inode_count):
        yield place


def remount(place: Path, options: str) -> None:
    """Change a mounted file system's options: ``ro``, ``size=9m``."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True, capture_output=True)


@contextmanager
def _tmpfs(folder: Path, place: Path, size_mb: int, inode_count: int) -> Iterator[None]:
    options = f"size={size_mb}m,mode=755" + (f",nr_inodes={inode_count}" if inode_count else "")
    with _mount(place, "-t", "tmpfs", "-o", options, "none", str(place)):
        yield


@contextmanager
def _overlay(folder: Path, place: Path, size_mb: int, inode_count: int) -> Iterator[None]:
    """What containers stand on; its layers are on a tmpfs, because an overlay cannot stand on another."""
    with _tmpfs(folder, place, size_mb, inode_count):
        for name in ("lower", "upper", "work", "merged"):
            (place / name).mkdir()
        layers = ",".join(f"{kind}dir={place / kind}" for kind in ("lower", "upper", "work"))
        with _mount(place, "-t", "overlay", "-o", layers, "overlay", str(place)):
            yield


def _on_disk(kind: str) -> Callable[[Path, Path, int, int], AbstractContextManager[None]]:
    @contextmanager
    def mount(folder: Path, place: Path, size_mb: int, inode_count: int) -> Iterator[None]:
        image = _image(kind, folder, size_mb, inode_count)
        with _mount(place, "-o", "loop", "-t", kind, str(image), str(place)):
            yield

    return mount


@contextmanager
def _linkless(folder: Path, place: Path, size_mb: int, inode_count: int) -> Iterator[None]:
    """A memory card's: vfat where the kernel has it, else exFAT in user space."""
    if "vfat" in Path("/proc/filesystems").read_text():
        with _on_disk("vfat")(folder, place, size_mb, inode_count):
            yield
        return
    _require("mount.exfat-fuse", "losetup")
    image = _image("exfat", folder, size_mb, 0)
    done = subprocess.run(["losetup", "-f", "--show", str(image)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no loop devices: {done.stderr.strip()}")
    device = done.stdout.strip()
    try:
        with _mount(place, device, str(place), command="mount.exfat-fuse"):
            yield
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


@contextmanager
def _slow(folder: Path, place: Path, size_mb: int, inode_count: int) -> Iterator[None]:
    """A network disk: 2 ms for each question, none of the answers remembered for long."""
    try:
        pytest.importorskip("mfusepy", reason="needs mfusepy and libfuse")
    except OSError as error:
        pytest.skip(f"needs libfuse: {error}")
    (folder / "far").mkdir()
    program = Path(__file__).with_name("slow_disk.py")
    command = [sys.executable, str(program), str(folder / "far"), str(place), "0.002"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 20
        while not place.is_mount() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        try:
            if not place.is_mount():
                process.kill()
                pytest.skip(f"no FUSE: {process.communicate()[1].strip()}")
            yield
        finally:
            _unmount(place)
            process.communicate(timeout=20)


_MOUNTS: dict[str, Callable[[Path, Path, int, int], AbstractContextManager[None]]] = {
    "tmpfs": _tmpfs,
    "overlay": _overlay,
    "linkless": _linkless,
    "slow": _slow,
    **{kind: _on_disk(kind) for kind in ("ext4", "xfs", "btrfs")},
}


def _image(kind: str, folder: Path, size_mb: int, inode_count: int) -> Path:
    command = _MAKERS[kind]
    _require(command[0])
    image = folder / "image"
    with open(image, "wb") as file:
        file.truncate(size_mb << 20)
    inodes = ["-N", str(inode_count)] if inode_count else []
    done = subprocess.run([*command, *inodes, str(image)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot make {kind}: {done.stderr.strip()}")
    return image


def _require(*programs: str) -> None:
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"there is no {program} here")


@contextmanager
def _mount(place: Path, *words: str, command: str = "mount") -> Iterator[None]:
    done = subprocess.run([command, *words], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{command} {' '.join(words)}: {done.stderr.strip()}")
    try:
        yield
    finally:
        _unmount(place)


def _unmount(place: Path) -> None:
    for _ in range(30):
        done = subprocess.run(["umount", str(place)], capture_output=True)
        if done.returncode == 0 or not place.is_mount():
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", str(place)], check=True)
