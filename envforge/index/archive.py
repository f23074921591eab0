"""Whole archives, where nothing less tells what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from envforge.errors import HashError, StoreError
from envforge.events import Reporter
from envforge.index.locations import IndexLocation
from envforge.model.release import IndexFile
from envforge.net.client import HttpClient
from envforge.net.local_files import file_url_path
from envforge.store.sharing import make_folders


@contextmanager
def fetched_archive(
    file: IndexFile,
    client: HttpClient,
    locations: Mapping[str, IndexLocation],
    cache: Path,
    reporter: Reporter,
) -> Iterator[Path]:
    """The archive of a file, for the block; its hash is checked where the index gives one.

    Args:
        file: as listed.
        client: to fetch it with.
        locations: name of an index → where it is.
        cache: root of the cache, for the time that the file is needed.
        reporter: is told how far it got.

    Raises:
        HashError: it is not the file that the index lists.
        NetworkError, OfflineError: it cannot be had.
        StoreError: the disk is full or cannot be written.
    """
    if file.url.startswith("file:"):
        path = file_url_path(file.url)
        _check_hash(path, file)
        yield path
        return
    from tempfile import TemporaryDirectory

    location = locations.get(file.index)
    try:
        folder = cache / "downloads"
        make_folders(folder)
        temporary = TemporaryDirectory(dir=folder, ignore_cleanup_errors=True)
    except OSError as error:
        raise _unwritable(cache, error) from None
    with temporary as name:
        archive = Path(name, "archive")
        try:
            client.download(
                file.url,
                archive,
                sha256=file.sha256,
                size_bytes=file.size_bytes,
                filename=file.filename,
                index_name=file.index,
                index_url=location.url if location else "",
                reporter=reporter,
            )
        except OSError as error:
            raise _unwritable(cache, error) from None
        yield archive


def archive_sha256(path: Path) -> str:
    """The digest of a file.

    Raises:
        StoreError: it cannot be read.
    """
    from hashlib import file_digest

    try:
        with path.open("rb") as opened:
            return file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(f"{path} cannot be read", context=[error.strerror or str(error)]) from None


def _check_hash(path: Path, file: IndexFile) -> None:
    if not file.sha256:
        return
    digest = archive_sha256(path)
    if digest != file.sha256:
        raise HashError(
            f"{file.filename} is not the file that index {file.index!r} lists",
            context=[f"listed: sha256 {file.sha256}", f"found: sha256 {digest}", f"file: {path}"],
            hints=["make the index anew, or remove the file"],
        )


def _unwritable(cache: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cannot write to the cache in {cache}",
        context=[error.strerror or str(error)],
        hints=["free some space, or set ENVFORGE_CACHE_DIR to a folder that you can write to"],
    )
