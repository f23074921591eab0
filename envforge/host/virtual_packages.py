"""Virtual packages of this host: what conda packages may lean on, as it really is.

Source: CEP 30. The variables ``CONDA_OVERRIDE_CUDA``, ``CONDA_OVERRIDE_GLIBC`` and so on hold, empty ones too
(for "has none"). A processor is told with the older ones that it can stand for, so that what was built for
``x86_64`` is not refused on ``x86_64_v3``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from envforge.errors import HostError
from envforge.model.accelerators import Version
from envforge.model.conda import VirtualPackage

if TYPE_CHECKING:
    from rattler import VirtualPackage as Detected

_ANCESTORS = re.compile(r"ancestors: \[([^\]]*)\]")
_OVERRIDE = "CONDA_OVERRIDE_"


def host_virtual_packages(*, cuda: Version | None = None) -> tuple[VirtualPackage, ...]:
    """What this machine has, by name; ``__archspec`` for the processor, then for those it can stand for.

    py-rattler asks NVIDIA's driver in this process, where it may block; it is told what is known instead.

    Args:
        cuda: the newest CUDA that programs here can use, None for none.

    Raises:
        HostError: a variable ``CONDA_OVERRIDE_…`` holds what is no version.
    """
    from rattler import Override, VirtualPackageOverrides
    from rattler import VirtualPackage as Detected
    from rattler.exceptions import DetectVirtualPackageError

    overrides = VirtualPackageOverrides.from_env()
    if f"{_OVERRIDE}CUDA" not in os.environ:
        overrides.cuda = Override.string(f"{cuda[0]}.{cuda[1]}" if cuda is not None else "")
    try:
        detected = Detected.detect(overrides=overrides)
    except DetectVirtualPackageError as error:
        raise _not_detected(str(error)) from None
    packages = (package for each in detected for package in _packages(each))
    return tuple(sorted(packages, key=lambda package: package.name))


def _packages(detected: Detected) -> Iterator[VirtualPackage]:
    generic = detected.into_generic()
    name, version = generic.name.normalized, str(generic.version)
    yield VirtualPackage(name, version, str(generic.build_string))
    if name == "__archspec":
        # py-rattler knows the older ones, and tells them in its repr only
        found = _ANCESTORS.search(repr(detected))
        for ancestor in re.findall(r'"([^"]+)"', found[1]) if found else ():
            yield VirtualPackage(name, version, ancestor)


def _not_detected(reason: str) -> HostError:
    overrides = [
        f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(_OVERRIDE)
    ]
    return HostError(
        "it cannot be told what this host has for conda packages",
        context=[*overrides, f"reason: {reason}"],
        hints=[
            "correct the variable: a version such as 12.8, or nothing for a host without it"
            if overrides
            else "say it by variables, e.g. CONDA_OVERRIDE_GLIBC=2.28"
        ],
    )
