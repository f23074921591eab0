"""Makes conda prefixes as a sync does, in a tier of a test's own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from envforge.errors import EnvforgeError
from envforge.events import Event
from envforge.link.conda_prefix import Prefix, PrefixSpec, ensure_prefix
from envforge.model.conda import CondaRecord
from envforge.net.conda_client import ChannelLocation
from envforge.net.settings import NetworkSettings


class Forge:
    """Makes prefixes, and remembers the events.

    Attributes:
        channels: URLs with credentials.
        environ: what is to be known of the environment.
    """

    def __init__(self, root: Path) -> None:
        self.channels: Sequence[str] = ()
        self.environ: Mapping[str, str] = os.environ
        self.folder = root / "tier" / "prefixes"
        self.cache = root / "cache" / "conda"
        self.events: list[Event] = []

    def report(self, event: Event) -> None:
        self.events.append(event)

    def make(self, *records: CondaRecord, allowed: tuple[str, ...] = (), **network: Any) -> Prefix:
        return self.make_spec(self.spec(*records, allowed=allowed), **network)

    def make_spec(self, spec: PrefixSpec, **network: Any) -> Prefix:
        return ensure_prefix(
            spec,
            self.folder,
            packages_cache=self.cache,
            channels=[ChannelLocation(name="main", url=url) for url in self.channels],
            network=NetworkSettings(**{"retries": 1, "timeout_s": 10, **network}),
            environ=self.environ,
            reporter=self,
        )

    def fails(self, kind: type[EnvforgeError], *records: CondaRecord, **options: Any) -> str:
        """Make a prefix in vain; nothing may be left. Returns all that is said."""
        with pytest.raises(kind) as caught:
            self.make(*records, **options)
        assert self.left() == []
        return "\n".join([caught.value.message, *caught.value.context, *caught.value.hints])

    def left(self) -> list[str]:
        return sorted(os.listdir(self.folder)) if self.folder.is_dir() else []

    def spec(self, *records: CondaRecord, allowed: tuple[str, ...] = ()) -> PrefixSpec:
        return PrefixSpec(records=records, platform="linux-64", link_scripts=allowed)

    def told(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]
