"""Conda channels behind :class:`envforge.model.conda.CondaSource`.

Which records and names there are, what PyPI projects they stand for, and answers of the solver as values;
all remembered. The talking is done by :mod:`envforge.index.conda_gateway`.

Standards: CEP 29 (match specs), CEP 36 (repodata); strict channel priority, in the order of the manifest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from envforge.errors import CondaUnsolvableError, RequirementError
from envforge.index.conda_gateway import NOARCH, ChannelGateway, SolverQuestion
from envforge.index.conda_rows import (
    can_be_asked,
    days_past,
    is_for_another_python,
    is_old_enough,
    last_instant,
    runs_on,
)
from envforge.metadata.conda_names import other_conda_names, pypi_names_of
from envforge.metadata.rattler_records import from_rattler
from envforge.model.conda import CondaQuestion, CondaRecord
from envforge.model.names import normalize_name
from envforge.net.conda_client import ChannelLocation
from envforge.struct import replace

if TYPE_CHECKING:
    from rattler import GenericVirtualPackage, RepoDataRecord

    from envforge.model.target import Target
    from envforge.net.settings import NetworkSettings

__all__ = ["ChannelLocation", "CondaChannels"]

_MOST_REPORT_LINES = 60
_REPORT_START = "Cannot solve the request because of: "
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_NOBODY_HAS = re.compile(r"No candidates were found for (\S+)")


class _Package(NamedTuple):
    """What the channels have under a name, for a platform."""

    versions: frozenset[str]
    rows: Sequence[RepoDataRecord]


class CondaChannels:
    """The channels of a manifest; implements :class:`envforge.model.conda.CondaSource`.

    Of two channels that have a package, for a platform or as ``noarch``, only the first is looked at.

    Args:
        channels: in the order of their priority.
        network: offline, refresh, retries, time limit.
        environ: for ``${VARIABLES}`` in URLs and for credentials.
        cache: root of the cache.
        exclude_newer: instant (``2026-11-01T00:00:00Z``) before which records had to be indexed, or built
            where the channel does not tell when it indexed them; those without any time are left out, as
            files of an index are. ``""`` for any time.
        conda_pypi_map: conda name → PyPI name, ``""`` for none; before all else that is known of names.
        now_s: seconds since the epoch; rattler looks at the clock itself.

    Raises:
        ManifestError: a variable in a URL is not set.
    """

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
        self._gateway = ChannelGateway(
            [channel.expand(environ) for channel in channels], network, environ, cache
        )
        self._last_instant = last_instant(exclude_newer)
        self._overrides = conda_pypi_map
        self._answers: dict[CondaQuestion, tuple[CondaRecord, ...] | CondaUnsolvableError] = {}
        self._records: dict[str, CondaRecord] = {}
        self._packages: dict[tuple[str, str], _Package] = {}
        self._pypi_names: dict[tuple[str, str], tuple[str, ...]] = {}
        self._preferred: dict[tuple[str, tuple[CondaRecord, ...]], list[RepoDataRecord]] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._names_in: dict[str, frozenset[str]] = {}
        self._spellings: dict[str, Mapping[str, Sequence[str]]] = {}
        self._conda_names: dict[tuple[str, str], tuple[str, ...]] = {}
        self._learned: dict[tuple[str, str], set[str]] = {}

    def __enter__(self) -> CondaChannels:
        return self

    def __exit__(self, *_: object) -> None:
        self._gateway.close()

    def solve(self, question: CondaQuestion) -> tuple[CondaRecord, ...]:
        """The best set of records, sorted by name.

        What is preferred counts as far as the channels still have it.

        Raises:
            CondaUnsolvableError: there is none.
            RequirementError: a spec is no match spec.
            NetworkError: a channel did not answer.
            PackageIndexError: a channel is none, or its answer cannot be used.
        """
        answer = self._answers.get(question)
        if answer is None:
            try:
                answer = self._solve(question)
            except CondaUnsolvableError as error:
                answer = error
            self._answers[question] = answer
        if isinstance(answer, CondaUnsolvableError):
            raise answer.with_traceback(None)
        return answer

    def load(self, names: Sequence[str], platforms: Sequence[str]) -> None:
        """Learn of some packages for several platforms at once; what fails is asked when it is needed."""
        valid = [name for name in dict.fromkeys(map(str.lower, names)) if _NAME.fullmatch(name)]
        for platform, answers in zip(platforms, self._gateway.query_all(valid, platforms), strict=True):
            if answers is not None:
                self._remember(valid, platform, answers)

    def solve_ahead(self, questions: Sequence[CondaQuestion]) -> None:
        """Have the answers of several questions, which are worked out at once; what fails is asked again."""
        asked = [question for question in questions if question not in self._answers]
        if len(asked) < 2:
            return
        answers = self._gateway.solve_all([self._solver_question(question) for question in asked])
        for question, rows in zip(asked, answers, strict=True):
            if rows is not None:
                self._answers[question] = self._answer(question, rows)

    def versions(self, name: str, platform: str) -> Sequence[str]:
        """All versions of a package in the channel that is used for it, in no order; newer ones too."""
        return tuple(self._package(name, platform).versions)

    def admitted_versions(self, name: str, platform: str) -> Sequence[str]:
        """Those of :meth:`versions` of which some record is as old as it has to be, in no order."""
        rows = self._package(name, platform).rows
        return tuple({str(row.version) for row in rows if is_old_enough(row, self._last_instant)})

    def left_out(self, name: str, match_spec: str, platform: str) -> Mapping[str, str]:
        """Version → day (``2026-01-31``) of its first record that would do but for ``exclude_newer``.

        Records without any time are not among them: no other limit would let them in.
        """
        return days_past(self._package(name, platform).rows, match_spec, self._last_instant)

    def has_version(self, name: str, version: str, target: Target) -> bool:
        """Whether some record of a version is for a target, old enough, and not for another minor Python."""
        return any(
            str(row.version) == version
            and is_old_enough(row, self._last_instant)
            and not is_for_another_python(row, target.python_minor)
            for row in self._package(name, target.platform).rows
        )

    def pypi_names(self, name: str, platform: str) -> Sequence[str]:
        """The PyPI projects that some record of a package is, sorted."""
        key = (name.lower(), platform)
        if key not in self._pypi_names:
            self._pypi_names[key] = self._pypi_names_of_rows(key[0], self._package(*key).rows)
        return self._pypi_names[key]

    def conda_names(self, pypi_name: str, platform: str) -> Sequence[str]:
        """The packages that may stand for a PyPI project on a platform, sorted."""
        known = self._conda_names.get((pypi_name, platform))
        if known is None:
            possible = self._spelled(pypi_name, platform) | self.other_names(pypi_name, platform)
            self._load(sorted(possible), platform)
            known = self._conda_names[pypi_name, platform] = tuple(
                sorted(name for name in possible if pypi_name in self.pypi_names(name, platform))
            )
        return known

    def other_names(self, pypi_name: str, platform: str) -> set[str]:
        """Packages that may be a project though their names are not like its name."""
        learned = self._learned.get((pypi_name, platform), ())
        return {*other_conda_names(pypi_name, self._overrides), *learned}

    def records(self, name: str, platform: str) -> list[CondaRecord]:
        """All records of a package for a platform, of every channel."""
        rows = [row for rows in self._gateway.query([name], platform) for row in rows]
        return [self._record_of(row) for row in rows]

    def names(self, platform: str) -> frozenset[str]:
        """All names of packages for a platform, those of ``noarch`` too."""
        if platform not in self._names:
            for subdir in (platform, NOARCH):
                if subdir not in self._names_in:
                    self._names_in[subdir] = self._gateway.names(subdir)
            self._names[platform] = self._names_in[platform] | self._names_in[NOARCH]
        return self._names[platform]

    def _spelled(self, pypi_name: str, platform: str) -> set[str]:
        """Names that PyPI would spell like this: all those of packages, and perhaps of none."""
        if "-" not in pypi_name:  # then there is one way to spell it
            return {pypi_name}
        names = self.names(platform)  # to read them takes 5 ms for each subdir
        if platform not in self._spellings:
            spellings: dict[str, list[str]] = {}
            for name in names:  # 250 of 3,248 names of conda-forge are spelled otherwise on PyPI
                if "_" in name or "." in name or "--" in name:
                    spellings.setdefault(normalize_name(name), []).append(name)
            self._spellings[platform] = spellings
        return {*self._spellings[platform].get(pypi_name, ()), *([pypi_name] if pypi_name in names else [])}

    def similar_names(self, name: str, platform: str) -> tuple[str, ...]:
        """The names that are most like one that nobody has, best first; at most three."""
        from difflib import get_close_matches

        return tuple(get_close_matches(name.lower(), sorted(self.names(platform)), n=3, cutoff=0.75))

    def _package(self, name: str, platform: str) -> _Package:
        name = name.lower()
        self._load((name,), platform)
        return self._packages[name, platform]

    def _load(self, names: Sequence[str], platform: str) -> None:
        """Learn of some packages what is not known yet, by one question."""
        unknown = [name for name in names if (name, platform) not in self._packages]
        if not unknown:
            return
        valid = [name for name in unknown if _NAME.fullmatch(name)]
        self._remember(unknown, platform, self._gateway.query(valid, platform) if valid else [])

    def _remember(self, names: Sequence[str], platform: str, answers: Sequence[list[RepoDataRecord]]) -> None:
        """What the channels, in their order, have answered about some packages."""
        found: dict[str, tuple[str, list[RepoDataRecord]]] = {}
        for rows in answers:
            for row in rows:
                channel, of_name = found.setdefault(row.name.normalized, (row.channel, []))
                if row.channel == channel:  # else a channel before it has the package
                    of_name.append(row)
        for name in names:
            rows = [row for row in found[name][1] if runs_on(row, platform)] if name in found else []
            self._packages[name, platform] = _Package(frozenset(str(row.version) for row in rows), rows)

    def _pypi_names_of_rows(self, name: str, rows: Iterable[RepoDataRecord]) -> tuple[str, ...]:
        found: set[str] = set()
        for row in rows:
            text = row.to_json()
            purls = json.loads(text).get("purls") or () if '"purls"' in text else ()
            found.update(self._pypi_names_of(name, "python" if row.noarch.python else "", row.depends, purls))
        return tuple(sorted(found))

    def _pypi_names_of(
        self, name: str, noarch: str, depends: Sequence[str], purls: Sequence[str]
    ) -> tuple[str, ...]:
        return pypi_names_of(name, noarch, depends, purls, self._overrides)

    def _solve(self, question: CondaQuestion) -> tuple[CondaRecord, ...]:
        from rattler.exceptions import InvalidMatchSpecError, InvalidVersionError, SolverError

        try:
            rows = self._gateway.solve(self._solver_question(question))
        except SolverError as error:
            raise self._unsolvable(question, str(error)) from None
        except (InvalidMatchSpecError, InvalidVersionError) as error:
            raise _explain_spec(question, error) from None
        return self._answer(question, rows)

    def _answer(self, question: CondaQuestion, rows: Iterable[RepoDataRecord]) -> tuple[CondaRecord, ...]:
        records = sorted((self._record_of(row) for row in rows), key=lambda record: record.name)
        self._learn(records, question.platform)
        return tuple(records)

    def _solver_question(self, question: CondaQuestion) -> SolverQuestion:
        specs, constraints = self._strict_specs(question)
        last = self._last_instant
        return SolverQuestion(
            platform=question.platform,
            specs=specs,
            constraints=constraints,
            virtual_packages=_virtual_packages(question),
            preferred=self._preferred_rows(question.platform, question.preferred),
            exclude_newer=last.replace(tzinfo=None) if last else None,
        )

    def _strict_specs(self, question: CondaQuestion) -> tuple[list[str], list[str]]:
        """(specs, constraints) that ask the same.

        Of the packages that are named in a spec the gateway gives the solver only those records that meet it.
        If the first channel has none, the solver never hears that it has the package, and takes one of the
        next channel in spite of the strict priority. So with several channels a spec only names its package,
        and the rest of it is a constraint.
        """
        if len(self._gateway.channels) < 2:
            return list(question.specs), list(question.constraints)
        names = {found[0] for spec in question.specs if (found := _NAME.match(spec))}
        return sorted(names), [*question.constraints, *question.specs]

    def _preferred_rows(self, platform: str, preferred: tuple[CondaRecord, ...]) -> list[RepoDataRecord]:
        """The records to keep as the channels have them now: with the dependencies that were mended since.

        The solver takes what it is told to prefer as it is, whether a channel still has it or not.
        """
        if not preferred:
            return []
        key = (platform, preferred)
        if key not in self._preferred:
            urls = {record.url for record in preferred}
            specs = sorted(
                {f"{record.name} =={record.version}" for record in preferred if can_be_asked(record)}
            )
            rows = [row for rows in self._gateway.query(specs, platform) for row in rows]
            self._preferred[key] = [
                row
                for row in rows
                if self._gateway.public_url(row.url) in urls and is_old_enough(row, self._last_instant)
            ]
        return self._preferred[key]

    def _record_of(self, row: RepoDataRecord) -> CondaRecord:
        """A row as a value; most of a refined answer was in the one before."""
        known = self._records.get(row.url)
        if known is None:
            record = from_rattler(row, self._pypi_names_of)
            known = self._records[row.url] = replace(
                record,
                url=self._gateway.public_url(record.url),
                channel=self._gateway.public_url(record.channel),
            )
        return known

    def _learn(self, records: Iterable[CondaRecord], platform: str) -> None:
        """Projects that a record is by its purls alone: no name leads to it."""
        for record in records:
            for pypi_name in record.pypi_names if record.purls else ():
                known = self._learned.setdefault((pypi_name, platform), set())
                if record.name not in known:
                    known.add(record.name)
                    self._conda_names.pop((pypi_name, platform), None)

    def _unsolvable(self, question: CondaQuestion, report: str) -> CondaUnsolvableError:
        lines = [line for line in report.removeprefix(_REPORT_START).splitlines() if line.strip()]
        left_out = len(lines) - _MOST_REPORT_LINES
        if left_out > 0:
            lines[_MOST_REPORT_LINES:] = [f"… and {left_out} lines more"]
        missing = [name for name in _NOBODY_HAS.findall(report) if name not in self.names(question.platform)]
        return CondaUnsolvableError(
            f"conda has no packages for {question.platform} that meet all match specs together",
            context=[self._gateway.public_url(line) for line in lines],
            hints=[
                f"did you mean {close} for {name}?"
                for name in missing
                for close in self.similar_names(name, question.platform)[:1]
            ],
        )


def _virtual_packages(question: CondaQuestion) -> list[GenericVirtualPackage]:
    from rattler import BuildString, GenericVirtualPackage, PackageName, Version

    return [
        GenericVirtualPackage(PackageName(package.name), Version(package.version), BuildString(package.build))
        for package in question.virtual_packages
    ]


def _explain_spec(question: CondaQuestion, error: Exception) -> RequirementError:
    """Which of the specs rattler cannot read; it says what is wrong, and not of which."""
    from rattler import MatchSpec
    from rattler.exceptions import InvalidMatchSpecError

    for spec in (*question.specs, *question.constraints):
        try:
            MatchSpec(spec, strict=True)
        except InvalidMatchSpecError as reason:
            return RequirementError(f"{spec!r} is not a match spec", context=[str(reason).splitlines()[0]])
    return RequirementError("a virtual package cannot be read", context=[str(error).splitlines()[0]])
