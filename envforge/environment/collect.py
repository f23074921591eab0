"""Old generations removed, those of running processes kept.

Processes are looked at on this host only; on a shared file system, ``keep`` is what protects the jobs of
other hosts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from envforge.environment.generation import aside_name, is_generation, read_recorded_generation
from envforge.environment.history import read_history
from envforge.environment.switch import recorded_generation
from envforge.link.failures import link_failures
from envforge.store.sealing import discard

KEEP = 5
_TRACES = ("cmdline", "environ", "maps")


def collect_generations(environments_dir: Path, venv: Path, *, keep: int = KEEP) -> list[str]:
    """Remove a project's older generations.

    Args:
        environments_dir: the project's folder of generations.
        venv: its ``.venv``, whose generation always stays.
        keep: how many of the newest stay.

    Returns:
        Digests of what was removed, oldest first.

    Raises:
        StoreError: a generation cannot be removed.
    """
    ages = {past.digest: past.time_s for past in read_history(environments_dir)}
    with link_failures(environments_dir, "remove old environments"):
        present = [place.name for place in environments_dir.iterdir() if is_generation(place)]
        # one that no history knows was never switched to, or its history is lost: its own time counts
        age = {name: ages.get(name, (environments_dir / name).stat().st_mtime) for name in present}
        old = sorted(present, key=age.__getitem__)[: max(len(present) - keep, 0)]
        current = recorded_generation(venv)
        protected = {current.digest} if current is not None else set()
        candidates = [name for name in old if name not in protected]
        used = digests_in_use(candidates)
        removed = [name for name in candidates if name not in used]
        for name in removed:
            remove_generation(environments_dir / name)
    return removed


def prefixes_in_use(tier_root: Path) -> set[str]:
    """Paths of the conda prefixes that generations of any project on a tier stand on.

    What is not among them may be removed, by whoever collects prefixes: nothing here does. A prefix that
    is being made has no generation yet; its guard is what protects it.
    """
    generations = map(read_recorded_generation, sorted((tier_root / "envs").glob("*/*/")))
    return {
        generation.spec.prefix.path
        for generation in generations
        if generation is not None and generation.spec.prefix is not None
    }


def digests_in_use(digests: Iterable[str]) -> set[str]:
    """Those that a process of this host names: in its command line, environment, maps or current folder.

    ``envforge run`` and the scripts of a generation name it in the command line; ``exe`` tells nothing,
    because it is the interpreter that all share. Nothing is found where there is no ``/proc``.
    """
    wanted = {digest: os.fsencode(digest) for digest in digests}
    found: set[str] = set()
    if not wanted or not Path("/proc/self").exists():
        return found
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and len(found) < len(wanted):
            traces = _traces(process)
            found |= {digest for digest, text in wanted.items() if text in traces}
    return found


def _traces(process: Path) -> bytes:
    """What a process says of the files it uses; empty for those of other users."""
    texts: list[bytes] = []
    for name in _TRACES:
        with suppress(OSError):
            texts.append((process / name).read_bytes())
    with suppress(OSError):
        texts.append(os.fsencode((process / "cwd").readlink()))
    return b"\n".join(texts)


def remove_generation(place: Path) -> None:
    """Take a generation away at once, then its files: nobody sees half of it. No error if it is gone.

    A link that points to it dangles until a generation of the same spec is made, or ``.venv`` switched.
    """
    discard(place, place.with_name(aside_name()))
