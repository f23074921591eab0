"""Blueprints: what an environment of a manifest and a lock consists of, kept beside the packages.

To read a manifest and a lock, to choose for this host, to ask each package what it brings and to work out
the links takes a third of a sync for which nothing has to be fetched. All that comes out of it follows from
the two texts and from what the host is like. So it is kept under the digest of the texts, together with what
the host was like: another project on the same tier, such as a second working tree, is given the same
environment without working it out again (:mod:`.sync_again`).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from envforge import __version__
from envforge.environment.spec import FORMAT as SPEC_FORMAT
from envforge.environment.spec import GenerationSpec
from envforge.events import Warned
from envforge.hashing import base32, sha256
from envforge.host.facts import host_platform
from envforge.model.accelerators import HostFacts
from envforge.plan.link_plan import LinkPlan
from envforge.store.layout import PLANS
from envforge.store.sharing import make_folders
from envforge.store.store import Store
from envforge.store.uses import note_use
from envforge.struct import Struct

_FORMAT = "1"
"""Raised when the same texts give another environment than before, without a new version of envforge."""
_DIGEST_LETTERS = 26


class Texts(Struct, frozen=True):
    """Manifest and lock as they are on disk."""

    manifest: bytes
    lock: bytes

    @property
    def digest(self) -> str:
        """What their blueprint is kept under, for the kind of machine that this one is.

        Raises:
            HostError: envforge knows no packages for this machine.
        """
        meant = f"{_FORMAT} {SPEC_FORMAT} {__version__} {host_platform()}".encode()
        parts = [sha256(part).digest() for part in (meant, self.manifest, self.lock)]
        return base32(sha256(b"".join(parts)).digest(), _DIGEST_LETTERS)


class Blueprint(Struct, frozen=True, kw_only=True):
    """What a plain sync of a manifest and a lock makes on a host that is like the one where it was kept.

    Args:
        python: that the lock asks for; with ``requires_python`` it chooses the interpreter of the spec.
        requires_python: of the manifest.
        facts: the host that was compared with what the packages need, and lacked nothing.
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


def find_blueprint(texts: Texts, store: Store) -> Blueprint | None:
    """What is kept for these texts, None for nothing; its use is noted."""
    place = _place(texts, store)
    with suppress(OSError, ValueError):  # one that was cut off by a power failure is as good as none
        content = place.read_bytes()
        if note_use(str(place)):
            return msgspec.json.decode(content, type=Blueprint)
    return None


def keep_blueprint(blueprint: Blueprint, texts: Texts, store: Store) -> None:
    """Keep it. One that cannot be written costs a later sync time, nothing else."""
    place = _place(texts, store)
    with suppress(OSError, ValueError):  # paths that are no UTF-8
        make_folders(place.parent)
        store.write_whole(place, msgspec.json.encode(blueprint))


def _place(texts: Texts, store: Store) -> Path:
    return store.root / PLANS / f"{texts.digest}.json"
