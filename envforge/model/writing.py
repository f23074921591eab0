"""How the files of a tree are written. A value: which way is fastest where is measured by a tier's probe."""

from __future__ import annotations

from envforge.struct import Struct


class WriteStrategy(Struct, frozen=True, kw_only=True):
    """How to write to one tier.

    Args:
        direct_from_bytes: files of at least this length go past the page cache (O_DIRECT), where the file
            system can do that; None: no file does.
        workers: how many archives are unpacked at one time; 0: as many as there are connections.
    """

    direct_from_bytes: int | None = None
    workers: int = 0


BUFFERED = WriteStrategy()
"""What works everywhere."""
