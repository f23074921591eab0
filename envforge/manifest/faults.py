"""Faults in a manifest: collected while it is read, located and shown together.

A fault says where (dotted path, line), what, and what would be right. Lines are looked for only when
there is a fault to show.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from envforge.errors import ManifestError
from envforge.struct import Struct


class Fault(Struct, frozen=True):
    """One thing that cannot be meant.

    Args:
        where: dotted path, ``project.dependencies[2]``; ``""`` for the file as a whole.
        problem: what is wrong, without full stop.
        right: what would be right, an imperative; ``""`` where nothing can be said.
        detail: further lines, such as the text with a caret under the fault.
    """

    where: str
    problem: str
    right: str = ""
    detail: tuple[str, ...] = ()


def manifest_error(path: str, text: str, faults: Sequence[Fault]) -> ManifestError:
    """One error for all faults, in the order of the file.

    Args:
        path: the file's name for the user.
        text: its content, valid TOML.
        faults: at least one.
    """
    from envforge.manifest.positions import scan_positions  # only a fault needs lines

    positions = scan_positions(text)
    placed = sorted(((positions.line(fault.where), fault) for fault in faults), key=lambda pair: pair[0])
    if len(placed) == 1:
        line, fault = placed[0]
        hints = [fault.right] if fault.right else []
        return ManifestError(_headline(path, line, fault), context=fault.detail, hints=hints)
    context = [row for line, fault in placed for row in _paragraph(path, line, fault)]
    return ManifestError(f"{path} has {len(placed)} faults", context=context)


def _headline(path: str, line: int, fault: Fault) -> str:
    where = f"{fault.where}: " if fault.where else ""
    return f"{path}:{line}: {where}{fault.problem}"


def _paragraph(path: str, line: int, fault: Fault) -> Iterable[str]:
    yield _headline(path, line, fault)
    yield from (f"    {row}" for row in fault.detail)
    if fault.right:
        yield f"    {fault.right}"


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known name that is most like ``name``, ``""`` if none is like it."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(known), n=1, cutoff=cutoff)), "")


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown name: the nearest known one, else all of them."""
    names = sorted(known)
    close = nearest(name, names)
    if close:
        return f"did you mean {close}?"
    return f"known are: {', '.join(names)}" if names else ""
