"""``envforge rollback``: point ``.venv`` to an environment that it pointed to before."""

from __future__ import annotations

from pathlib import Path

from envforge.environment import switch
from envforge.errors import GenerationError
from envforge.struct import Struct
from envforge.workflows.project_root import VENV_NAME
from envforge.workflows.session import Session
from envforge.workflows.stamp import forget_stamp


class RollbackReport(Struct, frozen=True, kw_only=True):
    """What ``rollback`` did: ``.venv`` pointed to ``previous``, now to ``generation``."""

    venv: Path
    generation: Path
    previous: Path


def rollback(session: Session, steps: int = 1) -> RollbackReport:
    """Go back to an earlier environment. Manifest and lock stay; ``sync`` goes forward again.

    Args:
        session: the surroundings.
        steps: how many environments back, at least 1.

    Raises:
        GenerationError: there is no environment so far back.
    """
    venv = session.root / VENV_NAME
    current = switch.recorded_generation(venv)
    if current is None:
        raise GenerationError("the project has no environment yet", hints=["run: envforge sync"])
    generation = switch.rollback(venv, steps)
    forget_stamp(str(generation.path))
    return RollbackReport(venv=venv, generation=generation.path, previous=current.path)
