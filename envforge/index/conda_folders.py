"""Channels in folders. rattler reads ``repodata.json`` there, nothing compressed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from envforge.errors import PackageIndexError
from envforge.hashing import sha256
from envforge.net.conda_client import ChannelLocation
from envforge.net.local_files import file_url_path
from envforge.store.sharing import own_folder

CACHE_NAME = "conda-folders-v1"


def readable_folder_url(channel: ChannelLocation, subdirs: Sequence[str], cache: Path) -> str:
    """The URL of a folder where rattler finds the repodata of some subdirs of a channel in a folder.

    That is the channel itself; where one of the subdirs has nothing but ``repodata.json.zst``, a folder in
    the cache with all of them unpacked.

    Raises:
        PackageIndexError: there is no such folder, or it has to be unpacked and nothing here can do that.
    """
    folder = folder_of(channel)
    if not folder.is_dir():
        raise PackageIndexError(
            f"channel {channel.name!r} is a folder that does not exist",
            context=[f"folder: {folder}"],
            hints=["correct tool.envforge.channels"],
        )
    if not any(_is_packed(folder / subdir) for subdir in subdirs):
        return channel.clean_url
    copy = own_folder(cache / CACHE_NAME) / sha256(os.fsencode(folder)).hexdigest()[:16]
    for subdir in subdirs:
        _unpack(folder / subdir, copy / subdir, channel)
    return copy.as_uri()


def folder_of(channel: ChannelLocation) -> Path:
    """Where a channel with a ``file:`` URL is. NetworkError if that names another host."""
    return file_url_path(channel.clean_url)


def _is_packed(folder: Path) -> bool:
    return (folder / "repodata.json.zst").is_file() and not (folder / "repodata.json").is_file()


def _unpack(source: Path, destination: Path, channel: ChannelLocation) -> None:
    """Make the repodata of a subdir readable, unless a copy of the same time and size is there."""
    packed = source / "repodata.json.zst"
    plain = source / "repodata.json"
    origin = plain if plain.is_file() else packed
    target = destination / "repodata.json"
    if not origin.is_file():
        target.unlink(missing_ok=True)
        return
    status = origin.stat()
    stamp = destination / "stamp"
    mark = f"{status.st_mtime_ns} {status.st_size}"
    if target.is_file() and stamp.is_file() and stamp.read_text() == mark:
        return
    content = origin.read_bytes() if origin == plain else _decompress(packed, channel)
    destination.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    _write_aside(target, content)
    _write_aside(stamp, mark.encode())


def _write_aside(target: Path, content: bytes) -> None:
    aside = target.with_name(f"{target.name}.{os.getpid()}")
    aside.write_bytes(content)
    aside.replace(target)


def _decompress(packed: Path, channel: ChannelLocation) -> bytes:
    """By Python's own module (3.14), else by the program ``zstd``."""
    try:
        from compression.zstd import ZstdError, decompress  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return _decompress_by_program(packed, channel)
    try:
        return bytes(decompress(packed.read_bytes()))
    except ZstdError as error:
        raise _damaged(packed, channel, str(error)) from None


def _decompress_by_program(packed: Path, channel: ChannelLocation) -> bytes:
    import shutil
    import subprocess

    program = shutil.which("zstd")
    if program is None:
        raise PackageIndexError(
            f"channel {channel.name!r} has only packed repodata, which is not read from a folder",
            context=[f"file: {packed}"],
            hints=["unpack it beside the packed one: zstd -d", "or serve the folder over HTTP"],
        )
    done = subprocess.run([program, "-dcq", "--", packed], capture_output=True, check=False)
    if done.returncode != 0:
        raise _damaged(packed, channel, done.stderr.decode(errors="replace").strip())
    return done.stdout


def _damaged(packed: Path, channel: ChannelLocation, reason: str) -> PackageIndexError:
    return PackageIndexError(
        f"the repodata of channel {channel.name!r} cannot be read",
        context=[f"file: {packed}", f"reason: {reason}"],
        hints=["make it anew, e.g. with rattler-index or conda-index"],
    )
