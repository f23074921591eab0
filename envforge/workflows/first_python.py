"""Which Python a project starts with: what this host has, as far as the manifest admits it."""

from __future__ import annotations

from contextlib import suppress

from envforge.errors import InterpreterError
from envforge.host.candidates import explicit_interpreter
from envforge.host.interpreters import cache_file_for_host, list_interpreters, query_interpreter
from envforge.host.paths import find_data_root
from envforge.manifest.manifest import Manifest
from envforge.manifest.requirements import python_faults
from envforge.workflows.resolving import KNOWN_PYTHONS
from envforge.workflows.session import Session


def choose_first_python(manifest: Manifest, session: Session) -> str:
    """The newest minor of this host that a manifest admits, else the newest known one that it admits.

    Returns:
        Such as ``3.12``; ``""`` where the manifest admits none that is known.
    """
    here = _minors_of_host(session)
    choices = [minor for minor in KNOWN_PYTHONS if minor in here]
    choices += KNOWN_PYTHONS
    return next((minor for minor in choices if not any(python_faults(manifest, minor))), "")


def _minors_of_host(session: Session) -> set[str]:
    """Minors of the Pythons that a sync could use here: of the named one alone, where one is named."""
    cache_file = cache_file_for_host(session.places.cache)
    if named := explicit_interpreter(session.environ):
        with suppress(InterpreterError):
            return {query_interpreter(named, cache_file, session.environ).minor}
        return set()
    pythons = str(find_data_root(session.environ) / "pythons")
    return {each.minor for each in list_interpreters(cache_file, session.environ, pythons=pythons)}
