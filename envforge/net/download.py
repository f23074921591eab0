"""Downloads to a file, which gets its name when its length and SHA-256 are the locked ones.

What arrives is in a file beside it, ``NAME.part``, where a later run goes on when this one is killed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.errors import ArchiveError, NetworkError, OfflineError
from envforge.events import DownloadFinished, DownloadStarted, Reporter
from envforge.net.auth import redact
from envforge.net.transfer import PIECE_BYTES, BeginningChangedError, Transfer

if TYPE_CHECKING:
    from envforge.net.pools import ConnectionPools
    from envforge.net.settings import NetworkSettings


def download(
    url: str,
    destination: Path,
    *,
    sha256: str,
    size_bytes: int | None,
    filename: str,
    index_name: str = "",
    index_url: str = "",
    pools: ConnectionPools,
    settings: NetworkSettings,
    reporter: Reporter,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Fetch a file to ``destination``; what an earlier run left in ``destination.part`` is used.

    Only one caller at a time may work on a destination.

    Args:
        url: with or without credentials.
        destination: the file; its folder must be there.
        sha256: digest that the file must have, hex; ``""`` where nobody knows it.
        size_bytes: its length, None if it is not known.
        filename: what to call it in events and errors.
        index_name: index it comes from, for credentials; ``""`` for none.
        index_url: that index's URL.
        pools: the connections to use.
        settings: time limits and retries.
        reporter: is told how far it got.
        check: called for every piece and while waiting; raises to stop.

    Raises:
        HashError: the server's file is not the locked one; nothing of it is kept.
        OfflineError: the network is forbidden.
        NetworkError: the server cannot be reached or does not give the file.
        OSError: the disk failed or is full.
    """
    if settings.offline:
        raise OfflineError(f"{filename} is not here, and the network is forbidden", context=[redact(url)])
    transfer = Transfer(
        partial(pools.get, url, index_name=index_name, index_url=index_url),
        url=url,
        sha256=sha256,
        size_bytes=size_bytes,
        filename=filename,
        retries=settings.retries,
        reporter=reporter,
        check=check,
    )
    with PartFile(destination.with_name(f"{destination.name}.part")) as part:
        reporter.report(DownloadStarted(filename=filename, size_bytes=size_bytes))
        receive(transfer, part, settings.retries)
    part.path.replace(destination)
    reporter.report(DownloadFinished(filename=filename))


class PartFile:
    """What of a file is here already: read from its beginning, then appended to.

    It stays when the block ends, whatever the end is; only a part that did not fit on the disk or
    turned out to be wrong is removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = -1

    def __enter__(self) -> PartFile:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        try:
            self._handle = os.open(self.path, flags, 0o666)
        except PermissionError:  # another user's, who began it: in a shared folder we may begin anew
            self.path.unlink()
            self._handle = os.open(self.path, flags, 0o666)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        os.close(self._handle)
        if isinstance(error, ArchiveError):
            self.path.unlink(missing_ok=True)

    def read(self) -> bytes:
        """The next piece of what is there."""
        return os.read(self._handle, PIECE_BYTES)

    def write(self, piece: bytes) -> None:
        """Append."""
        written = 0
        try:
            while written < len(piece):
                written += os.write(self._handle, memoryview(piece)[written:] if written else piece)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                # kept, it would leave no room for anything else, not even for a smaller package
                self.path.unlink(missing_ok=True)
            raise

    def rewind(self) -> None:
        """Read from the beginning again."""
        os.lseek(self._handle, 0, os.SEEK_SET)

    def clear(self) -> None:
        """Forget what is there."""
        os.ftruncate(self._handle, 0)
        self.rewind()


def receive(transfer: Transfer, part: PartFile, tries: int) -> None:
    """Have the whole, right file in ``part``.

    Raises:
        HashError, NetworkError, OSError: as :func:`download`.
    """
    while piece := part.read():
        transfer.adopt(piece)
    if transfer.is_too_long():
        _start_again(transfer, part)
    for _ in range(tries + 1):
        try:
            for piece in transfer.pieces():
                part.write(piece)
        except BeginningChangedError:
            _start_again(transfer, part)
            continue
        if transfer.is_right():
            return
        if not transfer.resumed:
            transfer.refuse()
        # the beginning may be of an older file; a second try from nothing settles it
        _start_again(transfer, part)
    raise NetworkError(
        f"{part.path.name} cannot be downloaded: the server sends another file each time",
        hints=["run the command again later"],
    )


def _start_again(transfer: Transfer, part: PartFile) -> None:
    part.clear()
    transfer.forget()
