"""Repositories of git made by tests, and servers for them on loopback: git's own daemon, and smart HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support.distributions import BUILD_SYSTEM, backend, project_tables

_ENVIRON = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Anne",
    "GIT_AUTHOR_EMAIL": "anne@example.org",
    "GIT_COMMITTER_NAME": "Anne",
    "GIT_COMMITTER_EMAIL": "anne@example.org",
}


def git(folder: Path, *words: str) -> str:
    """What a command of git prints, which has to succeed."""
    finished = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *words],
        cwd=folder,
        env=_ENVIRON,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode == 0, f"git {' '.join(words)}: {finished.stderr}"
    return finished.stdout.strip()


class GitRepository:
    """A repository with a working tree; its branch is ``main``.

    Args:
        folder: is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "--initial-branch=main")

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    @property
    def head(self) -> str:
        return git(self.folder, "rev-parse", "HEAD")

    def commit(self, files: Mapping[str, str | bytes], message: str = "change") -> str:
        """Write files and commit them with everything else; the commit."""
        for name, content in files.items():
            place = self.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode() if isinstance(content, str) else content)
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--no-verify", "-m", message)
        return self.head

    def package(self, name: str = "lib", version: str = "1.0", **more: str | bytes) -> str:
        """Commit a project without dynamic metadata, whose module has its version."""
        return self.commit({**package_files(name, version), **more}, f"{name} {version}")

    def tag(self, name: str, *, annotated: bool = False) -> None:
        git(self.folder, "tag", *(["-a", "-m", name] if annotated else []), name)

    def branch(self, name: str) -> None:
        git(self.folder, "checkout", "--quiet", "-B", name)

    def forget(self, commit: str) -> None:
        """Lose a commit that no reference reaches."""
        git(self.folder, "reflog", "expire", "--expire=now", "--all")
        git(self.folder, "gc", "--quiet", "--prune=now")
        with suppress(AssertionError):
            git(self.folder, "cat-file", "-e", commit)
            raise ValueError(f"{commit} is still there")

    def add_large(self, name: str, content: bytes) -> str:
        """Commit a file by git-lfs, as its specification says: a pointer, and the file among the objects."""
        digest = sha256(content).hexdigest()
        place = self.folder / ".git" / "lfs" / "objects" / digest[:2] / digest[2:4] / digest
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"
        return self.commit({".gitattributes": f"{name} filter=lfs diff=lfs merge=lfs -text\n", name: pointer})


def package_files(
    name: str, version: str, requires: Sequence[str] = (), folder: str = ""
) -> dict[str, str | bytes]:
    """A project with static metadata, built by a backend that lies in it, whose module has its version."""
    return {
        f"{folder}pyproject.toml": project_tables(name, version, requires) + BUILD_SYSTEM,
        f"{folder}_backend/backend.py": backend(name, version, requires),
        f"{folder}{name.replace('-', '_')}/__init__.py": f"version = {version!r}\n",
    }


@contextmanager
def git_daemon(folder: Path) -> Iterator[str]:
    """Serve all repositories of a folder by git's own daemon; gives the URL of the folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["git", "daemon", "--reuseaddr", "--export-all", "--listen=127.0.0.1", f"--port={port}"]
    process = subprocess.Popen(
        [*command, f"--base-path={folder}", str(folder)],
        env=_ENVIRON,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(port, process)
        yield f"git://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert process.poll() is None, "git daemon has ended"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError("git daemon does not listen")


class GitHttpServer:
    """Serves the repositories of a folder by ``git http-backend``.

    Args:
        folder: of the repositories.
        user, password: that are asked for, ``""`` for none.

    Attributes:
        failing: so many requests are answered with 503 first.
        requests: how often each path was asked for, with its service.
        authorizations: what came, whether right or not.
    """

    def __init__(self, folder: Path, user: str = "", password: str = "") -> None:
        self.failing = 0
        self.requests: Counter[str] = Counter()
        self.authorizations: list[str] = []
        expected = f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}" if user else ""
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._serve()

            def do_POST(self) -> None:
                self._serve()

            def log_message(self, *_: object) -> None:
                pass

            def _serve(self) -> None:
                path, _, query = self.path.partition("?")
                owner.requests[path] += 1
                owner.authorizations.append(self.headers.get("Authorization", ""))
                body = self._body()
                if owner.failing:
                    owner.failing -= 1
                    self.send_error(503)
                    return
                if expected and self.headers.get("Authorization") != expected:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="git"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                environ = {
                    **_ENVIRON,
                    "GIT_PROJECT_ROOT": str(folder),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                }
                answer = subprocess.run(
                    ["git", "http-backend"], env=environ, input=body, capture_output=True, timeout=60
                ).stdout
                head, _, content = answer.partition(b"\r\n\r\n")
                fields = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
                self.send_response(int(fields.pop("Status", "200").split()[0]))
                for name, value in fields.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    parts = []
                    while size := int(self.rfile.readline().strip() or b"0", 16):
                        parts.append(self.rfile.read(size))
                        self.rfile.readline()
                    return b"".join(parts)
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> GitHttpServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
