"""Wheels become trees, or are refused with the name of the entry."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import stat
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from envforge.errors import ArchiveError, StoreError
from envforge.fetch.sources import FileSource
from envforge.fetch.unpack import unpack_wheel
from envforge.model.tree import EntryPoint, Tree
from envforge.store.layout import StoredFile, tree_id

from support.elf import shared_object
from support.wheels import RawEntry, raw_wheel, record_hash, wheel_bytes, wheel_files, zip_bytes

Unpack = Callable[..., tuple[Tree, list[StoredFile]]]
HOME = "demo-1.0.dist-info"
DATA = "demo-1.0.data"


def tree_of(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def refusal(unpack: Unpack, content: bytes, **options: str) -> str:
    with pytest.raises(ArchiveError) as caught:
        unpack(content, **options)
    assert caught.value.message.startswith("demo-1.0-py3-none-any.whl ")
    return " ".join([caught.value.message, *caught.value.context])


def test_a_plain_wheel(unpack: Unpack, staged: Path) -> None:
    content = wheel_bytes(files={"demo/__init__.py": b"x = 1\n", "single.py": b""})
    tree, files = unpack(content)
    on_disk = tree_of(staged)
    digest = hashlib.sha256(content).hexdigest()
    assert tree == Tree(
        id=tree_id(digest),
        sha256=digest,
        name="demo",
        version="1.0",
        top_level={"demo": "d", HOME: "d", "single.py": "f"},
        file_count=6,
        size_bytes=sum(map(len, on_disk.values())),
    )
    assert on_disk["lib/demo/__init__.py"] == b"x = 1\n"
    assert on_disk[f"lib/{HOME}/INSTALLER"] == b"envforge\n"
    assert {file.path: (file.size_bytes, file.sha256) for file in files} == {
        path: (len(data), hashlib.sha256(data).hexdigest()) for path, data in on_disk.items()
    }


def test_parts_modes_scripts_and_the_installed_record(unpack: Unpack, staged: Path) -> None:
    files = {
        "demo/__init__.py": b"",
        "demo/tool": b"#!/bin/sh\n",
        f"{DATA}/purelib/demo/pure.py": b"p",
        f"{DATA}/platlib/demo/plat.py": b"q",
        f"{DATA}/scripts/run": b"#!python\n",
        f"{DATA}/data/share/man/man1/demo.1": b"man",
        f"{DATA}/headers/sub/demo.h": b"#pragma once",
        f"{HOME}/entry_points.txt": b"[console_scripts]\ndemo = demo.cli:main\n"
        b"[gui_scripts]\ndemo-gui=demo.gui:App.run\n",
    }
    content = zip_bytes(wheel_files(files=files), {"demo/tool": 0o755})
    tree, stored = unpack(content)
    assert tree.scripts == ("run",)
    assert tree.data == ("share/man/man1/demo.1",)
    assert tree.headers == ("sub/demo.h",)
    assert tree.top_level == {"demo": "d", HOME: "d"}
    assert tree.entry_points == (
        EntryPoint(name="demo", module="demo.cli", attribute="main"),
        EntryPoint(name="demo-gui", module="demo.gui", attribute="App.run", gui=True),
    )
    assert {file.path for file in stored if file.executable} == {"lib/demo/tool", "scripts/run"}
    for file in stored:
        mode = stat.S_IMODE((staged / file.path).stat().st_mode)
        assert mode & 0o222 == 0
        assert bool(mode & 0o100) is file.executable
    text = (staged / f"lib/{HOME}/RECORD").read_text()
    assert text.splitlines() == sorted(
        [
            "../../../bin/demo,,",
            "../../../bin/demo-gui,,",
            "../../../bin/run,,",
            f"../../../share/man/man1/demo.1,{record_hash(b'man')},3",
            f"demo/__init__.py,{record_hash(b'')},0",
            f"demo/plat.py,{record_hash(b'q')},1",
            f"demo/pure.py,{record_hash(b'p')},1",
            f"demo/tool,{record_hash(b'#!/bin/sh' + bytes([10]))},10",
            f"{HOME}/INSTALLER,{record_hash(b'envforge' + bytes([10]))},9",
            f"{HOME}/RECORD,,",
            *(
                f"{HOME}/{name},{record_hash((staged / f'lib/{HOME}/{name}').read_bytes())},"
                f"{(staged / f'lib/{HOME}/{name}').stat().st_size}"
                for name in ("METADATA", "WHEEL", "entry_points.txt")
            ),
        ]
    )


def test_importlib_metadata_agrees(unpack: Unpack, staged: Path) -> None:
    unpack(wheel_bytes(files={"demo/__init__.py": b"", f"{DATA}/data/etc/x": b"x"}))
    environment = staged.parent / "env"
    (environment / "lib/python3.12").mkdir(parents=True)
    (staged / "lib").rename(environment / "lib/python3.12/site-packages")
    (staged / "data/etc").rename(environment / "etc")
    site_packages = str(environment / "lib/python3.12/site-packages")
    [distribution] = importlib.metadata.distributions(path=[site_packages])
    assert (distribution.metadata["Name"], distribution.version) == ("demo", "1.0")
    assert distribution.read_text("INSTALLER") == "envforge\n"
    files = {str(file): file for file in distribution.files or ()}
    assert set(files) == {
        "demo/__init__.py",
        "../../../etc/x",
        *(f"{HOME}/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "WHEEL")),
    }
    assert all(Path(str(file.locate())).exists() for file in files.values())
    hashed = files["demo/__init__.py"].hash
    assert hashed is not None
    assert hashed.value == record_hash(b"").removeprefix("sha256=")


def test_a_wheel_that_brings_its_own_installer_file(unpack: Unpack, staged: Path) -> None:
    tree, _ = unpack(wheel_bytes(files={"demo/a": b"", f"{HOME}/INSTALLER": b"pip"}))
    assert (staged / f"lib/{HOME}/INSTALLER").read_bytes() == b"envforge\n"
    assert (staged / f"lib/{HOME}/RECORD").read_text().count("INSTALLER") == 1
    assert tree.file_count == 5


def test_couplings_are_read(unpack: Unpack) -> None:
    library = shared_object("$ORIGIN/../../nvidia/cublas/lib:$ORIGIN/../demo.libs")
    files = {"demo/lib/libdemo.so.12": library, "demo.libs/x.so": b"no library", "demo/text.so": b""}
    assert unpack(wheel_bytes(files=files))[0].couplings == ("demo/demo.libs", "nvidia/cublas/lib")


def record_with(algorithm: str) -> str:
    rows = []
    for path, data in wheel_files().items():
        digest = urlsafe_b64encode(hashlib.new(algorithm, data).digest()).rstrip(b"=").decode()
        if not path.endswith("RECORD"):
            rows.append(f"{path},{algorithm}={digest},")
    return "\n".join([*rows, f"{HOME}/RECORD,,\n"])


@pytest.mark.parametrize("algorithm", ["sha384", "sha512", "sha3_256"])
def test_other_digests_in_record(unpack: Unpack, algorithm: str) -> None:
    tree, files = unpack(wheel_bytes(record=record_with(algorithm)))
    assert tree.file_count == 5
    digests = {file.path: file.sha256 for file in files}
    assert digests["lib/demo/__init__.py"] == hashlib.sha256(b"x = 1\n").hexdigest()


def test_a_wrong_digest_of_another_kind(unpack: Unpack) -> None:
    record = record_with("sha512").replace("sha512=", "sha512=AAAA", 1)
    assert "not the digest" in refusal(unpack, wheel_bytes(record=record))


@pytest.mark.parametrize("signature", ["RECORD.jws", "RECORD.p7s"])
@pytest.mark.parametrize("listed", [False, True])
def test_signatures_need_no_digest(unpack: Unpack, signature: str, listed: bool) -> None:
    honest = wheel_files(files={"demo/a": b""})
    record = honest[f"{HOME}/RECORD"].decode() + (f"{HOME}/{signature},,\n" if listed else "")
    tree, _ = unpack(wheel_bytes(files={"demo/a": b"", f"{HOME}/{signature}": b"{}"}, record=record))
    assert tree.file_count == 6


def test_names_are_compared_normalised(unpack: Unpack) -> None:
    tree, _ = unpack(wheel_bytes("Demo_Pkg", "1.0.0", files={"demo/a": b""}), name="demo-pkg", version="1.0")
    assert tree.name == "demo-pkg"
    assert tree.version == "1.0"


def test_a_data_folder_spelled_otherwise_is_still_the_wheels(unpack: Unpack) -> None:
    tree, _ = unpack(
        wheel_bytes(files={"Demo-1.0.data/scripts/run": b"x", "other-1.0.data/scripts/no": b"x"})
    )
    assert tree.scripts == ("run",)
    assert tree.top_level == {HOME: "d", "other-1.0.data": "d"}


def test_folders_without_files_are_left_out(unpack: Unpack, staged: Path) -> None:
    unpack(raw_wheel(RawEntry(name=b"demo/", method=0, mode=0o040755), RawEntry(name=b"empty/", method=0)))
    assert not (staged / "lib/empty").exists()


def with_files(files: Mapping[str, bytes], **options: str) -> bytes:
    return wheel_bytes(files={"demo/__init__.py": b"", **files}, **options)


def changed_record(old: str, new: str) -> bytes:
    honest = wheel_files()[f"{HOME}/RECORD"].decode()
    assert old in honest
    return wheel_bytes(record=honest.replace(old, new, 1))


def without(path: str) -> bytes:
    content = wheel_files()
    del content[path]
    if not path.endswith("RECORD"):
        rows = content[f"{HOME}/RECORD"].decode().splitlines()
        content[f"{HOME}/RECORD"] = "\n".join(row for row in rows if not row.startswith(path)).encode()
    return zip_bytes(content)


def scripts(text: str) -> bytes:
    return with_files({f"{HOME}/entry_points.txt": text.encode()})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (with_files({"/etc/passwd": b""}), ["absolute name", "'/etc/passwd'"]),
        (with_files({"../evil.py": b""}), ["'..'", "'../evil.py'"]),
        (with_files({f"{DATA}/scripts/../../evil": b""}), ["'..'"]),
        (with_files({"C:/evil.py": b""}), ["absolute"]),
        (with_files({"demo\\evil.py": b""}), ["backslash"]),
        (
            with_files({"demo/INIT.py": b"", "demo/init.py": b""}),
            ["overwrite 'demo/INIT.py'", "'demo/init.py'"],
        ),
        (with_files({"Demo/x.py": b""}), ["overwrite 'demo'"]),
        (with_files({"demo": b""}), ["'demo'"]),
        (with_files({"demo/caf\u00e9": b"", "demo/cafe\u0301": b""}), ["overwrite"]),
        (raw_wheel(RawEntry(name=b"demo/__init__.py", data=b"")), ["two entries have one name"]),
        (
            raw_wheel(RawEntry(name=b"demo/link", data=b"/etc", mode=0o120777)),
            ["symbolic link", "'demo/link'"],
        ),
        (raw_wheel(RawEntry(name=b"demo/a\0b", data=b"")), ["NUL"]),
        (raw_wheel(RawEntry(name=b"demo/x", data=b"x")), ["RECORD does not list", "'demo/x'"]),
        (with_files({f"{DATA}/purelib/demo/__init__.py": b""}), ["one name", "lib/demo/__init__.py"]),
        (with_files({f"{DATA}/purelib/Demo/x.py": b""}), ["overwrite"]),
        (with_files({f"{DATA}/bogus/x": b""}), ["no known category", "purelib"]),
        (with_files({f"{DATA}/loose": b""}), ["no known category"]),
        (with_files({f"{DATA}/scripts/sub/run": b""}), ["script is in a folder"]),
        (with_files({"other-2.0.dist-info/METADATA": b""}), ["2 .dist-info folders"]),
        (with_files({"OTHER-2.0.DIST-INFO/METADATA": b""}), ["2 .dist-info folders"]),
        (zip_bytes({"demo/a": b""}), ["0 .dist-info folders"]),
        (zip_bytes({}), ["0 .dist-info folders"]),
        (without(f"{HOME}/METADATA"), ["has no METADATA"]),
        (without(f"{HOME}/WHEEL"), ["has no WHEEL"]),
        (without(f"{HOME}/RECORD"), ["has no RECORD"]),
        (wheel_bytes(wheel_version="2.0"), ["format 2.0"]),
        (wheel_bytes(wheel_version="x"), ["Wheel-Version"]),
        (with_files({f"{HOME}/WHEEL": b"Generator: x\n"}), ["Wheel-Version"]),
        (with_files({f"{HOME}/METADATA": b"Name: other\nVersion: 1.0\n"}), ["METADATA is for other 1.0"]),
        (with_files({f"{HOME}/METADATA": b"Name: demo\nVersion: 1.1\n"}), ["METADATA is for demo 1.1"]),
        (with_files({f"{HOME}/METADATA": b"Summary: x\n\nName: demo\nVersion: 1.0\n"}), ["METADATA is for"]),
        (with_files({f"{HOME}/METADATA": b"Name: demo\nVersion: 1.0\xff\n"}), ["not UTF-8"]),
        (wheel_bytes("other"), ["for other 1.0, not demo 1.0"]),
        (wheel_bytes("demo", "2.0"), ["for demo 2.0, not demo 1.0"]),
        (wheel_bytes("demo", "bogus"), ["for demo bogus"]),
        (
            changed_record(record_hash(b"x = 1\n"), record_hash(b"x = 2\n")),
            ["not the digest", "demo/__init__.py"],
        ),
        (changed_record(record_hash(b"x = 1\n"), ""), ["no digest", "demo/__init__.py"]),
        (changed_record(record_hash(b"x = 1\n"), "md5=AAAA"), ["RECORD is damaged", "md5"]),
        (changed_record(",6\n", ",7\n"), ["length that RECORD says", "demo/__init__.py"]),
        (
            changed_record("demo/__init__.py,", "demo/init.py,"),
            ["lists a file that is not there", "demo/init.py"],
        ),
        (changed_record(f"{HOME}/RECORD,,", "demo/gone.py,,"), ["lists a file that is not there"]),
        (scripts("[console_scripts]\nrun = demo"), ["'run' is not module:attribute"]),
        (scripts("[console_scripts]\nrun = demo:"), ["not module:attribute"]),
        (scripts("[console_scripts]\nrun = demo:main()"), ["not module:attribute"]),
        (scripts("[console_scripts]\nrun = 1demo:main"), ["not module:attribute"]),
        (scripts("[console_scripts]\nrun = demo..cli:main"), ["not module:attribute"]),
        (scripts("[console_scripts]\nrun = demo;import os:x"), ["not module:attribute"]),
        (scripts("[gui_scripts]\n../run = demo:main"), ["no file name", "'../run'"]),
        (scripts("[console_scripts]\n/bin/sh = demo:main"), ["no file name"]),
        (scripts("[console_scripts]\na\\b = demo:main"), ["no file name"]),
        (scripts("[console_scripts]\n.. = demo:main"), ["no file name"]),
        (scripts("run = demo:main"), ["entry points cannot be read"]),
        (scripts("[console_scripts\nrun"), ["entry points cannot be read"]),
    ],
)
def test_refused(unpack: Unpack, content: bytes, words: list[str]) -> None:
    problem = refusal(unpack, content)
    for word in words:
        assert word in problem, problem


@pytest.mark.parametrize(
    "text",
    [
        "[console_scripts]\nrun = demo.cli:main [extra]\n",
        "[console_scripts]\nrun=demo.cli:main\n[other]\nwild = not%(an)s:entry [point\n",
        "# comment\n[console_scripts]\nrun = demo.cli : main\nrun = demo.cli:main\n",
    ],
)
def test_entry_points_that_are_right(unpack: Unpack, text: str) -> None:
    [point] = unpack(scripts(text))[0].entry_points
    assert point == EntryPoint(name="run", module="demo.cli", attribute="main")


def test_scripts_keep_their_case(unpack: Unpack) -> None:
    points = unpack(scripts("[console_scripts]\nRun = demo:main\nrun.x-y = demo:main\n"))[0].entry_points
    assert [point.name for point in points] == ["Run", "run.x-y"]


def test_the_work_can_be_stopped(tmp_path: Path, staged: Path) -> None:
    class StopError(Exception):
        pass

    def check() -> None:
        raise StopError

    archive = tmp_path / "a.whl"
    archive.write_bytes(wheel_bytes())
    with FileSource(archive) as source, pytest.raises(StopError):
        unpack_wheel(
            source,
            staged,
            filename="a.whl",
            archive_sha256="00" * 32,
            name="demo",
            version="1.0",
            check=check,
        )


@pytest.mark.skipif(not Path("/dev/shm").is_dir() or os.getuid() != 0, reason="mounts a small tmpfs")
def test_a_full_disk(tmp_path: Path, staged: Path) -> None:
    import subprocess

    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", staged]).returncode:
        pytest.skip("may not mount")
    try:
        archive = tmp_path / "a.whl"
        archive.write_bytes(wheel_bytes(files={"demo/big": os.urandom(1 << 21)}))
        with FileSource(archive) as source, pytest.raises(StoreError, match="no space left") as caught:
            unpack_wheel(
                source, staged, filename="a.whl", archive_sha256="00" * 32, name="demo", version="1.0"
            )
        assert any(line.startswith("free: ") for line in caught.value.context)
    finally:
        subprocess.run(["umount", staged], check=True)
