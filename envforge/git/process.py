"""Runs the system's ``git``: nothing asks, and nothing of a repository is executed.

What talks to a server does so with the user's configuration (credential helpers, ``insteadOf``, proxies).
What works on files does so without any: a checkout is the same for everybody, and no filter or hook runs.
Passwords of the manifest reach git through its environment, as a credential helper of one server.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING

from envforge.errors import HostError
from envforge.host.exit_status import describe_end
from envforge.host.process_group import end_group
from envforge.model.git import SCHEMES, GitRemote

if TYPE_CHECKING:
    import subprocess

_KEPT = re.compile(
    r"GIT_(ASKPASS|SSH|SSH_COMMAND|SSH_VARIANT|EXEC_PATH|PROXY_COMMAND|CURL_\w+|SSL_\w+|HTTP_\w+"
    r"|CONFIG_(GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_\d+|VALUE_\d+)|LFS_\w+)"
)
"""What of git's variables the user means for every repository; the others tell of one where a hook runs."""
_SETTINGS = {
    "safe.bareRepository": "all",
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "advice.detachedHead": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.version": "2",
    "fetch.unpackLimit": "1",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
}
_PLAIN_SETTINGS = {
    "safe.bareRepository": "all",
    "core.attributesFile": os.devnull,
    "core.autocrlf": "false",
    "core.eol": "lf",
}
_HELPER = (
    '!f() { test "$1" = get && echo "username=$ENVFORGE_GIT_USERNAME" '
    '&& echo "password=$ENVFORGE_GIT_PASSWORD"; }; f'
)
_TAIL_BYTES = 16 * 1024
_STEP_S = 0.5
_LAST_WORDS_S = 0.5


class GitFailure(Exception):  # noqa: N818 - it says what git said, and becomes an error elsewhere
    """A command of git ended with a failure; ``text`` is what it said."""

    def __init__(self, text: str, *, timed_out: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.timed_out = timed_out


def run_local(arguments: Sequence[str | Path], environ: Mapping[str, str], *, folder: Path) -> bytes:
    """Run a command that needs no server; returns what it printed.

    Args:
        arguments: after ``git``.
        environ: of this process.
        folder: a repository, or a working tree with one.

    Raises:
        GitFailure: it failed.
        HostError: there is no git.
    """
    variables = {
        **{name: value for name, value in environ.items() if not name.startswith("GIT_")},
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_ALLOW_PROTOCOL": "file",
    }
    variables |= _found_nowhere_else(folder)
    command = ["git", *_options({**_SETTINGS, **_PLAIN_SETTINGS}), *map(str, arguments)]
    return _run(command, _spoken(variables), folder, None, None)


def run_remote(
    arguments: Sequence[str | Path],
    remote: GitRemote,
    environ: Mapping[str, str],
    *,
    folder: Path,
    silence_s: float,
    hear: Callable[[str], None] | None = None,
) -> bytes:
    """Run a command that talks to a server; returns what it printed.

    Args:
        arguments: after ``git``.
        remote: whom it talks to; its credentials are offered to that server only.
        environ: of this process.
        folder: a repository, or any folder.
        silence_s: after so long without a word it is ended.
        hear: is given what it says of its progress.

    Raises:
        GitFailure: it failed, or said nothing for too long.
        HostError: there is no git.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if (not name.startswith("GIT_") and name != "SSH_ASKPASS") or _KEPT.fullmatch(name)
    }
    speed = {"http.lowSpeedLimit": "1", "http.lowSpeedTime": str(max(1, round(silence_s)))}
    variables = {
        **kept,
        "GIT_TERMINAL_PROMPT": "0",
        "GCM_INTERACTIVE": "never",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_ALLOW_PROTOCOL": ":".join(SCHEMES),
        **_found_nowhere_else(folder),
        **_credentials(remote, kept),
    }
    command = ["git", *_options({**_SETTINGS, **speed}), *map(str, arguments)]
    return _run(command, _spoken(variables), folder, silence_s, hear)


def _options(settings: Mapping[str, str]) -> Iterator[str]:
    for key, value in settings.items():
        yield from ("-c", f"{key}={value}")


def _found_nowhere_else(folder: Path) -> dict[str, str]:
    """The cache may be in the folder of some project, whose repository and settings are not meant."""
    return {"GIT_CEILING_DIRECTORIES": str(folder.parent)}


def _spoken(variables: dict[str, str]) -> dict[str, str]:
    """Messages are read, so they have to be in one language."""
    return {**variables, "LC_ALL": "C", "LANGUAGE": "C"}


def _credentials(remote: GitRemote, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables by which git knows a remote's user, and password if there is one."""
    if not remote.username and not remote.password:
        return {}
    place = f"credential.{remote.scheme}://{remote.host}"
    if remote.password:
        settings = [(f"{place}.helper", ""), (f"{place}.helper", _HELPER)]
    else:
        settings = [(f"{place}.username", remote.username)]
    count = environ.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdecimal() else 0
    variables = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (key, value) in enumerate(settings, first):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {
        **variables,
        "ENVFORGE_GIT_USERNAME": remote.username,
        "ENVFORGE_GIT_PASSWORD": remote.password,
    }


def _run(
    command: Sequence[str],
    variables: Mapping[str, str],
    folder: Path,
    silence_s: float | None,
    hear: Callable[[str], None] | None,
) -> bytes:
    process = _start(command, variables, folder)
    assert process.stdout is not None
    assert process.stderr is not None
    output, words = _Listener(process.stdout), _Listener(process.stderr, hear, _TAIL_BYTES)
    try:
        status = _wait(process, words, silence_s)
    except BaseException as error:  # Ctrl-C too: the terminal sends it to our group, not to this one
        end_group(process)
        if isinstance(error, TimeoutError):
            text = f"it said nothing for {silence_s:g} s\n{words.text()}"
            raise GitFailure(text, timed_out=True) from None
        raise
    # what a connection that ssh keeps open still holds is not waited for
    output.join(None if status == 0 else _LAST_WORDS_S)
    words.join(_LAST_WORDS_S)
    if status:
        raise GitFailure(words.text() or f"it {describe_end(status)}")
    return output.content()


def _start(command: Sequence[str], variables: Mapping[str, str], folder: Path) -> subprocess.Popen[bytes]:
    import shutil
    import subprocess

    program = shutil.which(command[0], path=variables.get("PATH"))
    if program is None:
        raise HostError(
            "git is not installed, or not on PATH",
            hints=["install git (apt install git, conda install git, https://git-scm.com)"],
        )
    # without a terminal of its own nothing that git starts can ask for a password, either
    return subprocess.Popen(
        [program, *command[1:]],
        cwd=folder,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _wait(process: subprocess.Popen[bytes], words: _Listener, silence_s: float | None) -> int:
    import subprocess

    while True:
        try:
            return process.wait(_STEP_S)
        except subprocess.TimeoutExpired:
            if silence_s is not None and time.monotonic() - words.heard_s > silence_s:
                raise TimeoutError from None


class _Listener(Thread):
    """Reads a stream to its end; keeps all of it, or only its last bytes."""

    def __init__(
        self, stream: IO[bytes], hear: Callable[[str], None] | None = None, keep_bytes: int = 0
    ) -> None:
        super().__init__(name="git output", daemon=True)
        self._stream = stream
        self._hear = hear
        self._keep_bytes = keep_bytes
        self._content = bytearray()
        self.heard_s = time.monotonic()
        self.start()

    def run(self) -> None:
        with self._stream:
            while piece := os.read(self._stream.fileno(), 65536):
                self.heard_s = time.monotonic()
                self._content += piece
                if self._keep_bytes:
                    del self._content[: -self._keep_bytes]
                if self._hear is not None:
                    lines = re.split(r"[\r\n]+", piece.decode("utf-8", "replace").strip())
                    self._hear(lines[-1])

    def content(self) -> bytes:
        return bytes(self._content)

    def text(self) -> str:
        """What was said, without what only was progress."""
        lines = self.content().decode("utf-8", "replace").splitlines()
        return "\n".join(line.strip() for line in lines if line.strip() and "% (" not in line)
