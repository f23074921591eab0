"""From a manifest to its targets: what there is to resolve."""

from __future__ import annotations

from envforge.manifest.manifest import NO_VARIANT, Settings
from envforge.model.target import Target


def manifest_targets(settings: Settings, python: str) -> list[Target]:
    """Every platform with every variant that can hold there, in the order of the manifest.

    Args:
        settings: of the manifest.
        python: ``3.12`` or ``3.12.4``, of all targets.
    """
    return [
        Target(
            platform=platform,
            python=python,
            system=variant.condition.assumptions(settings.system),
            variant=variant.name,
        )
        for platform in settings.platforms
        for variant in settings.variants or (NO_VARIANT,)
        if variant.condition.can_hold_on(platform)
    ]
