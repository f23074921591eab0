"""Virtual packages of this host: what conda packages may lean on, as it really is.

Source: CEP 30. ``CONDA_OVERRIDE_CUDA`` and the other ``CONDA_OVERRIDE_*`` variables hold.
"""

from __future__ import annotations

from envforge.model.conda import VirtualPackage


def host_virtual_packages() -> tuple[VirtualPackage, ...]:
    """What this machine has, sorted by name. Looks for the driver of a GPU, too."""
    from rattler import VirtualPackage as Detected
    from rattler import VirtualPackageOverrides

    found = (each.into_generic() for each in Detected.detect(overrides=VirtualPackageOverrides.from_env()))
    return tuple(
        sorted(
            VirtualPackage(each.name.normalized, str(each.version), str(each.build_string)) for each in found
        )
    )
