"""The answer of a resolution, for one target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from envforge.model.release import CoreMetadata, IndexFile
from envforge.model.target import Target
from envforge.struct import Struct

if TYPE_CHECKING:
    from envforge.model.conda import CondaRecord


class Pin(Struct, frozen=True, kw_only=True):
    """The release that was chosen of one project.

    Args:
        name: normalized.
        version: canonical.
        extras: everything that anybody asks of it, united.
        file: what the target installs.
        metadata: of that release.
    """

    name: str
    version: str
    extras: frozenset[str]
    file: IndexFile
    metadata: CoreMetadata


class TargetResolution(Struct, frozen=True, kw_only=True):
    """What one target gets.

    Args:
        target: what was resolved for.
        pins: name → pin.
        groups: group → names of all packages that it reaches.
        conda: the conda part, sorted by name; a requirement that one of its records meets (by
            ``pypi_names``) has no pin.
    """

    target: Target
    pins: Mapping[str, Pin]
    groups: Mapping[str, frozenset[str]]
    conda: tuple[CondaRecord, ...] = ()
