"""Extras that the user asks for and that no release has: most often a slip of the pen.

Only what the project's own manifest and those of its workspace's members ask for: what packages ask of each
other is for their authors. What conda brings has no list of extras, and is left out.

Standard: PEP 685 (names of extras).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from envforge.events import Warned
from envforge.manifest.manifest import Manifest
from envforge.model.markers import marker_holds
from envforge.model.requirement import Requirement
from envforge.model.resolution import Pin, TargetResolution
from envforge.resolve.dependencies import active_requirements

_MOST_NAMED = 10


def find_absent_extras(
    resolutions: Sequence[TargetResolution],
    groups: Mapping[str, Mapping[str, Sequence[Requirement]]],
    manifest: Manifest,
) -> list[Warned]:
    """A warning for each extra of a package that the chosen release does not have.

    Args:
        resolutions: of all targets.
        groups: variant → group → what the project asks for.
        manifest: the project's.
    """
    members = list(manifest.member_names)
    found: dict[tuple[str, str], Warned] = {}
    for resolution in resolutions:
        for pin, extra in _absent(resolution):
            who = _who_asks(pin.name, extra, resolution, groups[resolution.target.variant], members)
            if who is not None:
                found.setdefault((pin.name, extra), _warning(pin, extra, who))
    return [found[key] for key in sorted(found)]


def _absent(resolution: TargetResolution) -> Iterator[tuple[Pin, str]]:
    for pin in resolution.pins.values():
        for extra in sorted(pin.extras - pin.metadata.provides_extra):
            # old metadata, and some that is supplied by hand, has what an extra needs but does not list it
            if not any(f'extra == "{extra}"' in requirement.marker for requirement in pin.metadata.requires):
                yield pin, extra


def _who_asks(
    name: str,
    extra: str,
    resolution: TargetResolution,
    groups: Mapping[str, Sequence[Requirement]],
    members: Sequence[str],
) -> str | None:
    """``""`` for the project itself, the name of a member, None where only packages ask for the extra."""
    for who, requirement in _own_requirements(resolution, groups, members):
        if requirement.name == name and extra in requirement.extras:
            return who
    return None


def _own_requirements(
    resolution: TargetResolution, groups: Mapping[str, Sequence[Requirement]], members: Sequence[str]
) -> Iterator[tuple[str, Requirement]]:
    """Who asks (``""`` for the project itself), and for what."""
    for requirements in groups.values():
        for requirement in requirements:
            if marker_holds(requirement.marker, resolution.target):
                yield "", requirement
    for name in members:
        pin = resolution.pins.get(name)
        if pin is not None:
            for requirement in active_requirements(pin.metadata, pin.extras, resolution.target):
                yield name, requirement


def _warning(pin: Pin, extra: str, who: str) -> Warned:
    from envforge.manifest.faults import nearest

    known = sorted(pin.metadata.provides_extra)
    close = nearest(extra, known)
    hint = f"did you mean {pin.name}[{close}]?" if close else "it has none: leave it out"
    if known and not close:
        more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
        hint = f"it has {', '.join(known[:_MOST_NAMED])}{more}"
    asking = f", which {who} asks for" if who else ""
    return Warned(message=f"{pin.name} {pin.version} has no extra {extra}{asking}", hint=hint)
