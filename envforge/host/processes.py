"""Which processes of this host use what: their command lines, environments, mapped files, current folders.

Read from ``/proc``; where there is none, nothing is found. Of other users' processes the command line is
all that can be read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from envforge.struct import Struct

_TRACES = ("cmdline", "environ", "maps")
_WORD = re.compile(rb"[a-z0-9]{16,}")
"""What the digests that name trees, bundles, prefixes and generations look like."""


class Process(Struct, frozen=True):
    """A running process of this host.

    Args:
        pid: its id.
        command: its command line, words separated by blanks.
    """

    pid: int
    command: str


class Trace(Struct, frozen=True):
    """What a process tells of the files that it uses.

    Args:
        process: which.
        digests: words in it that may name something in a store.
        text: its command line, environment and current folder.
    """

    process: Process
    digests: frozenset[str]
    text: bytes


def read_traces() -> Iterator[Trace]:
    """All processes that can be looked at, this one left out."""
    if not Path("/proc/self").exists():
        return
    for place in Path("/proc").iterdir():
        if place.name.isdecimal() and int(place.name) != os.getpid():
            trace = _read_trace(place)
            if trace is not None:
                yield trace


def find_users(wanted: Collection[str], traces: Collection[Trace]) -> dict[str, list[Process]]:
    """Digest → the processes that name it, for those of ``wanted`` that are named at all."""
    users: dict[str, list[Process]] = {}
    names = frozenset(wanted)
    for trace in traces:
        for digest in trace.digests & names:
            users.setdefault(digest, []).append(trace.process)
    return users


def _read_trace(place: Path) -> Trace | None:
    texts = {name: _read(place / name) for name in _TRACES}
    if not texts["cmdline"]:
        return None  # a thread of the kernel, or gone
    with suppress(OSError):
        texts["cwd"] = os.fsencode((place / "cwd").readlink())
    words = {word.decode() for text in texts.values() for word in _WORD.findall(text)}
    command = os.fsdecode(texts["cmdline"].rstrip(b"\0").replace(b"\0", b" "))
    del texts["maps"]  # megabytes, of which only the words are asked for
    return Trace(
        process=Process(int(place.name), command),
        digests=frozenset(words),
        text=b"\n".join(texts.values()),
    )


def _read(place: Path) -> bytes:
    try:
        return place.read_bytes()
    except OSError:
        return b""
