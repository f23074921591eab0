"""Conda channels behind :class:`envforge.model.conda.CondaSource`: py-rattler's gateway and solver.

One gateway and one event loop live as long as the object, and the gateway keeps the records that it has
read, so that a refined question costs one solve and no loading.

Standards: CEP 16 (shards), CEP 29 (match specs), CEP 36 (repodata), strict channel priority.
"""

from __future__ import annotations

import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from envforge.metadata.conda_names import possible_conda_names, pypi_names_of
from envforge.metadata.rattler_records import from_rattler, to_rattler
from envforge.model.conda import CondaQuestion, CondaRecord, CondaUnsolvableError
from envforge.net.auth import split_credentials

if TYPE_CHECKING:
    from asyncio import Runner

    from rattler import Channel, Gateway, GenericVirtualPackage, RepoDataRecord

    from envforge.net.settings import NetworkSettings

T = TypeVar("T")
NOARCH = "noarch"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLocation:
    """A channel.

    Args:
        name: what the manifest calls it.
        url: where its subdirs are; may hold credentials.
    """

    name: str
    url: str = field(repr=False)

    @property
    def clean_url(self) -> str:
        """The URL without credentials and without a slash at its end, for records, locks and messages."""
        return split_credentials(self.url)[0].rstrip("/")


class CondaChannels:
    """The channels of a manifest; implements :class:`envforge.model.conda.CondaSource`."""

    def __init__(
        self,
        channels: Sequence[ChannelLocation],
        network: NetworkSettings,
        environ: Mapping[str, str],
        cache: Path,
        *,
        exclude_newer: str = "",
        conda_pypi_map: Mapping[str, str] = {},
        now_s: float = 0.0,
    ) -> None:
        self._locations = tuple(channels)
        self._network = network
        self._environ = environ
        self._cache = cache
        self._exclude_newer = exclude_newer
        self._overrides = conda_pypi_map
        self._now_s = now_s
        self._answers: dict[CondaQuestion, tuple[CondaRecord, ...] | CondaUnsolvableError] = {}
        self._rows: dict[tuple[str, str], list[RepoDataRecord]] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._lock = threading.RLock()
        self._runner: Runner | None = None
        self._gateway: Gateway | None = None
        self._channels: list[Channel] = []

    def __enter__(self) -> CondaChannels:
        return self

    def __exit__(self, *_: object) -> None:
        if self._runner is not None:
            self._runner.close()

    def solve(self, question: CondaQuestion) -> tuple[CondaRecord, ...]:
        answer = self._answers.get(question)
        if answer is None:
            try:
                answer = self._solve(question)
            except CondaUnsolvableError as error:
                answer = error
            self._answers[question] = answer
        if isinstance(answer, CondaUnsolvableError):
            raise answer
        return answer

    def versions(self, name: str, platform: str) -> Sequence[str]:
        return tuple({str(row.version) for row in self._records(name, platform)})

    def pypi_names(self, name: str, platform: str) -> Sequence[str]:
        found: set[str] = set()
        for row in self._records(name, platform):
            found.update(from_rattler(row, self._pypi_names_of).pypi_names)
        return tuple(sorted(found))

    def conda_names(self, pypi_name: str, platform: str) -> Sequence[str]:
        return tuple(
            name
            for name in possible_conda_names(pypi_name, self._overrides)
            if pypi_name in self.pypi_names(name, platform)
        )

    def names(self, platform: str) -> frozenset[str]:
        if platform not in self._names:
            gateway = self._open()
            found = self._run(gateway.names(self._channels, [platform, NOARCH]))  # type: ignore[list-item]
            self._names[platform] = frozenset(name.normalized for name in found)
        return self._names[platform]

    def similar_names(self, name: str, platform: str) -> tuple[str, ...]:
        from difflib import get_close_matches

        return tuple(get_close_matches(name, self.names(platform), n=3, cutoff=0.8))

    def _records(self, name: str, platform: str) -> list[RepoDataRecord]:
        if (name, platform) not in self._rows:
            gateway = self._open()
            found = self._run(gateway.query(self._channels, [platform, NOARCH], [name], recursive=False))  # type: ignore[list-item]
            self._rows[name, platform] = next((rows for rows in found if rows), [])
        return self._rows[name, platform]

    def _solve(self, question: CondaQuestion) -> tuple[CondaRecord, ...]:
        import rattler
        from rattler.exceptions import SolverError

        gateway = self._open()
        try:
            rows = self._run(
                rattler.solve(
                    self._channels,
                    question.specs,
                    gateway=gateway,
                    platforms=[question.platform, NOARCH],  # type: ignore[list-item]
                    locked_packages=[to_rattler(record) for record in question.preferred],
                    virtual_packages=_virtual_packages(question),
                    constraints=question.constraints,
                )
            )
        except SolverError as error:
            raise CondaUnsolvableError("conda has no solution", context=str(error).splitlines()) from None
        records = (from_rattler(row, self._pypi_names_of) for row in rows)
        return tuple(sorted(records, key=lambda record: record.name))

    def _pypi_names_of(
        self, name: str, noarch: str, depends: Sequence[str], purls: Sequence[str]
    ) -> tuple[str, ...]:
        return pypi_names_of(name, noarch, depends, purls, self._overrides)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        from asyncio import Runner

        with self._lock:
            if self._runner is None:
                self._runner = Runner()
            return self._runner.run(work)

    def _open(self) -> Gateway:
        if self._gateway is None:
            from rattler import Channel, Gateway

            self._gateway = Gateway(cache_dir=self._cache / "repodata-v1")
            self._channels = [Channel(location.clean_url) for location in self._locations]
        return self._gateway


def _virtual_packages(question: CondaQuestion) -> list[GenericVirtualPackage]:
    from rattler import BuildString, GenericVirtualPackage, PackageName, Version

    return [
        GenericVirtualPackage(PackageName(package.name), Version(package.version), BuildString(package.build))
        for package in question.virtual_packages
    ]
