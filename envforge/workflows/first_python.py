"""Which Python a project starts with: what this host has, as far as the manifest admits it."""

from __future__ import annotations

from contextlib import suppress

from envforge.errors import EnvforgeError, InterpreterError
from envforge.events import Warned
from envforge.host.candidates import explicit_interpreter
from envforge.host.facts import host_platform
from envforge.host.interpreters import (
    cache_file_for_host,
    choose_interpreter,
    list_interpreters,
    query_interpreter,
)
from envforge.host.paths import find_pythons_folder
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


def warn_of_missing_python(manifest: Manifest, session: Session) -> None:
    """Say so where this host lacks the Python of a manifest, and what to do about it."""
    if not manifest.settings.python or manifest.settings.uses_conda:
        return
    try:
        choose_interpreter(
            manifest.settings.python,
            manifest.requires_python,
            host_platform(),
            cache_file=cache_file_for_host(session.places.cache),
            environ=session.environ,
            pythons=str(find_pythons_folder(session.environ)),
        )
    except EnvforgeError as missing:
        from envforge.host.standalone import is_available

        hint = missing.hints[0] if missing.hints else ""
        if is_available() and not explicit_interpreter(session.environ):
            hint = f"the first sync tries to fetch it; or {hint}"
        session.reporter.report(Warned(message=missing.message, hint=hint))


def _minors_of_host(session: Session) -> set[str]:
    """Minors of the Pythons that a sync could use here: of the named one alone, where one is named."""
    cache_file = cache_file_for_host(session.places.cache)
    if named := explicit_interpreter(session.environ):
        with suppress(InterpreterError):
            return {query_interpreter(named, cache_file, session.environ).minor}
        return set()
    found = list_interpreters(cache_file, session.environ, pythons=str(find_pythons_folder(session.environ)))
    return {each.minor for each in found}
