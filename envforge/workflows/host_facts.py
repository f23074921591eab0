"""The machine that a sync is for: what packages may need of it, and the Pythons that are there."""

from __future__ import annotations

from envforge.host.accelerators import detect_host_facts
from envforge.host.facts import host_platform
from envforge.host.interpreters import cache_file_for_host, choose_interpreter
from envforge.host.paths import find_pythons_folder
from envforge.model.accelerators import HostFacts
from envforge.model.host import Interpreter
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


def find_present_python(wanted: str, requires_python: str, session: Session) -> Interpreter:
    """The Python of this host for a target's Python.

    Raises:
        HostError: envforge knows no packages for this machine.
        InterpreterError: none fits.
    """
    return choose_interpreter(
        wanted,
        requires_python,
        host_platform(),
        cache_file=cache_file_for_host(session.places.cache),
        environ=session.environ,
        pythons=str(find_pythons_folder(session.environ)),
    )
