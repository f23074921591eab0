"""The machine that a sync is for, as the packages see it."""

from __future__ import annotations

from envforge.host.accelerators import detect_host_facts
from envforge.model.accelerators import HostFacts
from envforge.struct import replace
from envforge.workflows.session import Session


def find_host_facts(session: Session) -> HostFacts:
    """What this host has that a package may need, remembered; ``--refresh`` asks again.

    The processor's names are left out, also where they happen to be remembered: no package asks for them.

    Raises:
        HostError: envforge knows no packages for this machine; a variable holds what is no version.
    """
    facts = detect_host_facts(
        session.environ,
        session.places.cache,
        now_s=session.now_s,
        refresh=session.network.refresh,
        names_processor=False,
    )
    return replace(facts, archspec=())
