"""How the network may be used in one run. A value: where it comes from is the command line's business."""

from __future__ import annotations

from envforge.struct import Struct


class NetworkSettings(Struct, frozen=True, kw_only=True):
    """Limits and wishes for every request of a run.

    Args:
        offline: nothing may be sent; what is cached is used, however old it is.
        refresh: cached answers are asked for again (revalidated), however fresh they are.
        timeout_s: longest wait for a connection, and for each piece of an answer.
        retries: how often a request is sent again after a failure that may pass.
        connections: most requests at one time.
    """

    offline: bool = False
    refresh: bool = False
    timeout_s: float = 30.0
    retries: int = 4
    connections: int = 16
