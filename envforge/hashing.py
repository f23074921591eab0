"""Digests of what is small, and names made of them, without what a start can do without.

SHA-256 without loading OpenSSL for it (3 ms at every start), as :mod:`random` has it; for what is large,
:mod:`hashlib` is seven times as fast. Base 32 (RFC 4648) without :mod:`base64`.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        if sys.version_info >= (3, 12):
            from _sha2 import sha256
        else:
            from _sha256 import sha256
    except ImportError:  # an interpreter that was built without
        from hashlib import sha256

__all__ = ["base32", "sha256"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def base32(data: bytes, letters: int) -> str:
    """The first letters of data in base 32, in lower case.

    Args:
        data: at least five bits for each letter.
        letters: how many.
    """
    number, bits = int.from_bytes(data), 8 * len(data)
    return "".join(_LETTERS[number >> (bits - 5 * count) & 31] for count in range(1, letters + 1))
