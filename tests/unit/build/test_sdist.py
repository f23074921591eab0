from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from envforge.build.sdist import unpack_sdist
from envforge.errors import ArchiveError

Member = tuple[str, bytes | str | None, dict[str, object]]
GOOD = [("pkg-1.0/pyproject.toml", b"[project]"), ("pkg-1.0/src/pkg.py", b"x = 1")]


def member(
    name: str, content: bytes | None = None, **attributes: object
) -> tuple[tarfile.TarInfo, bytes | None]:
    info = tarfile.TarInfo(name)
    if content is not None:
        info.size = len(content)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, content


def folder(name: str) -> tuple[tarfile.TarInfo, None]:
    return member(name, type=tarfile.DIRTYPE, mode=0o755)[0], None


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, None]:
    return member(name, type=tarfile.SYMTYPE, linkname=target)[0], None


def hardlink(name: str, target: str) -> tuple[tarfile.TarInfo, None]:
    return member(name, type=tarfile.LNKTYPE, linkname=target)[0], None


@pytest.fixture
def make_tar(tmp_path: Path) -> Callable[..., Path]:
    def make(*members: tuple[tarfile.TarInfo, bytes | None], mode: str = "w:gz", good: bool = True) -> Path:
        path = tmp_path / "pkg-1.0.tar.gz"
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
            for info, content in [*(member(*entry) for entry in (GOOD if good else [])), *members]:
                archive.addfile(info, io.BytesIO(content) if content is not None else None)
        return path

    return make


def make_zip(path: Path, members: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def assert_refused(archive: Path, tmp_path: Path, said: str, **options: int) -> ArchiveError:
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(ArchiveError) as caught:
        unpack_sdist(archive, tmp_path / "out", **options)
    assert said in "\n".join([caught.value.message, *caught.value.context])
    assert archive.name in caught.value.message
    assert os.listdir(tmp_path / "out") == []
    assert sorted(os.listdir(tmp_path)) == sorted({*before, "out"})
    return caught.value


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz", "w"])
def test_a_tar(tmp_path: Path, make_tar: Callable[..., Path], mode: str) -> None:
    archive = make_tar(
        folder("pkg-1.0/empty"),
        member("pkg-1.0/run.sh", b"#!/bin/sh", mode=0o4777, mtime=1_000_000_000),
        member("./pkg-1.0//dotted", b"y"),
        mode=mode,
    )
    source = unpack_sdist(archive, tmp_path / "deep" / "out")
    assert source == tmp_path / "deep" / "out" / "pkg-1.0"
    assert (source / "src" / "pkg.py").read_bytes() == b"x = 1"
    assert (source / "dotted").read_bytes() == b"y"
    assert (source / "empty").is_dir()
    assert os.listdir(source.parent) == ["pkg-1.0"]
    script = (source / "run.sh").stat()
    assert stat.S_IMODE(script.st_mode) == 0o755  # no setuid, not writable by others
    assert script.st_mtime == 1_000_000_000
    assert stat.S_IMODE((source / "src" / "pkg.py").stat().st_mode) == 0o644


def test_a_zip(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "pkg-1.0.zip", [("pkg-1.0/", b""), *GOOD])
    source = unpack_sdist(archive, tmp_path / "out")
    assert (source / "src" / "pkg.py").read_bytes() == b"x = 1"


def test_links_that_stay_inside(tmp_path: Path, make_tar: Callable[..., Path]) -> None:
    archive = make_tar(
        symlink("pkg-1.0/README", "src/pkg.py"),
        symlink("pkg-1.0/src/up", "../pyproject.toml"),
        symlink("pkg-1.0/src/all", ".."),
        hardlink("pkg-1.0/copy.py", "pkg-1.0/src/pkg.py"),
    )
    source = unpack_sdist(archive, tmp_path / "out")
    assert (source / "README").read_bytes() == b"x = 1"
    assert (source / "src" / "up").read_bytes() == b"[project]"
    assert (source / "copy.py").read_bytes() == b"x = 1"


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([member("/etc/evil", b"x")], "absolute"),
        ([member("C:/evil", b"x")], "absolute"),
        ([member("pkg-1.0\\..\\..\\evil", b"x")], "not written with /"),
        ([member("../evil", b"x")], "leads upwards"),
        ([member("pkg-1.0/../../evil", b"x")], "leads upwards"),
        ([member("pkg-1.0/a/../evil", b"x")], "leads upwards"),
        ([symlink("pkg-1.0/link", "/etc/passwd")], "absolute"),
        ([symlink("pkg-1.0/link", "../other")], "out of the top folder"),
        ([symlink("pkg-1.0/a/link", "../../other")], "out of the top folder"),
        ([symlink("pkg-1.0/a/link", "b/../../../other")], "out of the top folder"),
        ([symlink("pkg-1.0/link", "")], "no usable name"),
        ([symlink("other", "pkg-1.0")], "out of the top folder"),
        ([symlink("pkg-1.0/link", "src"), member("pkg-1.0/link/evil", b"x")], "below something"),
        ([symlink("pkg-1.0/link", "src"), member("pkg-1.0/link", b"x")], "already a symlink"),
        ([symlink("pkg-1.0/src", "elsewhere")], "already a folder"),
        ([member("pkg-1.0/src", b"x")], "already a folder"),
        ([folder("pkg-1.0/src/pkg.py")], "already a file"),
        ([member("pkg-1.0/src/pkg.py/below", b"x")], "below something"),
        # Going round a check of names alone: the way to the second link leads through the first.
        (
            [symlink("pkg-1.0/src/a", ".."), symlink("pkg-1.0/src/b", "a/../../..")],
            "out of the top folder",
        ),
        (
            [symlink("pkg-1.0/p/q/a", "../.."), symlink("pkg-1.0/p/q/b", "a/../..")],
            "out of the top folder",
        ),
        ([hardlink("pkg-1.0/copy", "/etc/passwd")], "not in here"),
        ([hardlink("pkg-1.0/copy", "../other")], "not in here"),
        ([hardlink("pkg-1.0/copy", "pkg-1.0/later")], "not in here"),
        ([symlink("pkg-1.0/l", "src/pkg.py"), hardlink("pkg-1.0/copy", "pkg-1.0/l")], "not in here"),
        ([member("pkg-1.0/pipe", type=tarfile.FIFOTYPE)], "a device or a pipe"),
        ([member("pkg-1.0/null", type=tarfile.CHRTYPE)], "a device or a pipe"),
    ],
)
def test_members_that_must_not_be_unpacked(
    tmp_path: Path,
    make_tar: Callable[..., Path],
    members: list[tuple[tarfile.TarInfo, bytes | None]],
    said: str,
) -> None:
    assert_refused(make_tar(*members), tmp_path, said)


def test_a_later_copy_of_a_file_wins(tmp_path: Path, make_tar: Callable[..., Path]) -> None:
    source = unpack_sdist(make_tar(member("pkg-1.0/src/pkg.py", b"later")), tmp_path / "out")
    assert (source / "src" / "pkg.py").read_bytes() == b"later"


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([], "it has nothing"),
        ([member("pyproject.toml", b"")], "exactly one top folder"),
        ([member("a/setup.py", b""), member("b/setup.py", b"")], "it has a, b"),
        ([member("pkg-1.0/README", b"")], r"neither pyproject.toml nor setup.py is in pkg-1.0"),
        ([folder(".")], "it has nothing"),
    ],
)
def test_what_is_no_sdist(
    tmp_path: Path,
    make_tar: Callable[..., Path],
    members: list[tuple[tarfile.TarInfo, bytes | None]],
    said: str,
) -> None:
    assert_refused(make_tar(*members, good=False), tmp_path, said)


@pytest.mark.parametrize(
    "content", [b"", b"no archive", b"PK\x03\x04 broken", gzip.compress(b"no tar" * 999, mtime=0)]
)
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "pkg-1.0.tar.gz"
    archive.write_bytes(content)
    assert_refused(archive, tmp_path, "damaged")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_cut_archive(tmp_path: Path, make_tar: Callable[..., Path], share: float) -> None:
    archive = make_tar(member("pkg-1.0/noise", os.urandom(100_000)))
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * share)])
    assert_refused(archive, tmp_path, "damaged")


def test_a_cut_plain_tar(tmp_path: Path, make_tar: Callable[..., Path]) -> None:
    archive = make_tar(member("pkg-1.0/noise", os.urandom(100_000)), mode="w")
    archive.write_bytes(archive.read_bytes()[:50_000])
    assert_refused(archive, tmp_path, "damaged")


def test_a_wrong_checksum_in_a_zip(tmp_path: Path) -> None:
    archive = tmp_path / "pkg-1.0.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as zipped:
        zipped.writestr("pkg-1.0/setup.py", "the content")
    archive.write_bytes(archive.read_bytes().replace(b"the content", b"new content"))
    assert_refused(archive, tmp_path, "damaged")


def test_an_archive_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        unpack_sdist(tmp_path / "absent.tar.gz", tmp_path / "out")


@pytest.mark.parametrize("name", ["../evil", "/evil", "pkg-1.0/..\\evil"])
def test_zip_members_that_must_not_be_unpacked(tmp_path: Path, name: str) -> None:
    assert_refused(make_zip(tmp_path / "pkg-1.0.zip", [*GOOD, (name, b"x")]), tmp_path, "must not")


def test_a_symlink_in_a_zip(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("pkg-1.0/link")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    archive = make_zip(tmp_path / "pkg-1.0.zip", [*GOOD, (link, b"/etc/passwd")])
    assert_refused(archive, tmp_path, "a symlink in a zip file")


def test_a_bomb_is_noticed_before_it_is_written(tmp_path: Path, make_tar: Callable[..., Path]) -> None:
    archive = make_tar(member("pkg-1.0/zeros", bytes(10_000_000)))
    assert archive.stat().st_size < 50_000
    error = assert_refused(archive, tmp_path, "more than an sdist should", max_size_bytes=5_000_000)
    assert "pkg-1.0/zeros" in error.context[0]
    zipped = make_zip(tmp_path / "pkg-1.0.zip", [*GOOD, ("pkg-1.0/zeros", bytes(10_000_000))])
    assert_refused(zipped, tmp_path, "more than an sdist should", max_size_bytes=5_000_000)


def test_too_many_members(tmp_path: Path, make_tar: Callable[..., Path]) -> None:
    archive = make_tar(*(member(f"pkg-1.0/{number}", b"") for number in range(50)))
    assert_refused(archive, tmp_path, "more than an sdist should", max_files=20)


def test_a_folder_that_is_already_there_stays_as_it_is(tmp_path: Path, make_tar: Callable[..., Path]) -> None:
    there = tmp_path / "out" / "pkg-1.0"
    there.mkdir(parents=True)
    (there / "mine").write_text("")
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        unpack_sdist(make_tar(), tmp_path / "out")
    assert os.listdir(tmp_path / "out") == ["pkg-1.0"]
    assert os.listdir(there) == ["mine"]


def test_a_destination_that_cannot_be_made(tmp_path: Path, make_tar: Callable[..., Path]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="cannot be written"):
        unpack_sdist(make_tar(), tmp_path / "file" / "out")
