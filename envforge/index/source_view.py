"""The indexes of a project as one variant sees them: some projects come from other indexes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from envforge.errors import NetworkError, UnknownPackageError
from envforge.model.rules import NO_RULES, Rules

if TYPE_CHECKING:
    from envforge.index.index_set import IndexSet
    from envforge.model.release import CoreMetadata, IndexFile, ProjectPage
    from envforge.model.requirement import Requirement
    from envforge.model.target import Target


class SourceView:
    """Answers of an index set, each still given once: a :class:`~envforge.model.release.PackageSource`.

    Args:
        indexes: that are asked.
        sources: normalized project → name of the only index that may have it, instead of what the set says.
        place: where in the manifest that stands, for errors: ``tool.envforge.variants.cuda.sources``.
    """

    def __init__(self, indexes: IndexSet, sources: Mapping[str, str], place: str) -> None:
        self._indexes = indexes
        self._sources = sources
        self._place = place

    def page(self, name: str) -> ProjectPage:
        """All releases of a project.

        Raises:
            UnknownPackageError, NetworkError, PackageIndexError: as for the set.
        """
        index = self._sources.get(name)
        if index is None:
            return self._indexes.page(name)
        try:
            return self._indexes.page_on(name, index)
        except NetworkError as error:
            raise error.with_context([*error.context, f"{self._place} sends {name} there"]) from None
        except UnknownPackageError as error:
            raise UnknownPackageError(
                error.message,
                context=[*error.context, f"{self._place} sends {name} there, and nowhere else"],
                hints=[f"name an index that has it in {self._place}, or take {name} out of it"],
                package=name,
            ) from None

    def metadata(self, file: IndexFile) -> CoreMetadata:
        """The metadata of the release that a file belongs to, as of the set."""
        return self._indexes.metadata(file)

    def prefetch(
        self,
        requirements: Iterable[Requirement],
        targets: Sequence[Target],
        preferred: Mapping[str, str],
        rules: Rules = NO_RULES,
    ) -> None:
        """Fetch what a resolution for some of the targets will probably ask for."""
        from envforge.index.prefetch import crawl

        crawl(self, requirements, targets, preferred, self._indexes.connections, rules)
