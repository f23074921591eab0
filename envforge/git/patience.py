"""Asks a server again where what went wrong may pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from envforge.git.cache import GitCache
from envforge.git.failures import may_pass
from envforge.git.process import GitFailure, run_remote
from envforge.model.git import GitRemote

_MOST_RETRIES = 2
_PAUSE_S = 0.5


def ask_patiently(
    arguments: Sequence[str | Path],
    remote: GitRemote,
    cache: GitCache,
    folder: Path,
    *,
    timeouts: int,
    hear: Callable[[str], None] | None = None,
) -> bytes:
    """Run a command that talks to a server; see :func:`.process.run_remote`.

    Args:
        arguments, remote, folder, hear: as there.
        cache: whose network is used.
        timeouts: how many of the network's timeouts the server may be silent for.

    Raises:
        GitFailure: it failed, for good or too often.
        HostError: there is no git.
    """
    for left in reversed(range(1 + min(cache.network.retries, _MOST_RETRIES))):
        try:
            return run_remote(
                arguments,
                remote,
                cache.environ,
                folder=folder,
                silence_s=timeouts * cache.network.timeout_s,
                hear=hear,
            )
        except GitFailure as failure:
            if not left or not may_pass(failure):
                raise
        time.sleep(_PAUSE_S)
    raise AssertionError("there is at least one attempt")
