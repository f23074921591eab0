"""The stamp: what the last plain ``envforge sync`` found, so that the next one need not look again.

It stands beside the generation that it is about and holds digests of everything that could change the
answer: the bytes of manifest and lock, the machine's kind, and the variables that steer a sync. If all are
the same, and what a purge takes first is still there, the environment is up to date, without parsing
anything. This module imports almost nothing: reading a stamp is most of what an unchanged sync does (3 ms
beside the interpreter's own start).
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

SUFFIX = ".stamp"
_WATCHED = ".stamp.watched"
_FORMAT = "4"
_MARKER = "envforge-generation.json"
_LOOKED_AT = ("bin/python", ".gitignore")
"""Of the generation, beside its marker. A purge by age takes first what nobody reads: the last of these."""
_VARIABLES = (
    "ENVFORGE_CACHE_DIR",
    "ENVFORGE_LINK_MODE",
    "ENVFORGE_PYTHON",
    "ENVFORGE_SITE_STORE",
    "ENVFORGE_TIER",
    "ENVFORGE_VARIANT",
    "HOME",
    "TORCH_CUDA_ARCH_LIST",
    "XDG_CACHE_HOME",
    # In a batch job there may be a faster place than the one where the environment is.
    *("JOBFS", "LOCAL_SCRATCH", "PBS_JOBFS", "SCRATCH", "SLURM_TMPDIR", "WORK"),
)


def find_stamped(root: str, environ: Mapping[str, str]) -> str:
    """The generation that the last plain sync of a project made or found, if that still holds.

    Args:
        root: the project's folder.
        environ: the process environment.

    Returns:
        Its path; "" also whenever in doubt.
    """
    try:
        generation = _meant(f"{root}/.venv")
        stamped, _, witness = _read_stamp(f"{generation}{SUFFIX}").rpartition("\n")
        contents = []
        for name in ("pyproject.toml", "envforge.lock"):
            with open(f"{root}/{name}", "rb") as file:
                contents.append(file.read())
        contents += _watched(generation)
        if stamped != stamp_text(root, generation, environ, contents):
            return ""
        for name in _LOOKED_AT:
            os.stat(f"{generation}/{name}")
        if witness:
            os.stat(witness)
        site = environ.get("ENVFORGE_SITE_STORE")
        if site:
            os.stat(os.path.expanduser(f"{site}/store"))
    except (OSError, ValueError):
        return ""
    return generation


def _meant(venv: str) -> str:
    """The generation that a ``.venv`` means on this host."""
    target = os.path.normpath(os.path.join(os.path.dirname(venv), os.readlink(venv)))
    if not os.path.islink(target):
        return target
    from envforge.environment.venv_link import find_target  # a link of this host: whose is it?

    return find_target(venv) or ""


def _read_stamp(place: str) -> str:
    """The stamp for all hosts, else the one for this host."""
    try:
        with open(place, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        with open(f"{place}{_node()}", encoding="utf-8", errors="surrogateescape") as file:
            return file.read()


def _watched(generation: str) -> list[bytes]:
    """The state of other folders that have a say; nothing where none has."""
    try:
        with open(f"{generation}{_WATCHED}", encoding="utf-8", errors="surrogateescape") as file:
            entries = file.read().splitlines()
    except FileNotFoundError:
        return []
    from envforge.workflows.watch import watched_state

    return [watched_state(entries)]


def stamp_text(root: str, generation: str, environ: Mapping[str, str], contents: Sequence[bytes]) -> str:
    """What a stamp says; equal texts mean that nothing has changed.

    Args:
        root, generation, environ: see :func:`write_stamp`.
        contents: manifest and lock, and the state of other folders where these have a say.
    """
    # a marker that was cut off by a power failure is there, and tells nothing
    marker_bytes = os.stat(f"{generation}/{_MARKER}").st_size
    # hosts with other processors may see the same files, and need another environment
    machine = os.uname().machine if hasattr(os, "uname") else ""
    facts = [_FORMAT, __version__, root, generation, str(marker_bytes), machine]
    facts += [blake2b(content, digest_size=32).hexdigest() for content in contents]
    facts += [f"{name}={environ.get(name, '')}" for name in _VARIABLES]
    return "\n".join(facts)


def write_stamp(
    root: str,
    generation: str,
    environ: Mapping[str, str],
    contents: Sequence[bytes],
    *,
    only_here: bool = False,
    witness: str = "",
    watched: Sequence[str] = (),
) -> None:
    """Remember a plain sync. A stamp that cannot be written costs the next sync time, nothing else.

    Args:
        root: the project's folder.
        generation: what ``.venv`` means now.
        environ: the process environment.
        contents: manifest and lock that were synced, and the state of what is watched; what is on disk may
            have changed since they were read.
        only_here: another host that sees the same files may need another environment, or have a faster place.
        witness: a file in the store that a purge would take among the first.
        watched: entries of :mod:`.watch`.
    """
    try:
        text = stamp_text(root, generation, environ, contents)
        if watched:
            _write(f"{generation}{_WATCHED}", "\n".join(watched))
        _write(f"{generation}{SUFFIX}{_node() if only_here else ''}", f"{text}\n{witness}")
    except OSError:
        pass


def _write(place: str, text: str) -> None:
    aside = f"{place}.{os.getpid()}"
    with open(aside, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    os.replace(aside, place)


def forget_stamp(generation: str) -> None:
    """Make the next sync look for itself, on every host."""
    folder, name = os.path.split(f"{generation}{SUFFIX}")
    try:
        for found in os.listdir(folder):
            if found.startswith(name):
                os.unlink(f"{folder}/{found}")
    except OSError:
        pass


def _node() -> str:
    """What a stamp's name ends with that is good for this host only."""
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return f"-{name.replace('/', '_') or 'host'}"
