"""What is noted of a build, so that it is found again: in a store, or beside the archives for other nodes.

A build is asked for by what goes into it, not by what it requires to run: the versions that its build
requirements resolve to are noted, but a new setuptools is no reason to compile again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envforge.build.jobs import JOB_VARIABLES
from envforge.model.accelerators import ARCHITECTURES_VARIABLE
from envforge.store.sharing import is_shared, make_folders, share
from envforge.store.uses import note_use
from envforge.workflows.build_constraints import Constraints, are_admitted

if TYPE_CHECKING:
    from envforge.manifest.build_settings import BuildSettings
    from envforge.model.host import Interpreter
    from envforge.model.tree import Tree
    from envforge.store.store import Store

_BUILDS = "builds"


def build_key(
    source: str,
    interpreter: Interpreter,
    settings: BuildSettings,
    runtime: Sequence[tuple[str, str, str]],
    environ: Mapping[str, str],
) -> str:
    """The digest of everything that decides what a build gives.

    Args:
        source: kind and digest of the source.
        interpreter: Python, platform and C library to build for.
        settings: of the project.
        runtime: (name, version, sha256) of what it is built with.
        environ: of the process.
    """
    env = {**{ARCHITECTURES_VARIABLE: environ.get(ARCHITECTURES_VARIABLE, "")}, **settings.env}
    parts = [
        source,
        [interpreter.implementation, interpreter.minor, interpreter.platform, interpreter.glibc],
        {
            name: list(value) if not isinstance(value, str) else value
            for name, value in settings.config_settings.items()
        },
        {name: value for name, value in env.items() if value and name not in JOB_VARIABLES},
        sorted(runtime),
    ]
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def find_built(keys: Iterable[str], store: Store, constraints: Constraints) -> tuple[str, Tree] | None:
    """The build that this store remembers under one of these digests: that digest, and its tree.

    Args:
        keys: of the build.
        store: where to look.
        constraints: what it was built with has to meet them.
    """
    for key, record in admitted_records(store.root, keys, constraints):
        with suppress(OSError, ValueError, KeyError, TypeError):
            note_use(str(_place(store.root, key)))
            tree = store.find_tree(record["sha256"])
            if tree is not None:
                return key, tree
    return None


def admitted_records(
    root: Path, keys: Iterable[str], constraints: Constraints
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is noted in a store or a folder of archives under digests, where the constraints admit it."""
    for key in keys:
        with suppress(OSError, ValueError, KeyError, TypeError):
            record: dict[str, Any] = json.loads(_place(root, key).read_bytes())
            if are_admitted(record["requires"], constraints):
                yield key, record


def is_noted(root: Path, key: str, sha256: str) -> bool:
    """Whether a build is noted in a store under a digest, with this wheel; its use is noted, too."""
    place = _place(root, key)
    with suppress(OSError, ValueError, KeyError, TypeError):
        return note_use(str(place)) and json.loads(place.read_bytes())["sha256"] == sha256
    return False


def _place(root: Path, key: str) -> Path:
    return root / _BUILDS / f"{key}.json"


def write_record(root: Path, keys: Sequence[str], record: Mapping[str, object]) -> None:
    """Note a build in a store or a folder of archives, each time in one step.

    Args:
        root: of the store, or the folder.
        keys: its digests; under those before the last one only where nothing is noted.
        record: what is noted.

    Raises:
        OSError: the folder cannot be written.
    """
    make_folders(root / _BUILDS)
    for key in keys:
        if key == keys[-1] or not _place(root, key).exists():
            _write_one(root, key, record)


def _write_one(root: Path, key: str, record: Mapping[str, object]) -> None:
    folder = root / _BUILDS
    node = os.uname().nodename if hasattr(os, "uname") else ""
    aside = folder / f".{key}.{node}.{os.getpid()}"
    aside.write_text(json.dumps(record), encoding="utf-8")
    if is_shared(folder):
        share(aside)
    aside.replace(_place(root, key))
