"""Blueprints: what an environment of a manifest and a lock consists of, kept beside the packages.

To read a manifest and a lock, to choose for this host, to ask each package what it brings and to work out
the links takes a third of a sync for which nothing has to be fetched. All that comes out of it follows from
the two texts and from what the host is like. So it is kept under their digest: another project on the same
tier, such as a second working tree, is given the same environment without working it out again
(:mod:`.sync_again`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from envforge import __version__
from envforge.environment.spec import FORMAT as SPEC_FORMAT
from envforge.environment.spec import GenerationSpec
from envforge.errors import StoreError
from envforge.events import Warned
from envforge.hashing import base32, sha256
from envforge.model.accelerators import ARCHITECTURES_VARIABLE, HostFacts
from envforge.plan.link_plan import LinkPlan
from envforge.store.layout import BLUEPRINTS
from envforge.store.sharing import make_folders
from envforge.store.store import Store
from envforge.store.uses import note_use
from envforge.struct import Struct

_FORMAT = "1"
"""Raised when the same inputs give another environment than before, without a new version of envforge."""
_DIGEST_LETTERS = 26


class Inputs(Struct, frozen=True):
    """What an environment follows from, beside the Python that is found.

    Args:
        files: digest of manifest and lock.
        facts: the host that is compared with what the packages need.
        architectures: of the GPUs that is built for, as a variable says.
    """

    files: str
    facts: HostFacts
    architectures: str

    @property
    def name(self) -> str:
        """What their blueprint is kept under."""
        return f"{self.files}-{_digest(msgspec.json.encode((self.facts, self.architectures)))}"


def inputs_of(files: str, facts: HostFacts, environ: Mapping[str, str]) -> Inputs:
    """The inputs of files on a host, and in the environment of a process."""
    return Inputs(files, facts, environ.get(ARCHITECTURES_VARIABLE, ""))


def digest_files(manifest: bytes, lock: bytes) -> str:
    """The digest of a manifest and a lock, as this envforge understands them."""
    return _digest(f"{_FORMAT} {SPEC_FORMAT} {__version__}".encode(), manifest, lock)


def _digest(*parts: bytes) -> str:
    digests = b"".join(sha256(part).digest() for part in parts)
    return base32(sha256(digests).digest(), _DIGEST_LETTERS)


class Blueprint(Struct, frozen=True, kw_only=True):
    """What a plain sync makes of some inputs.

    Args:
        python: that the lock asks for; with ``requires_python`` it chooses the interpreter of the spec.
        requires_python: of the manifest.
        facts: the host that was compared with what the packages need, and lacks nothing.
        warnings: what was told about it.
        project: its name, ``""`` where the manifest has none.
        builds: records by which what was built is found, each with the digest of its wheel.
        spec: of the environment; ``venv`` and ``prompt`` are those of the project that it was made for.
        plan: its links.
    """

    python: str
    requires_python: str
    facts: HostFacts
    warnings: tuple[Warned, ...]
    project: str
    builds: tuple[tuple[str, str], ...]
    spec: GenerationSpec
    plan: LinkPlan


def is_any_kept(files: str, store: Store) -> bool:
    """Whether there is one for these files and whichever host; to ask a driver may take seconds."""
    with suppress(OSError):
        return any(place.name.startswith(files) for place in (store.root / BLUEPRINTS).iterdir())
    return False


def find_blueprint(inputs: Inputs, store: Store) -> Blueprint | None:
    """What is kept for some inputs; its use is noted. None for nothing that can be used."""
    place = _place(inputs, store)
    with suppress(OSError, ValueError):  # one that was cut off by a power failure is as good as none
        content = place.read_bytes()
        if note_use(str(place)):
            return msgspec.json.decode(content, type=Blueprint)
    return None


def keep_blueprint(blueprint: Blueprint, inputs: Inputs, store: Store) -> None:
    """Keep what was made of some inputs. One that cannot be written costs time later, nothing else."""
    place = _place(inputs, store)
    with suppress(OSError, StoreError, ValueError):  # ValueError: paths that are no UTF-8
        store.prepare()
        make_folders(place.parent)
        store.write_whole(place, msgspec.json.encode(blueprint))


def _place(inputs: Inputs, store: Store) -> Path:
    return store.root / BLUEPRINTS / f"{inputs.name}.json"
