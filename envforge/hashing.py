"""SHA-256 of what is small, without loading OpenSSL for it (3 ms at every start), as :mod:`random` has it.

For what is large, :mod:`hashlib` is seven times as fast.
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

__all__ = ["sha256"]
