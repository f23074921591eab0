"""Guards: work is done once, others wait, and a dead owner is taken over.

A guard is a file that its owner made with ``O_EXCL``, which is atomic also where ``flock`` is missing
or lies (NFS, Lustre, overlays). It holds the owner (host, process, start time) and a token, and the
owner touches it every few seconds. An owner on this host is dead when its process is gone; one on
another host when the guard has not been touched for a minute by the file system's own clock. Below
stands how far the owner has got, for those who wait.

Taking over is done under a guard of its own, named by the dead owner's token: whoever holds that one
replaces the dead guard by rename. So two takers cannot both win, and one that dies on the way is taken
over in the same manner.

A guard saves work, it is not what keeps the store whole: an owner that was stopped for a minute may
find itself taken over, and both then publish the same tree, of which one stays.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from envforge.errors import StoreError
from envforge.events import Reporter, SilentReporter, WaitingFinished, WaitingForOwner
from envforge.store.failures import store_failures
from envforge.store.owner import Owner, is_dead, parse_owner, this_process
from envforge.store.sharing import is_shared, make_folders, share_handle
from envforge.store.uses import file_system_time_s

HEARTBEAT_S = 10.0
STALE_S = 60.0
_UNWRITTEN_S = 5.0
"""How long a guard may be empty: its owner writes it at once, unless it was killed just then."""
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.005, 0.5
_PROGRESS_S = 1.0
_PROGRESS_BYTES = 80


class Hold:
    """A guard that is held. ``progress`` may be set at any time, for those who wait: ``"1.2 of 3.1 GB"``."""

    def __init__(self) -> None:
        self.progress = ""


class _Held(NamedTuple):
    """What a guard's file says: its owner (None while it is being written), how far, its last heartbeat."""

    token: str
    owner: Owner | None
    progress: str
    touched: float


class Guard:
    """A name that one holder at a time can have, among all threads, processes and nodes.

    Args:
        path: the guard's file; its folder is made when needed.
        heartbeat_s: how often the holder touches it.
        stale_s: how long a silent holder on another host is believed.
    """

    def __init__(self, path: Path, *, heartbeat_s: float = HEARTBEAT_S, stale_s: float = STALE_S) -> None:
        self.path = path
        self._heartbeat_s = heartbeat_s
        self._stale_s = stale_s

    @contextmanager
    def hold(self, reporter: Reporter, what: str, check: Callable[[], None] = lambda: None) -> Iterator[Hold]:
        """Hold the guard for the block; waits for its owner as long as that one lives.

        Args:
            reporter: is told whom this process waits for, and how far that one is.
            what: the work, ``"torch 2.15.0"``.
            check: called while waiting; raises to stop.

        Raises:
            StoreError: the guard's file cannot be written.
        """
        with store_failures(self.path, f"guard {what}"):
            token = self._wait(reporter, what, check)
        with self._beating(token) as hold:
            yield hold

    @contextmanager
    def try_hold(self) -> Iterator[Hold | None]:
        """Hold the guard for the block if it is free or its owner is dead; None if it cannot be had."""
        with store_failures(self.path, "take a guard"):
            token = self._take() or ""
        if not token:
            yield None
            return
        with self._beating(token) as hold:
            yield hold

    def _wait(self, reporter: Reporter, what: str, check: Callable[[], None]) -> str:
        """Take the guard as soon as it can be had; returns its token."""
        pause_s, told = _SHORTEST_WAIT_S, ("", "")
        try:
            while True:
                check()
                token = self._take()
                if token:
                    return token
                held = self._read()
                if held and held.owner and (held.token, held.progress) != told:
                    told = (held.token, held.progress)
                    label = held.owner.label
                    reporter.report(WaitingForOwner(what=what, owner=label, progress=held.progress))
                time.sleep(pause_s)
                pause_s = min(pause_s * 1.5, _LONGEST_WAIT_S)
        finally:
            if told[0]:
                reporter.report(WaitingFinished(what=what))

    def _take(self) -> str | None:
        """Take the guard if it is free or its owner is dead; returns the token, else None."""
        token = os.urandom(8).hex()
        if self._create(token):
            return token
        held = self._read()
        if held is None or not self._is_dead(held):
            return None
        with self._takeover(held.token).try_hold() as mine:
            # the file is looked at again: another taker may have been here and gone
            now = self._read() if mine else None
            if now is None or now.token != held.token or not self._is_dead(now):
                return None
            # named by who writes it, because one that is killed before it has written leaves an empty file
            aside = self.path.with_name(f"{this_process()}.{self.path.name}.{token}.new")
            with open(aside, "wb") as file:
                file.write(_content(token))
                share_handle(file.fileno(), self.path.parent)
            aside.replace(self.path)
            return token

    def _create(self, token: str) -> bool:
        """Make the guard's file; False if it is there."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            handle = os.open(self.path, flags, 0o666)
        except FileExistsError:
            return False
        except FileNotFoundError:
            make_folders(self.path.parent)
            return self._create(token)
        try:
            os.write(handle, _content(token))
            share_handle(handle, self.path.parent)
        except OSError:
            self.path.unlink(missing_ok=True)  # an empty guard would hold up the others
            raise
        finally:
            os.close(handle)
        return True

    def _read(self) -> _Held | None:
        """What the file says, None if it is gone. Opened, because NFS serves old times to ``stat``."""
        try:
            with open(self.path, "rb") as file:
                text = file.read().decode(errors="replace")
                touched = os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None
        except PermissionError:
            if not is_shared(self.path.parent):
                raise
            # another member of the group is about to write it and to let us read it
            return self._unwritten()
        first, _, progress = text.partition("\n")
        token, _, owner = first.partition(" ")
        return _Held(token, parse_owner(owner), progress.strip(), touched)

    def _unwritten(self) -> _Held | None:
        try:
            return _Held("", None, "", os.stat(self.path).st_mtime)
        except FileNotFoundError:
            return None

    def _clock(self) -> float:
        """The file system's own time: the clocks of two nodes may be minutes apart."""
        probe = self.path.with_name(f"{this_process()}.{threading.get_ident()}.clock")
        return file_system_time_s(probe)

    def _is_dead(self, held: _Held) -> bool:
        dead = is_dead(held.owner) if held.owner else None
        if dead is not None:
            return dead
        return self._clock() - held.touched > (self._stale_s if held.owner else _UNWRITTEN_S)

    def _takeover(self, token: str) -> Guard:
        """The guard under which this one is taken from a dead owner."""
        path = self.path.with_name(f"{self.path.name}.{token or 'unwritten'}")
        return Guard(path, heartbeat_s=self._heartbeat_s, stale_s=self._stale_s)

    @contextmanager
    def _beating(self, token: str) -> Iterator[Hold]:
        """Touch the file until the block ends, then remove it."""
        done = threading.Event()
        last_beat = [time.time()]
        hold = Hold()

        def beat() -> None:
            written, beaten_s = "", time.monotonic()
            while not done.wait(min(_PROGRESS_S, self._heartbeat_s)):
                progress = hold.progress
                if progress == written and time.monotonic() - beaten_s < self._heartbeat_s:
                    continue
                written, beaten_s = progress, time.monotonic()
                # taken over, or the disk is gone: the work goes on and is published or not
                with suppress(OSError):
                    if self._touch(token, progress):
                        last_beat[0] = time.time()

        thread = threading.Thread(target=beat, name=f"heartbeat {self.path.name}", daemon=True)
        thread.start()
        try:
            yield hold
        finally:
            done.set()
            thread.join()
            # a clock that was set back in the meantime tells nothing, either
            self._release(token, abs(time.time() - last_beat[0]))

    def _touch(self, token: str, progress: str) -> bool:
        """Say that we live, and how far we are; False if the guard is not ours any more.

        What was taken over between the two looks is another file: this one is gone already.
        """
        handle = os.open(self.path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            content = _content(token)
            if os.read(handle, len(content)) != content:
                return False
            os.utime(handle if os.utime in os.supports_fd else self.path)
            if progress:
                os.write(handle, progress.encode()[:_PROGRESS_BYTES].ljust(_PROGRESS_BYTES) + b"\n")
        finally:
            os.close(handle)
        return True

    def _release(self, token: str, silent_s: float) -> None:
        """Remove the file if it is still ours."""
        with suppress(OSError):
            if silent_s < self._stale_s / 2:
                if self._token() == token:
                    self.path.unlink()
                return
            # somebody may think us dead at this moment, so the file is removed as a taker would
            with self._takeover(token).hold(SilentReporter(), "release"):
                if self._token() == token:
                    self.path.unlink()

    def _token(self) -> str:
        return self.path.read_text().partition(" ")[0]


def _content(token: str) -> bytes:
    return f"{token} {this_process()}\n".encode()


def sweep_guards(folder: Path, pattern: str = "*") -> int:
    """Remove the guards of dead owners; returns how many went.

    The living are left alone, and what another user does not let us remove.
    """
    removed = 0
    for place in sorted(folder.glob(pattern)) if folder.is_dir() else ():
        if place.suffix in (".new", ".clock"):
            if _is_abandoned(place):
                with suppress(OSError):
                    place.unlink(missing_ok=True)
        elif place.exists():
            with suppress(StoreError), Guard(place).try_hold() as mine:
                removed += mine is not None
    return removed


def _is_abandoned(place: Path) -> bool:
    """Whether a file beside a guard, there for a moment, was left by a process that was killed just then."""
    with suppress(OSError):
        owner = parse_owner(".".join(place.name.split(".")[:3]))
        dead = is_dead(owner) if owner else None
        return dead if dead is not None else time.time() - place.stat().st_mtime > 24 * 3600
    return False
