"""``tool.envforge.build-constraints`` against what builds had before, and what is locked for one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from envforge.hashing import sha256
from envforge.model.target import SystemAssumptions, Target

if TYPE_CHECKING:
    from envforge.model.host import Interpreter
    from envforge.model.requirement import Requirement
    from envforge.workflows.workshop import Workshop

Constraints: TypeAlias = "Mapping[str, Sequence[Requirement]]"
"""Project → the build constraints on it that hold here."""


def build_target(interpreter: Interpreter) -> Target:
    """What builds are for: this host, with this Python."""
    return Target(
        platform=interpreter.platform,
        python=interpreter.version,
        system=SystemAssumptions(glibc=interpreter.glibc or SystemAssumptions().glibc),
    )


def build_constraints(workshop: Workshop) -> Constraints:
    """The constraints that hold for builds here; a manifest without any pays nothing for them.

    Raises:
        ManifestError: one cannot be read.
    """
    rules = workshop.manifest.settings.rules
    if rules is None or not rules.build_constraints:
        return {}
    from envforge.manifest.rules import build_rules
    from envforge.model.markers import marker_holds

    target = build_target(workshop.interpreter)
    holding = {
        name: [each for each in constraints if marker_holds(each.marker, target)]
        for name, constraints in build_rules(workshop.manifest).constraints.items()
    }
    return {name: constraints for name, constraints in holding.items() if constraints}


def record_keys(key: str, constraints: Constraints) -> list[str]:
    """The digests under which a build may be noted, the last of them where it is in any case.

    ``key`` is that of a build without constraints, or of the first one that there was. With constraints it
    has another, too: projects that contradict each other do not take each other's place.
    """
    if not constraints:
        return [key]
    texts = sorted(str(each) for wanted in constraints.values() for each in wanted)
    return [key, sha256("\n".join([key, *texts]).encode()).hexdigest()[: len(key)]]


def broken_constraint(name: str, version: str, constraints: Constraints) -> Requirement | None:
    """The constraint that does not admit a version, None for none."""
    if name not in constraints:
        return None
    from envforge.model.requirement import specifier_admits

    broken = (each for each in constraints[name] if not specifier_admits(each.specifier, version))
    return next(broken, None)


def are_admitted(contents: Iterable[str], constraints: Constraints) -> bool:
    """Whether ``name==version`` of all that a build had may have been there."""
    pairs = (each.partition("==") for each in contents)
    return all(broken_constraint(name, version, constraints) is None for name, _, version in pairs)
