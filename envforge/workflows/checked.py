"""Locks that were found to fit their manifest, so that an unchanged ``envforge lock`` need not parse either.

A mark is a small file of the cache, one for each project's folder, that holds digests of manifest and lock.
Whether they fit depends on nothing else. Like :mod:`.stamp`, which says more (of the environment, too) and is
there after a sync only, this imports almost nothing.
"""

from __future__ import annotations

import os

try:
    from _blake2 import blake2b  # without OpenSSL, see envforge.workflows.stamp
except ImportError:
    from hashlib import blake2b

from envforge import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER = "locks-v1"


def is_checked(root: str, environ: Mapping[str, str]) -> bool:
    """Whether manifest and lock on disk were found to fit. False also whenever in doubt.

    Args:
        root: the project's folder.
        environ: the process environment.
    """
    try:
        with open(_mark(_cache_root(environ), root), encoding="ascii") as file:
            marked = file.read()
        with open(f"{root}/pyproject.toml", "rb") as manifest, open(f"{root}/envforge.lock", "rb") as lock:
            return marked == _digest(manifest.read(), lock.read())
    except (OSError, ValueError):
        return False


def mark_checked(cache: str, root: str, manifest: bytes, lock: bytes) -> None:
    """Remember that a lock fits a manifest. A mark that cannot be written costs the next lock 0.1 s.

    Args:
        cache: root of the cache.
        root: the project's folder.
        manifest, lock: their bytes.
    """
    place = _mark(cache, root)
    aside = f"{place}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(aside, "w", encoding="ascii") as file:
            file.write(_digest(manifest, lock))
        os.replace(aside, place)
    except OSError:
        pass


def _mark(cache: str, root: str) -> str:
    name = blake2b(os.fsencode(os.path.realpath(root)), digest_size=16).hexdigest()
    return f"{cache}/{_FOLDER}/{name}"


def _cache_root(environ: Mapping[str, str]) -> str:
    """As :func:`envforge.host.paths.find_cache_root` has it on Linux, which takes 5 ms to import."""
    chosen = environ.get("ENVFORGE_CACHE_DIR", "")
    if chosen:
        return chosen
    xdg = environ.get("XDG_CACHE_HOME", "")
    return f"{xdg if xdg.startswith('/') else environ.get('HOME', '') + '/.cache'}/envforge"


def _digest(manifest: bytes, lock: bytes) -> str:
    parts = (__version__.encode(), manifest, lock)
    return " ".join(blake2b(part, digest_size=32).hexdigest() for part in parts)
