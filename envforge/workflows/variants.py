"""Which variant of a project this host gets.

What the user names (``--variant``, then ``ENVFORGE_VARIANT``) wins; else what this host got before, so that
nothing flips by itself; else the first variant whose condition holds here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from envforge.environment.variant_memory import RememberedVariant, read_variant, write_variant
from envforge.errors import HostError, LockError, UsageError
from envforge.events import Warned
from envforge.host.facts import host_platform
from envforge.host.paths import project_environments_folder
from envforge.manifest.manifest import Manifest, Variant
from envforge.model.lock import Lock, LockedTarget
from envforge.model.names import normalize_name
from envforge.model.variant import AUTO
from envforge.workflows.chosen_variant import NO_CHOICE, ChosenVariant
from envforge.workflows.session import Session

if TYPE_CHECKING:
    from envforge.model.accelerators import HostFacts

VARIABLE = "ENVFORGE_VARIANT"


def choose_for_host(manifest: Manifest, lock: Lock, asked: str, session: Session) -> ChosenVariant:
    """The variant that this host gets.

    Args:
        manifest: has the variants.
        lock: fits it, and has something for this platform.
        asked: what the user named as an option, ``auto`` to have one chosen again, ``""`` for nothing.
        session: the surroundings; says so when what is remembered is no longer what the host is like.

    Raises:
        UsageError: there is no such variant, or none at all.
        HostError: the named one is not for this platform, or none is for this host.
    """
    variants = manifest.settings.variants
    if not variants:
        if asked and asked != AUTO:
            raise UsageError(
                f"the project has no variants, so there is none named {asked!r}",
                hints=["declare it: [tool.envforge.variants.NAME] in pyproject.toml"],
            )
        return NO_CHOICE
    platform = host_platform()
    wanted, origin = (asked, "--variant") if asked else (session.environ.get(VARIABLE, ""), VARIABLE)
    if wanted and wanted != AUTO:
        name = known_variant(manifest, wanted, origin)
        _require_target(lock, platform, name)
        return ChosenVariant(name=name, reason=f"named by {origin}", is_asked=True)
    here = [each for each in variants if lock.target_for(f"{platform}:{each.name}")]
    remembered = None if wanted else _remembered(here, variants, platform, session)
    if remembered is not None:
        return remembered
    from envforge.plan.variant_choice import choose_variant

    choice = choose_variant(here, _host_facts(session))
    return ChosenVariant(name=choice.name, reason=choice.reason)


def known_variant(manifest: Manifest, name: str, origin: str) -> str:
    """The normalized name of a variant of the project.

    Raises:
        UsageError: there is none of that name.
    """
    known = [each.name for each in manifest.settings.variants]
    if normalize_name(name) in known:
        return normalize_name(name)
    from difflib import get_close_matches

    close = get_close_matches(normalize_name(name), known, 1)
    hint = f"did you mean {close[0]}?" if close else f"declared: {', '.join(known) or 'none'}"
    raise UsageError(f"{origin}: the project has no variant named {name!r}", hints=[hint])


def remember_choice(manifest: Manifest, choice: ChosenVariant, session: Session) -> None:
    """Keep to a choice on this host from now on; its environment is there."""
    if choice.name:
        folder = project_environments_folder(session.places.tier, session.root)
        conditions = _conditions(manifest.settings.variants)
        remembered = RememberedVariant(name=choice.name, is_asked=choice.is_asked, conditions=conditions)
        write_variant(folder, host_platform(), remembered)


def locked_target(lock: Lock, platform: str, variant: str) -> LockedTarget:
    """The target of a platform and variant.

    Raises:
        LockError: the lock has nothing for the platform.
        HostError: it has nothing for the variant there.
    """
    if not variant:
        target = lock.target_for(platform)
        if target is None:
            raise nothing_for(lock, platform)
        return target
    _require_target(lock, platform, variant)
    return next(target for target in lock.targets_on(platform) if target.target.variant == variant)


def nothing_for(lock: Lock, platform: str) -> LockError:
    """The error for a platform that is not locked."""
    locked = ", ".join(sorted({target.target.platform for target in lock.targets}))
    return LockError(
        f"the lock has nothing for this platform, {platform}",
        context=[f"it is for {locked}"],
        hints=[f'add "{platform}" to tool.envforge.platforms and run: envforge lock'],
    )


def _require_target(lock: Lock, platform: str, variant: str) -> None:
    if lock.target_for(f"{platform}:{variant}"):
        return
    others = [target.target.platform for target in lock.targets if target.target.variant == variant]
    here = [target.target.variant for target in lock.targets_on(platform)]
    raise HostError(
        f"variant {variant} is not for {platform}",
        context=[f"it is locked for {', '.join(others)}"] if others else [],
        hints=[f"for {platform} there is: {', '.join(here)}"] if here else [],
    )


def _remembered(
    here: Sequence[Variant], variants: Sequence[Variant], platform: str, session: Session
) -> ChosenVariant | None:
    """What this host got before, if it is still there; what nobody named, only under the same conditions."""
    folder = project_environments_folder(session.places.tier, session.root)
    known = read_variant(folder, platform)
    if known is None or known.name not in [each.name for each in here]:
        return None
    if known.is_asked:
        return ChosenVariant(name=known.name, reason="named in an earlier sync on this host", is_asked=True)
    if known.conditions != _conditions(variants):
        return None
    _tell_if_outdated(known.name, here, session)
    return ChosenVariant(name=known.name, reason="chosen in an earlier sync on this host")


def _tell_if_outdated(name: str, here: Sequence[Variant], session: Session) -> None:
    """Say so where the host would get another variant by now; it is not changed behind anybody's back."""
    from envforge.plan.variant_choice import choose_variant, unmet_conditions

    host = _host_facts(session)
    try:
        choice = choose_variant(here, host)
    except HostError:
        choice = None
    if choice is not None and choice.name == name:
        return
    condition = next(each.condition for each in here if each.name == name)
    unmet = ", ".join(unmet_conditions(condition, host))
    message = (
        f"variant {name} is kept, although this host no longer meets it: {unmet}"
        if unmet
        else f"variant {name} is kept, although {choice.name if choice else ''} is for this host by now"
    )
    session.reporter.report(Warned(message=message, hint="to choose again: envforge sync --variant auto"))


def _conditions(variants: Sequence[Variant]) -> tuple[str, ...]:
    return tuple(f"{each.name}: {each.condition}" for each in variants)


def _host_facts(session: Session) -> HostFacts:
    from envforge.host.accelerators import detect_host_facts

    return detect_host_facts(session.environ, session.places.cache, now_s=session.now_s)
