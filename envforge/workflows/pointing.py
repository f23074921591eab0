"""The last step of a sync: ``.venv`` leads to the environment that is ready."""

from __future__ import annotations

from pathlib import Path

from envforge.environment.generation import KEEP, Generation, list_generations
from envforge.environment.switch import switch
from envforge.link.failures import link_failures
from envforge.workflows.project_root import VENV_NAME
from envforge.workflows.session import Session
from envforge.workflows.stamp import forget_stamp


def point_to(generation: Generation, session: Session) -> None:
    """Point the project's ``.venv`` to an environment. A stamp says nothing of it until a new one is written.

    Raises:
        GenerationError: something that envforge did not make stands there.
        StoreError: the project's folder cannot be written, or a folder of environments.
    """
    venv = session.root / VENV_NAME
    forget_stamp(str(generation.path))
    if switch(venv, generation, now_s=session.now_s):
        _collect(generation.path.parent, venv)


def _collect(environments: Path, venv: Path) -> None:
    """Remove older generations; what finds out who needs them is imported where there are more than stay."""
    with link_failures(environments, "remove old environments"):
        if len(list_generations(environments)) <= KEEP:
            return
    from envforge.environment.collect import collect_generations

    collect_generations(environments, venv)
