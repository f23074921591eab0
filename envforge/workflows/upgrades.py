"""What a resolution may change of what is locked."""

from __future__ import annotations

from envforge.model.conda import CONDA_MARK
from envforge.struct import Struct


class Upgrades(Struct, frozen=True, kw_only=True):
    """Which locked versions need not be kept.

    Args:
        everything: none is kept.
        packages: names that are not kept, of PyPI or conda; ``conda:NAME`` is of conda only.
        exclude_newer: overrides the manifest's limit for this resolution, an instant or an age, "" for no
            override.
    """

    everything: bool = False
    packages: tuple[str, ...] = ()
    exclude_newer: str = ""

    @property
    def asked(self) -> bool:
        return self.everything or bool(self.packages) or bool(self.exclude_newer)

    @property
    def conda_names(self) -> frozenset[str]:
        """The packages as conda spells them."""
        return frozenset(name.removeprefix(CONDA_MARK).lower() for name in self.packages)
