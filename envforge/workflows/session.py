"""What every workflow is given: where the project is, which places and network it may use, who listens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from envforge.events import Reporter
from envforge.host.paths import Places
from envforge.net.settings import NetworkSettings
from envforge.struct import Struct


class Session(Struct, frozen=True, kw_only=True):
    """The surroundings of one command.

    Args:
        root: the project's folder, absolute.
        places: cache, tier and archives.
        network: offline, refresh, retries.
        environ: the process environment as it was at start.
        now_s: seconds since the epoch at start.
        reporter: who listens.
    """

    root: Path
    places: Places
    network: NetworkSettings
    environ: Mapping[str, str]
    now_s: float
    reporter: Reporter
