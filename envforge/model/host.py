"""Facts about the machine that runs, as values. :mod:`envforge.host` finds them."""

from __future__ import annotations

from envforge.struct import Struct


class Interpreter(Struct, frozen=True, kw_only=True):
    """A Python on this host.

    Args:
        executable: absolute path of the real interpreter (no venv, no shim).
        version: full, ``3.12.4``.
        platform: conda subdir that its wheels have to be for.
        implementation: ``cpython``.
        base_prefix: its installation root.
        glibc: (major, minor) of the C library it runs on, None where it is not glibc.
    """

    executable: str
    version: str
    platform: str
    implementation: str = "cpython"
    base_prefix: str = ""
    glibc: tuple[int, int] | None = None

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])
