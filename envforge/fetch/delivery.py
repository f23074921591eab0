"""How one locked archive becomes a tree: unpacked while it arrives, visible when all of it was right.

A small archive is had whole before anything of it is read. A large one is hashed and inflated piece by
piece as it comes; its files are in a staging folder, which is published after the digest of the whole
archive is the locked one, and removed whatever else happens. Where that cannot be (the server gives no
ranges, or two requests give two files) the archive is received on disk, checked, and then read.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from envforge.errors import ArchiveError, HashError
from envforge.events import DownloadFinished, DownloadStarted, Reporter, TreeStored, Warned
from envforge.fetch.archives import KeptContent, archive_path, file_digest, is_kept, mark_used, part_path
from envforge.fetch.sources import FileSource, MemorySource, NotStreamableError, Source, StreamSource
from envforge.fetch.unpack import unpack_wheel
from envforge.model.tree import Tree
from envforge.model.writing import WriteStrategy
from envforge.net.download import PartFile, receive
from envforge.net.transfer import BeginningChangedError, Transfer
from envforge.store.failures import store_failures
from envforge.store.layout import StoredFile, tree_id
from envforge.store.progress import ProgressTeller
from envforge.store.sharing import is_shared, share
from envforge.store.store import Store
from envforge.struct import Struct

if TYPE_CHECKING:
    from envforge.fetch.request import FetchRequest
    from envforge.net.pools import ConnectionPools
    from envforge.net.settings import NetworkSettings
    from envforge.store.guard import Hold

SMALL_BYTES = 2 << 20
"""Up to here an archive is had whole: no second request for its directory (137 of 170 wheels with torch)."""


class Content(Protocol):
    """An archive's bytes, once and in order, from a server or from a file."""

    total_bytes: int | None

    def find_range(self, start: int, end: int) -> bytes | None: ...
    def is_right(self) -> bool: ...


class WrongContentError(Exception):
    """All of it was read, and it is not the locked archive."""


class Delivery(Struct, frozen=True, kw_only=True):
    """Everything that making a tree of an archive needs.

    Args:
        store: where the trees go.
        archives: the folder for archives.
        keep: what is downloaded stays there.
        strategy: how files are written.
        settings: limits of the network.
        reporter: is told what happens.
        check: called often; raises to stop.
    """

    store: Store
    archives: Path
    keep: bool
    strategy: WriteStrategy
    settings: NetworkSettings
    reporter: Reporter
    check: Callable[[], None]

    def from_file(self, request: FetchRequest, place: Path) -> Tree:
        """The tree of an archive on disk that is known to be the right one."""
        with FileSource(place) as source:
            return self._from_source(request, source)

    def from_kept(self, request: FetchRequest) -> Tree | None:
        """The tree of a kept archive, which is verified while it is unpacked.

        None if there is none, or none that this user may read; WrongContentError if it is damaged.
        """
        identity = tree_id(request.sha256)
        if not is_kept(self.archives, identity):
            return None
        place = archive_path(self.archives, identity)
        what = f"read the kept archive of {request.filename}"
        # it may be gone since: purged, or damaged and removed by another node
        with store_failures(place, what), suppress(FileNotFoundError):
            mark_used(place)
            with FileSource(place) as source, suppress(NotStreamableError):
                content = KeptContent(source, request.sha256, self.check)
                return self._stream(request, content, content.pieces())
            if file_digest(place) != request.sha256:
                raise WrongContentError
            return self.from_file(request, place)
        return None

    def discard_damaged(self, request: FetchRequest) -> None:
        """Remove a kept archive, unless another process has replaced it; its guard is held."""
        place = archive_path(self.archives, tree_id(request.sha256))
        with store_failures(place, f"replace the kept archive of {request.filename}"):
            if place.exists() and file_digest(place) != request.sha256:
                place.unlink()

    def from_network(self, request: FetchRequest, pools: ConnectionPools, holds: Sequence[Hold]) -> Tree:
        """The tree of an archive that has to be downloaded.

        Args:
            request: what.
            pools: the connections to use.
            holds: the guards that are held for it; those who wait there are shown how far it is.
        """
        reporter = ProgressTeller(self.reporter, *holds)
        transfer = Transfer(
            partial(pools.get, request.url, index_name=request.index, index_url=request.index_url),
            url=request.url,
            sha256=request.sha256,
            size_bytes=request.size_bytes,
            filename=request.filename,
            retries=self.settings.retries,
            reporter=reporter,
            check=self.check,
        )
        identity = tree_id(request.sha256)
        place = part_path(self.archives, identity)
        reporter.report(DownloadStarted(filename=request.filename, size_bytes=request.size_bytes))
        with store_failures(place, f"download {request.filename}"), ExitStack() as stack:
            part = _Part(place, self.keep, self.reporter, stack)
            tree = self._receive(request, transfer, part)
            if self.keep and part.is_there:
                if is_shared(self.archives):
                    share(place)
                place.replace(archive_path(self.archives, identity))
            else:
                place.unlink(missing_ok=True)
        return tree

    def _receive(self, request: FetchRequest, transfer: Transfer, part: _Part) -> Tree:
        """Unpack what arrives: at once, or after all of it is on disk."""
        try:
            with closing(part.passing(transfer)) as pieces:
                first = next(pieces, b"")
                total = transfer.total_bytes
                if total is not None and total > SMALL_BYTES:
                    return self._stream(request, transfer, chain([first], pieces))
                if total is not None:
                    return self._from_memory(request, transfer, chain([first], pieces))
        except (NotStreamableError, BeginningChangedError):
            pass
        except WrongContentError:
            if not transfer.resumed:
                transfer.refuse()
        transfer.forget()
        receive(transfer, part.open(), self.settings.retries)
        self.reporter.report(DownloadFinished(filename=request.filename))
        return self.from_file(request, part.path)

    def _from_memory(self, request: FetchRequest, content: Transfer, pieces: Iterator[bytes]) -> Tree:
        whole = b"".join(pieces)
        if not content.is_right():
            raise WrongContentError
        self.reporter.report(DownloadFinished(filename=request.filename))
        return self._from_source(request, MemorySource(whole))

    def _from_source(self, request: FetchRequest, source: Source) -> Tree:
        """The tree of an archive that is known to be the right one."""
        with self._staging(request) as staged:
            return self._publish(request, staged, *self._unpack(request, source, staged))

    def _stream(self, request: FetchRequest, content: Content, pieces: Iterator[bytes]) -> Tree:
        """Unpack an archive while it is read, and find out only then whether it is the right one.

        Raises:
            WrongContentError: it is not.
            NotStreamableError: it has to be on disk to be read.
            ArchiveError: it is the right one, and refused.
        """
        assert content.total_bytes is not None
        source = StreamSource(pieces, content.total_bytes, content.find_range)
        with self._staging(request) as staged:
            try:
                tree, files = self._unpack(request, source, staged)
                source.drain()
            except HashError:
                raise
            except ArchiveError:
                source.drain()
                if content.is_right():
                    raise
                raise WrongContentError from None
            if not content.is_right():
                raise WrongContentError
            if isinstance(content, Transfer):
                self.reporter.report(DownloadFinished(filename=request.filename))
            return self._publish(request, staged, tree, files)

    @contextmanager
    def _staging(self, request: FetchRequest) -> Iterator[Path]:
        with self.store.staging() as staging:
            staged = staging / "tree"
            with store_failures(staged, f"unpack {request.filename}"):
                staged.mkdir()
            yield staged

    def _unpack(self, request: FetchRequest, source: Source, staged: Path) -> tuple[Tree, list[StoredFile]]:
        return unpack_wheel(
            source,
            staged,
            filename=request.filename,
            archive_sha256=request.sha256,
            name=request.name,
            version=request.version,
            check=self.check,
            strategy=self.strategy,
        )

    def _publish(self, request: FetchRequest, staged: Path, tree: Tree, files: list[StoredFile]) -> Tree:
        tree = self.store.publish_tree(staged, tree, files)
        stored = TreeStored(filename=request.filename, file_count=tree.file_count, size_bytes=tree.size_bytes)
        self.reporter.report(stored)
        return tree


class _Part:
    """What an earlier run has left of an archive, and what of this one is kept.

    Args:
        path: the file.
        keep: what arrives is written to it.
        reporter: is told when that does not work; the download goes on.
        stack: closes the file.
    """

    def __init__(self, path: Path, keep: bool, reporter: Reporter, stack: ExitStack) -> None:
        self.path = path
        self._reporter = reporter
        self._stack = stack
        self._keep = keep
        self._file: PartFile | None = None
        if keep or path.exists():
            self.open()

    @property
    def is_there(self) -> bool:
        """Whether what has arrived is in the file."""
        return self._file is not None

    def open(self) -> PartFile:
        """The file, at its beginning."""
        if self._file is None:
            self._file = self._stack.enter_context(PartFile(self.path))
            if is_shared(self.path.parent):
                with suppress(OSError):  # another user's, who has shared it already
                    share(self.path)
        self._file.rewind()
        return self._file

    def passing(self, transfer: Transfer) -> Generator[bytes, None, None]:
        """What is there, then what arrives."""
        while self._file is not None and (piece := self._file.read()):
            transfer.adopt(piece)
            yield piece
        if transfer.is_too_long():
            raise BeginningChangedError
        with closing(transfer.pieces()) as pieces:
            for piece in pieces:
                if self._keep and self._file is not None:
                    self._write(piece, self._file)
                yield piece

    def _write(self, piece: bytes, file: PartFile) -> None:
        try:
            file.write(piece)
        except OSError as error:
            self._file = None
            self.path.unlink(missing_ok=True)
            self._reporter.report(
                Warned(
                    message=f"an archive cannot be kept in {self.path.parent}: {error.strerror}",
                    hint="the environment is made all the same; the next node has to download it again",
                )
            )
