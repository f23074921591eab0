"""What a resolution gets instead of an index for projects that come from one certain place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from envforge.model.sources import DirectSource, direct_sources
from envforge.resolve.references import DirectView, find_references
from envforge.workflows.direct import DirectCatalog

if TYPE_CHECKING:
    from envforge.model.release import PackageSource
    from envforge.model.requirement import Requirement
    from envforge.model.rules import Rules
    from envforge.model.target import Target
    from envforge.workflows.project import FormerLock, Project
    from envforge.workflows.session import Session
    from envforge.workflows.upgrades import Upgrades

Groups = Mapping[str, Sequence["Requirement"]]


class DirectSources:
    """The direct sources of a project, by target: markers decide which URL a requirement has.

    Args:
        project: that names them.
        former: what was locked.
        upgrades: what need not stay as it was.
        session: places, network, reporter.
    """

    def __init__(self, project: Project, former: FormerLock, upgrades: Upgrades, session: Session) -> None:
        self._settings = project.manifest.settings
        self._catalog = DirectCatalog(project, former, upgrades, session)
        self._known: dict[Target, tuple[Groups, DirectView]] = {}

    def facts_for(
        self, target: Target, groups: Groups, base: PackageSource, rules: Rules
    ) -> tuple[Groups, DirectView]:
        """What is asked for on a target, without URLs, and where packages for it come from.

        Raises:
            ManifestError, ResolutionError: a source is wrong, or a project has two.
            EnvforgeError: what is there cannot be fetched, read or built.
        """
        if target not in self._known:
            releases = find_references(
                [requirement for group in groups.values() for requirement in group],
                self._declared(target.variant),
                target,
                rules,
                self._catalog.load,
                self._catalog.read_url,
            )
            view = DirectView(releases, base)
            bare = {group: tuple(view.without_urls(wanted)) for group, wanted in groups.items()}
            self._known[target] = (bare, view)
        return self._known[target]

    def _declared(self, variant: str) -> dict[str, DirectSource]:
        sources = self._settings.sources_of(self._settings.variant(variant))
        return direct_sources(sources)
