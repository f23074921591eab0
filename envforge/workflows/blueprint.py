"""Blueprints: what an environment of a manifest and a lock consists of, kept beside the packages.

To read a manifest and a lock, to choose for this host, to ask each package what it brings and to work out
the links takes a third of a sync for which nothing has to be fetched. All that comes out of it follows from
the two texts and from what the host is like. So it is kept under their digest: another project on the same
tier, such as a second working tree, is given the same environment without working it out again
(:mod:`.sync_again`).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from envforge import __version__
from envforge.environment.spec import FORMAT as SPEC_FORMAT
from envforge.environment.spec import GenerationSpec
from envforge.errors import StoreError
from envforge.events import Warned
from envforge.hashing import base32, sha256
from envforge.model.accelerators import HostFacts
from envforge.plan.link_plan import LinkPlan
from envforge.store.layout import BLUEPRINTS
from envforge.store.sharing import make_folders
from envforge.store.store import Store
from envforge.store.uses import note_use
from envforge.struct import Struct

_FORMAT = "1"
"""Raised when the same files give another environment than before, without a new version of envforge."""
_DIGEST_LETTERS = 26
_WAYS_OUT = (b"../", b'/.."', b"\\u0000")
"""In no path of an environment or a store, as JSON has them."""


class Blueprint(Struct, frozen=True, kw_only=True):
    """What a plain sync makes of a manifest and a lock on some host.

    Args:
        python: that the lock asks for; with ``requires_python`` it chooses the interpreter of the spec.
        requires_python: of the manifest.
        facts: the host that was compared with what the packages need, and lacks nothing.
        warnings: what was told about it.
        project: its name, ``""`` where the manifest has none.
        spec: of the environment; ``venv`` and ``prompt`` are those of the project that it was made for.
        plan: its links.
    """

    python: str
    requires_python: str
    facts: HostFacts
    warnings: tuple[Warned, ...]
    project: str
    spec: GenerationSpec
    plan: LinkPlan


def find_blueprint(manifest: bytes, lock: bytes, facts: HostFacts, store: Store) -> Blueprint | None:
    """What is kept for these files and such a host; its use is noted. None for nothing that can be used."""
    place = _place(manifest, lock, facts, store)
    with suppress(OSError, ValueError):  # one that was cut off by a power failure is as good as none
        content = place.read_bytes()
        if note_use(str(place)) and not any(way in content for way in _WAYS_OUT):
            return msgspec.json.decode(content, type=Blueprint)
    return None


def keep_blueprint(blueprint: Blueprint, manifest: bytes, lock: bytes, store: Store) -> None:
    """Keep it for its host and these files. One that cannot be written costs time later, nothing else."""
    place = _place(manifest, lock, blueprint.facts, store)
    with suppress(OSError, StoreError, ValueError):  # ValueError: paths that are no UTF-8
        store.prepare()
        make_folders(place.parent)
        store.write_whole(place, msgspec.json.encode(blueprint))


def _place(manifest: bytes, lock: bytes, facts: HostFacts, store: Store) -> Path:
    version = f"{_FORMAT} {SPEC_FORMAT} {__version__}".encode()
    parts = (version, manifest, lock, msgspec.json.encode(facts))
    digests = b"".join(sha256(part).digest() for part in parts)
    return store.root / BLUEPRINTS / f"{base32(sha256(digests).digest(), _DIGEST_LETTERS)}.json"
