"""The stamp: what the last plain ``envforge sync`` found, so that the next one need not look again.

It stands beside the project's generations and holds digests of everything that could change the
answer: the bytes of manifest and lock, the generation, and the variables that steer a sync. If all are the
same the environment is up to date, without parsing anything. This module imports almost nothing: reading a
stamp is most of what an unchanged sync does (3 ms beside the interpreter's own start).
"""

from __future__ import annotations

import os

try:
    # The same function without loading OpenSSL, which takes longer than hashing both files.
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

from envforge import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FILE_NAME = "stamp"
_FORMAT = "1"
_VARIABLES = (
    "ENVFORGE_CACHE_DIR",
    "ENVFORGE_PYTHON",
    "ENVFORGE_SITE_STORE",
    "ENVFORGE_TIER",
    "ENVFORGE_VARIANT",
    "HOME",
    "XDG_CACHE_HOME",
    # In a batch job there may be a faster place than the one where the environment is.
    *("JOBFS", "LOCAL_SCRATCH", "PBS_JOBFS", "SCRATCH", "SLURM_TMPDIR", "WORK"),
)


def is_up_to_date(root: str, environ: Mapping[str, str]) -> bool:
    """Whether the last plain sync of a project still holds. False also whenever in doubt.

    Args:
        root: the project's folder.
        environ: the process environment.
    """
    try:
        generation = os.readlink(f"{root}/.venv")
        generation = os.path.normpath(os.path.join(root, generation))
        stamped = _read_stamp(f"{os.path.dirname(generation)}/{FILE_NAME}")
        contents = []
        for name in ("pyproject.toml", "envforge.lock"):
            with open(f"{root}/{name}", "rb") as file:
                contents.append(file.read())
        if stamped != stamp_text(root, generation, environ, contents):
            return False
        os.stat(f"{generation}/bin/python")
        os.stat(f"{generation}/envforge-generation.json")
    except (OSError, ValueError):
        return False
    return True


def _read_stamp(place: str) -> str:
    """The stamp for all hosts, else the one for this host, as projects with variants have it."""
    try:
        with open(place, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        with open(f"{place}{_node()}", encoding="utf-8") as file:
            return file.read()


def stamp_text(root: str, generation: str, environ: Mapping[str, str], contents: Sequence[bytes]) -> str:
    """What a stamp says; equal texts mean that nothing has changed. ``contents``: manifest and lock."""
    facts = [_FORMAT, __version__, root, generation]
    facts += [blake2b(content, digest_size=32).hexdigest() for content in contents]
    facts += [f"{name}={environ.get(name, '')}" for name in _VARIABLES]
    return "\n".join(facts) + "\n"


def write_stamp(
    root: str,
    generation: str,
    environ: Mapping[str, str],
    contents: Sequence[bytes],
    *,
    only_here: bool = False,
) -> None:
    """Remember a plain sync. A stamp that cannot be written costs the next sync time, nothing else.

    Args:
        root: the project's folder.
        generation: what ``.venv`` points to now.
        environ: the process environment.
        contents: manifest and lock that were synced; what is on disk may have changed since they were read.
        only_here: another host that shares the files may need another environment, as with variants.
    """
    place = f"{os.path.dirname(generation)}/{FILE_NAME}{_node() if only_here else ''}"
    aside = f"{place}.{os.getpid()}"
    try:
        with open(aside, "w", encoding="utf-8") as file:
            file.write(stamp_text(root, generation, environ, contents))
        os.replace(aside, place)
    except OSError:
        pass


def forget_stamp(generation: str) -> None:
    """Make the next sync look for itself, on every host."""
    folder = os.path.dirname(generation)
    try:
        for name in os.listdir(folder):
            if name == FILE_NAME or name.startswith(f"{FILE_NAME}-"):
                os.unlink(f"{folder}/{name}")
    except OSError:
        pass


def _node() -> str:
    """What a stamp's name ends with that is good for this host only."""
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return f"-{name.replace('/', '_') or 'host'}"
