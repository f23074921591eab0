"""The base of all values: :class:`msgspec.Struct`, with ``field``, ``replace`` and ``to_builtins``.

A Struct is what a slotted, frozen dataclass is to its user. Making the class takes 0.01 ms instead of 0.6 ms,
and there are eighty of them at the start of ``sync``.
"""

from __future__ import annotations

import sys

# msgspec takes one function from typing_extensions where that happens to be installed. Since Python 3.11
# typing has the same, and typing_extensions imports inspect, ast and dis: 13 ms at every start.
_absent = object()
_extensions = sys.modules.get("typing_extensions", _absent)
if _extensions is _absent:
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]
try:
    from msgspec import Struct, field, to_builtins
    from msgspec.structs import asdict, replace
finally:
    if _extensions is _absent:
        del sys.modules["typing_extensions"]

__all__ = ["Struct", "asdict", "field", "replace", "to_builtins"]
