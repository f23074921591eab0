"""Files are written through the page cache or past it, to the same bytes."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from envforge.fetch import writing
from envforge.fetch.writing import DirectFile, FileWriter
from envforge.model.writing import BUFFERED, WriteStrategy

DIRECT = WriteStrategy(direct_from_bytes=1)
BUFFER = writing._BUFFER_BYTES


def can_write_direct(folder: Path) -> bool:
    with FileWriter(DIRECT) as writer, writer.create(f"{folder}/probe", 1, 0o600) as file:
        return isinstance(file, DirectFile)


@pytest.mark.parametrize("piece_bytes", [1000, 4096, 262_144, 1 << 20, 3 << 20])
@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, BUFFER - 1, BUFFER, BUFFER + 1, 2 * BUFFER + 5000])
@pytest.mark.parametrize("strategy", [BUFFERED, DIRECT])
def test_every_size(tmp_path: Path, strategy: WriteStrategy, size: int, piece_bytes: int) -> None:
    content = os.urandom(size)
    with FileWriter(strategy) as writer:
        for name in ("first", "second"):  # the buffer is used again
            with writer.create(f"{tmp_path}/{name}", size, 0o555) as file:
                for at in range(0, size, piece_bytes):
                    file.write(memoryview(content)[at : at + piece_bytes])
    for name in ("first", "second"):
        assert (tmp_path / name).read_bytes() == content
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) & 0o222 == 0


def test_small_files_go_through_the_cache(tmp_path: Path) -> None:
    if not can_write_direct(tmp_path):
        pytest.skip("no O_DIRECT here")
    with FileWriter(WriteStrategy(direct_from_bytes=100)) as writer:
        with writer.create(f"{tmp_path}/small", 99, 0o600) as file:
            assert not isinstance(file, DirectFile)
        with writer.create(f"{tmp_path}/large", 100, 0o600) as file:
            assert isinstance(file, DirectFile)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no memory file system")
def test_a_file_system_that_cannot(tmp_path: Path) -> None:
    """Old tmpfs refuses to open so, new ones write it anyway: the bytes are there in both."""
    place = Path(f"/dev/shm/envforge-test-{os.getpid()}")
    try:
        with FileWriter(DIRECT) as writer, writer.create(str(place), 5, 0o600) as file:
            file.write(b"hello")
        assert place.read_bytes() == b"hello"
    finally:
        place.unlink()


def test_other_rules_for_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened, but every write is refused until the flag is taken away."""
    if not can_write_direct(tmp_path):
        pytest.skip("no O_DIRECT here")
    import fcntl

    real = os.write

    def write(handle: int, data: bytes) -> int:
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return real(handle, data)

    monkeypatch.setattr(os, "write", write)
    content = os.urandom(2 * BUFFER + 77)
    with FileWriter(DIRECT) as writer, writer.create(f"{tmp_path}/file", len(content), 0o600) as file:
        file.write(content)
    assert (tmp_path / "file").read_bytes() == content


@pytest.mark.parametrize("strategy", [BUFFERED, DIRECT])
def test_what_is_there_is_not_written(tmp_path: Path, strategy: WriteStrategy) -> None:
    (tmp_path / "file").write_text("kept")
    with FileWriter(strategy) as writer, pytest.raises(FileExistsError):
        writer.create(f"{tmp_path}/file", 5000, 0o600)
    assert (tmp_path / "file").read_text() == "kept"


def test_what_fails_is_not_finished(tmp_path: Path) -> None:
    with FileWriter(DIRECT) as writer:
        with pytest.raises(KeyError), writer.create(f"{tmp_path}/file", 5000, 0o600) as file:
            file.write(b"x" * 5000)
            raise KeyError
        with writer.create(f"{tmp_path}/next", 3, 0o600) as file:
            file.write(b"new")
    assert (tmp_path / "next").read_bytes() == b"new"
