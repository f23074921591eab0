"""Conda channels for tests: a real one, tiny ones out of dicts, and a server that can misbehave.

``built_channel()`` is a folder with real packages (``scripts/channel/catalogue.py`` says which); those for
this machine's platform run. It is shared by all tests: never change it, misbehave in the server.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote

import pytest

from envforge.store import elf

from support.loopback import LoopbackServer
from support.scripted_server import Answer, Asked, _react

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_channel.py"
PLATFORMS = ("linux-64", "linux-aarch64", "osx-64", "osx-arm64", "win-64")
_CANNOT = 3  # the script's exit status where the machine lacks something
_KEPT_S = 3600  # what other versions of the script built, and nobody used since
_ARCHIVES = (".conda", ".tar.bz2")


def built_channel() -> Path:
    """The folder of the real channel, built by the first who asks; skips where that is impossible."""
    import fcntl

    home = Path(tempfile.gettempdir(), f"envforge-tests-{os.getuid()}")
    home.mkdir(mode=0o700, exist_ok=True)
    folder = home / f"channel-{_digest()[:16]}"
    with open(home / "channel.guard", "w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # several pytest processes may begin at once
        if not folder.is_dir():
            _build(folder)
        os.utime(folder)
    return folder


def _digest() -> str:
    sources = sorted([SCRIPT, *SCRIPT.parent.glob("channel/*.py"), Path(elf.__file__)])
    return sha256(b"".join([sys.version.encode(), *(path.read_bytes() for path in sources)])).hexdigest()


def _build(folder: Path) -> None:
    for old in folder.parent.glob("channel-*"):
        if time.time() - old.stat().st_mtime > _KEPT_S:
            shutil.rmtree(old)
    aside = Path(tempfile.mkdtemp(dir=folder.parent))
    platforms = [f"--platform={subdir}" for subdir in PLATFORMS]
    command = [sys.executable, str(SCRIPT), str(aside), *platforms]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode == _CANNOT:
            pytest.skip(f"no conda channel can be built here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_channel(
    folder: Path, records: Iterable[Mapping[str, object]], *, subdirs: Iterable[str] = ("linux-64", "noarch")
) -> Path:
    """A channel of records alone, without archives, in ``repodata.json``.

    Args:
        records: each needs ``name`` and ``version``; the rest is filled in (``subdir``: linux-64).
        subdirs: those to write even if no record is in them.
    """
    by_subdir: dict[str, dict[str, object]] = {subdir: {} for subdir in subdirs}
    for record in records:
        row = {"subdir": "linux-64", "build": "0", "build_number": 0, "depends": [], **record}
        filename = f"{row['name']}-{row['version']}-{row['build']}.conda"
        digest = sha256(f"{row['subdir']}/{filename}".encode()).hexdigest()
        row = {"sha256": digest, "md5": digest[:32], "size": 1000, **row}
        by_subdir.setdefault(str(row["subdir"]), {})[filename] = row
    for subdir, rows in by_subdir.items():
        (folder / subdir).mkdir(parents=True, exist_ok=True)
        document = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": rows, "repodata_version": 1}
        (folder / subdir / "repodata.json").write_text(json.dumps(document))
    return folder


class ChannelServer(LoopbackServer):
    """Serves channels on loopback: ``/<name>/<subdir>/<file>``.

    Args:
        channels: name → folder.

    Attributes:
        zst, shards: whether those forms of the repodata are there.
        etags: whether ETag is sent and If-None-Match honoured.
        cache_control: header of the repodata, ``""`` for none.
        password: ``user:password`` that basic authentication asks for.
        bearer: token that ``Authorization: Bearer`` has to bring.
        token: the channels are below ``/t/<token>/`` only; elsewhere there is a 401.
        delay_s: wait before each answer.
        asked: each request in order, its path without the query.
    """

    def __init__(self, **channels: Path) -> None:
        super().__init__()
        self.channels = channels
        self.zst = self.shards = self.etags = True
        self.cache_control = self.password = self.bearer = self.token = ""
        self.delay_s = 0.0
        self.asked: list[Asked] = []
        self._faults: dict[str, Callable[[Answer], Answer]] = {}
        self._lock = threading.Lock()

    @property
    def root(self) -> str:
        """``http://127.0.0.1:<port>``, with the token where one is needed."""
        return self.origin + (f"/t/{self.token}" if self.token else "")

    @property
    def url(self) -> str:
        """Of the first channel."""
        return self.url_of(next(iter(self.channels)))

    def url_of(self, name: str) -> str:
        return f"{self.root}/{name}"

    def on(self, pattern: str, *answers: Answer | bytes) -> None:
        """Answer paths that match (``*/repodata*``, ``*/greet-1*``) with these in turn; the last stays."""
        queue = [answer if isinstance(answer, Answer) else Answer(body=answer) for answer in answers]
        self._faults[pattern] = lambda _: queue.pop(0) if len(queue) > 1 else queue[0]

    def corrupt(self, pattern: str) -> None:
        """Send matching files with a byte in the middle changed; the length is right."""
        self._faults[pattern] = lambda answer: replace(answer, body=_flipped(answer.body))

    def truncate(self, pattern: str, size_bytes: int) -> None:
        """Break the connection after some bytes of matching files, each time."""
        self._faults[pattern] = lambda answer: replace(answer, cut_after=size_bytes)

    def heal(self) -> None:
        """Forget what ``on``, ``corrupt`` and ``truncate`` said."""
        self._faults.clear()

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [asked.path for asked in self.asked]

    def downloads(self) -> list[str]:
        """File names of the archives that were asked for, sorted."""
        return sorted(path.rpartition("/")[2] for path in self.paths() if path.endswith(_ARCHIVES))

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        path = unquote(handler.path.partition("?")[0])
        with self._lock:
            self.asked.append(Asked(path, headers))
            answer = self._answer(path, headers)
        if self.delay_s or answer.wait_s:
            time.sleep(self.delay_s + answer.wait_s)
        if answer.before:
            answer.before()
        status, body, more = _react(answer, headers)
        handler.send_response(status)
        for name, value in {**answer.headers, **more, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body[: answer.cut_after])
        if answer.cut_after is not None:
            handler.wfile.flush()
            handler.close_connection = True

    def _answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        if self.token:
            if not path.startswith(f"/t/{self.token}/"):
                return Answer(status=401)
            path = path.removeprefix(f"/t/{self.token}")
        if self.bearer and headers.get("authorization") != f"Bearer {self.bearer}":
            return Answer(status=401, headers={"WWW-Authenticate": "Bearer"})
        answer = self._file(path)
        for pattern, fault in self._faults.items():
            if fnmatchcase(path, pattern):
                answer = fault(answer)
        return replace(answer, password=answer.password or self.password)

    def _file(self, path: str) -> Answer:
        """What an honest server answers."""
        _, name, *parts = path.split("/")
        hidden = (not self.zst and path.endswith(".json.zst")) or (not self.shards and ".msgpack." in path)
        file = self.channels.get(name, Path("nowhere")).joinpath(*parts)
        if hidden or ".." in parts or not file.is_file():
            return Answer(status=404)
        body = file.read_bytes()
        headers = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        if self.cache_control and not path.endswith(_ARCHIVES):
            headers["Cache-Control"] = self.cache_control
        etag = f'"{sha256(body).hexdigest()[:16]}"' if self.etags else ""
        return Answer(body=body, headers=headers, etag=etag)


def _flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 0xFF]) + body[middle + 1 :]
