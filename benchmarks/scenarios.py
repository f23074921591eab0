"""What is timed: an action of the tool, and what is made ready before it, outside the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.measuring import ToolProject


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One thing to time.

    Args:
        name: as in tables.
        action: of the tool.
        prepare: runs before each repetition, outside the clock.
        imports: afterwards the stack's module is imported for the first time, and timed as well.
    """

    name: str
    action: str
    prepare: Callable[[ToolProject], None]
    imports: bool = False

    def without_import(self) -> Scenario:
        """The same, and nothing afterwards."""
        return replace(self, imports=False)


IMPORT = "first import after {}"
BOTH = "{} and first import"


def _nothing(_project: ToolProject) -> None:
    pass


def _as_it_is(project: ToolProject) -> None:
    project.put("base")


def _lock_cold(project: ToolProject) -> None:
    project.start_cold()
    project.forget_lock()


def _asked_for_more(project: ToolProject) -> None:
    project.ask("added")


def _outdated(project: ToolProject) -> None:
    """A lock in which something is old, and a manifest that admits what is new."""
    project.ask("base", locked="older")


def _sync_cold(project: ToolProject) -> None:
    project.put("base")
    project.start_cold()


def _new_environment(project: ToolProject) -> None:
    project.put("base")
    project.forget_environment()


def _new_lock(project: ToolProject) -> None:
    project.put("base")
    project.forget_blueprints()


def _in_use(project: ToolProject) -> None:
    """An environment of ``base`` that is somebody's: it has been imported from."""
    _new_environment(project)
    project.run("sync")
    project.import_module()


def _added(project: ToolProject) -> None:
    _in_use(project)
    project.put("added")


def _removed(project: ToolProject) -> None:
    _in_use(project)
    project.put("removed")


def _upgraded(project: ToolProject) -> None:
    project.forget_environment()
    project.put("older")
    project.run("sync")
    project.import_module()
    project.put("base")


def _switched_back(project: ToolProject) -> None:
    _upgraded(project)
    project.run("sync")
    project.put("older")


START = (
    Scenario(name="version", action="version", prepare=_nothing),
    Scenario(name="help", action="help", prepare=_nothing),
)
"""Has nothing to do with a stack."""

LOCK = (
    Scenario(name="lock cold", action="lock", prepare=_lock_cold),
    Scenario(name="lock warm", action="lock", prepare=ToolProject.forget_lock),
    Scenario(name="lock unchanged", action="lock", prepare=_as_it_is),
    Scenario(name="lock, one package added", action="lock", prepare=_asked_for_more),
    Scenario(name="lock, upgrade all", action="upgrade", prepare=_outdated),
)
SYNC = (
    Scenario(name="sync cold", action="sync", prepare=_sync_cold, imports=True),
    Scenario(name="sync warm, new environment", action="sync", prepare=_new_environment, imports=True),
    Scenario(name="sync warm, first environment of its lock", action="sync", prepare=_new_lock),
    Scenario(name="sync unchanged", action="sync again", prepare=_as_it_is),
    Scenario(name="sync, one package added", action="sync", prepare=_added, imports=True),
    Scenario(name="sync, one package removed", action="sync", prepare=_removed, imports=True),
    Scenario(name="sync, one package upgraded", action="sync", prepare=_upgraded, imports=True),
    Scenario(name="switch back to a former lock", action="sync again", prepare=_switched_back, imports=True),
)
SCENARIOS = {scenario.name: scenario for scenario in (*START, *LOCK, *SYNC)}
