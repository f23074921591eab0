from __future__ import annotations

import hashlib
import io
import os
import platform
import sys
import sysconfig
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from envforge.errors import (
    ArchiveError,
    HashError,
    InterpreterError,
    NetworkError,
    OfflineError,
    StoreError,
)
from envforge.events import DownloadFinished, DownloadProgressed, DownloadStarted, Event
from envforge.host import standalone
from envforge.host.facts import host_platform
from envforge.host.interpreters import choose_interpreter
from envforge.host.standalone import StandaloneBuild, find_standalone, install_standalone

pytest.importorskip("pbs_installer", reason="the extra standalone-python is not installed")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="makes its archive out of a Linux Python")

NAME = "cpython-install_only.tar.gz"
# Not needed to start, and most of the standard library's size.
LEFT_OUT = {
    "test",
    "site-packages",
    "dist-packages",
    "idlelib",
    "tkinter",
    "ensurepip",
    "__pycache__",
    "lib2to3",
}


class Server:
    """A loopback server: ``answers`` are used up first, then every request gets ``content``."""

    def __init__(self) -> None:
        self.content = b""
        self.answers: list[Callable[[BaseHTTPRequestHandler], None]] = []
        self.requests: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                (server.answers.pop(0) if server.answers else server.send_content)(self)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def send_content(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(self.content)))
        handler.end_headers()
        handler.wfile.write(self.content)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def fail_with(status: int) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: handler.send_error(status)


def cut_short(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"only this")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(standalone, "_BACKOFF_S", 0.0)
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def real_archive() -> bytes:
    """This Python itself, laid out like a standalone build."""
    base = Path(sys.base_prefix)
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    standard_library = Path(
        sysconfig.get_path("stdlib", vars={"base": str(base), "installed_base": str(base)})
    )
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as archive:
        program = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
        archive.add(program, f"python/bin/python{minor}")
        link = tarfile.TarInfo("python/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, f"python{minor}"
        archive.addfile(link)
        for library in (base / "lib").glob("libpython*.so*"):
            archive.add(library, f"python/lib/{library.name}")
        for entry in standard_library.iterdir():
            if entry.name not in LEFT_OUT and not entry.name.startswith("config-"):
                archive.add(
                    entry,
                    f"python/lib/python{minor}/{entry.name}",
                    filter=lambda member: None if "__pycache__" in member.name else member,
                )
    return packed.getvalue()


def archive_of(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"python/{name}")
            member.size, member.mode = len(text.encode()), 0o755
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def offer(server: Server, content: bytes, version: str = platform.python_version()) -> StandaloneBuild:
    server.content = content
    return StandaloneBuild(
        version=version,
        platform=host_platform(),
        url=f"{server.url}/{NAME}",
        sha256=hashlib.sha256(content).hexdigest(),
    )


class Listener:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def report(self, event: Event) -> None:
        self.events.append(event)


def test_a_real_interpreter_is_installed_and_found(
    tmp_path: Path, server: Server, real_archive: bytes, cache_file: Path, bare_environ: dict[str, str]
) -> None:
    build = offer(server, real_archive)
    pythons = tmp_path / "pythons"
    listener = Listener()
    python = install_standalone(build, pythons, cache_file=cache_file, reporter=listener)
    folder = pythons / f"{build.version}-{build.platform}"
    assert Path(python.executable).is_relative_to(folder)
    assert python.version == build.version
    assert python.base_prefix == str(folder)
    assert os.listdir(pythons) == [folder.name]
    assert listener.events[0] == DownloadStarted(filename=NAME, size_bytes=len(real_archive))
    assert listener.events[-1] == DownloadFinished(filename=NAME)
    received = [event.received_bytes for event in listener.events if isinstance(event, DownloadProgressed)]
    assert sum(received) == len(real_archive)
    # It is there now: no second download, and the search finds it.
    assert install_standalone(build, pythons, cache_file=cache_file, offline=True) == python
    assert server.requests == [f"/{NAME}"]
    environ = {**bare_environ, "ENVFORGE_PYTHON": python.executable}
    chosen = choose_interpreter(
        build.version, "", build.platform, cache_file=cache_file, environ=environ, pythons=str(pythons)
    )
    assert chosen == python


def test_two_at_once_both_get_it(tmp_path: Path, server: Server, real_archive: bytes) -> None:
    build = offer(server, real_archive)
    results: list[object] = []

    def install(number: int) -> None:
        try:
            results.append(
                install_standalone(build, tmp_path / "pythons", cache_file=tmp_path / str(number)).executable
            )
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=install, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == results[1]
    assert os.listdir(tmp_path / "pythons") == [build.folder_name]


def test_offline_nothing_is_downloaded(tmp_path: Path, server: Server, cache_file: Path) -> None:
    build = offer(server, b"")
    with pytest.raises(OfflineError, match="would have to be downloaded") as caught:
        install_standalone(build, tmp_path / "pythons", cache_file=cache_file, offline=True)
    assert caught.value.context == (build.url,)
    assert not server.requests
    assert not (tmp_path / "pythons").exists()


@pytest.mark.parametrize("answer", [fail_with(500), fail_with(503), fail_with(429), cut_short])
def test_a_passing_failure_is_tried_again(
    tmp_path: Path, server: Server, cache_file: Path, answer: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    build = offer(server, archive_of({"bin/python3": "#!/bin/sh\nexit 1\n"}))
    server.answers = [answer, answer]
    with pytest.raises(InterpreterError, match="does not work here"):  # it got as far as starting it
        install_standalone(build, tmp_path / "pythons", cache_file=cache_file)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("answer", "times", "said"),
    [(fail_with(404), 1, "404"), (fail_with(500), 3, "500"), (cut_short, 3, "closed")],
)
def test_a_lasting_failure_is_a_network_error(
    tmp_path: Path,
    server: Server,
    cache_file: Path,
    answer: Callable[[BaseHTTPRequestHandler], None],
    times: int,
    said: str,
) -> None:
    build = offer(server, b"x")
    server.answers = [answer] * 3
    with pytest.raises(NetworkError, match="cannot be downloaded") as caught:
        install_standalone(build, tmp_path / "pythons", cache_file=cache_file)
    assert len(server.requests) == times
    assert caught.value.context[0] == build.url
    assert said in caught.value.context[1]
    assert os.listdir(tmp_path / "pythons") == []


def test_a_server_that_is_not_there(tmp_path: Path, server: Server, cache_file: Path) -> None:
    build = StandaloneBuild(
        version="3.12.4", platform=host_platform(), url="http://127.0.0.1:1/x.tar.gz", sha256="0" * 64
    )
    with pytest.raises(NetworkError) as caught:
        install_standalone(build, tmp_path / "pythons", cache_file=cache_file)
    assert caught.value.hints


def test_another_file_than_announced_is_refused(tmp_path: Path, server: Server, cache_file: Path) -> None:
    build = offer(server, b"announced")
    server.content = b"something else"
    with pytest.raises(HashError) as caught:
        install_standalone(build, tmp_path / "pythons", cache_file=cache_file)
    assert build.sha256 in caught.value.context[1]
    assert hashlib.sha256(b"something else").hexdigest() in caught.value.context[2]
    assert os.listdir(tmp_path / "pythons") == []


@pytest.mark.parametrize("content", [b"no archive", b"\x1f\x8b" + bytes(50), b""])
def test_a_damaged_archive_is_refused(
    tmp_path: Path, server: Server, cache_file: Path, content: bytes
) -> None:
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        install_standalone(offer(server, content), tmp_path / "pythons", cache_file=cache_file)
    assert os.listdir(tmp_path / "pythons") == []


def test_a_cut_archive_is_refused(tmp_path: Path, server: Server, cache_file: Path) -> None:
    whole = archive_of({"bin/python3": "#!/bin/sh\n" + "".join(f"# {number}\n" for number in range(9999))})
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        install_standalone(
            offer(server, whole[: len(whole) // 2]), tmp_path / "pythons", cache_file=cache_file
        )


def test_a_build_of_another_version_is_refused(
    tmp_path: Path, server: Server, real_archive: bytes, cache_file: Path
) -> None:
    build = offer(server, real_archive, version="3.12.99")
    with pytest.raises(InterpreterError, match=r"3\.12\.99 does not work here") as caught:
        install_standalone(build, tmp_path / "pythons", cache_file=cache_file)
    assert platform.python_version() in caught.value.context[1]
    assert os.listdir(tmp_path / "pythons") == []


def test_a_build_that_does_not_start_is_refused(tmp_path: Path, server: Server, cache_file: Path) -> None:
    build = offer(server, archive_of({"bin/python3": "#!/bin/sh\necho no such library\nexit 127\n"}))
    with pytest.raises(InterpreterError) as caught:
        install_standalone(build, tmp_path / "pythons", cache_file=cache_file)
    assert "no such library" in caught.value.context[1]
    build = offer(server, archive_of({"share/readme": "no program at all"}))
    with pytest.raises(InterpreterError):
        install_standalone(build, tmp_path / "pythons", cache_file=cache_file)


def test_a_damaged_installation_is_replaced(
    tmp_path: Path, server: Server, real_archive: bytes, cache_file: Path
) -> None:
    build = offer(server, real_archive)
    damaged = tmp_path / "pythons" / build.folder_name / "lib"
    damaged.mkdir(parents=True)
    python = install_standalone(build, tmp_path / "pythons", cache_file=cache_file)
    assert Path(python.executable).exists()


def test_what_killed_installations_left_is_removed_after_a_day(
    tmp_path: Path, server: Server, cache_file: Path
) -> None:
    old, recent = tmp_path / "pythons" / ".old", tmp_path / "pythons" / ".recent"
    for left in (old, recent):
        (left / "sub").mkdir(parents=True)
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    with pytest.raises(ArchiveError):
        install_standalone(offer(server, b"x"), tmp_path / "pythons", cache_file=cache_file)
    assert os.listdir(tmp_path / "pythons") == [".recent"]


def test_a_place_that_cannot_be_written(tmp_path: Path, server: Server, cache_file: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        install_standalone(offer(server, b"x"), tmp_path / "file" / "pythons", cache_file=cache_file)
    assert "ENVFORGE_DATA_DIR" in caught.value.hints[0]
    assert not server.requests


@pytest.mark.parametrize(
    ("subdir", "part"),
    [
        ("linux-64", "x86_64-unknown-linux-gnu"),
        ("linux-aarch64", "aarch64-unknown-linux-gnu"),
        ("osx-64", "x86_64-apple-darwin"),
        ("osx-arm64", "aarch64-apple-darwin"),
        ("win-64", "x86_64-pc-windows-msvc"),
    ],
)
def test_the_build_of_a_platform(subdir: str, part: str) -> None:
    build = find_standalone("3.12", ">=3.11", subdir)
    assert build.version.startswith("3.12.")
    assert part in build.url
    assert "install_only" in build.url
    assert len(build.sha256) == 64
    assert build.folder_name == f"{build.version}-{subdir}"


def test_the_newest_build_that_fits() -> None:
    newest = find_standalone("3.12", "", "linux-64")
    assert find_standalone("3.12.4", "", "linux-64").version == "3.12.4"
    assert find_standalone("3.12", "<3.12.5", "linux-64").version == "3.12.4"
    assert int(newest.version.split(".")[2]) > 4
    assert find_standalone("", "<3.12", "linux-64").version.startswith("3.11.")


@pytest.mark.parametrize(
    ("wanted", "requires_python", "subdir"),
    [
        ("3.99", "", "linux-64"),
        ("3.12", ">=3.13", "linux-64"),
        ("3.12.999", "", "linux-64"),
        ("3.12", "", "linux-ppc64le"),
        ("3.x", "", "linux-64"),
    ],
)
def test_where_no_build_fits(wanted: str, requires_python: str, subdir: str) -> None:
    with pytest.raises(InterpreterError) as caught:
        find_standalone(wanted, requires_python, subdir)
    assert caught.value.hints


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standalone, "is_available", lambda: False)
    with pytest.raises(InterpreterError) as caught:
        find_standalone("3.12", "", "linux-64")
    assert "standalone-python" in caught.value.hints[0]
