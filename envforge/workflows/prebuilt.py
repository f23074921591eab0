"""Wheels that somebody has built already, by patterns of URLs: taken for sdists where they match the lock.

They are looked for when a project is locked, so that the lock has their hashes like any other's. One that
was locked before is not looked for again, unless all is upgraded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from envforge.events import Warned
from envforge.plan.prebuilt import fill_pattern, find_contradiction
from envforge.struct import Struct, replace

if TYPE_CHECKING:
    from envforge.index.index_set import IndexSet
    from envforge.model.lock import Lock
    from envforge.model.release import IndexFile
    from envforge.model.resolution import Pin, TargetResolution
    from envforge.model.rules import Rules
    from envforge.workflows.session import Session


class Prebuilt(Struct, frozen=True, kw_only=True):
    """Looks for wheels.

    Args:
        patterns: normalized project name → patterns, best first.
        former: locks whose files need no look.
        rules: of the project.
        source: reads metadata and fetches.
        session: places, reporter.
    """

    patterns: Mapping[str, Sequence[str]]
    former: Sequence[Lock]
    rules: Rules
    source: IndexSet
    session: Session

    def put_into(self, resolutions: Sequence[TargetResolution]) -> list[TargetResolution]:
        """The resolutions with wheels in the place of sdists; where there is none, that is told.

        Raises:
            OfflineError, NetworkError: nobody knows whether there is one.
        """
        absent: dict[str, dict[str, str]] = defaultdict(dict)
        found = [self._put_into(resolution, absent) for resolution in resolutions]
        for name, reasons in absent.items():
            first = next(iter(reasons.values()))
            message = f"{name} has no prebuilt wheel for {', '.join(reasons)}: it has to be built there"
            self.session.reporter.report(Warned(message=message, hint=first))
        return found

    def _put_into(self, resolution: TargetResolution, absent: dict[str, dict[str, str]]) -> TargetResolution:
        pins = dict(resolution.pins)
        for name in self.patterns.keys() & pins.keys():
            file_there = pins[name].file
            if file_there.is_wheel or file_there.origin is not None or self.rules.wants_sdist(name):
                continue
            reasons: list[str] = []
            file = next(self._find(pins[name], resolution, reasons), None)
            if file is not None:
                pins[name] = replace(pins[name], file=file)
            else:
                absent[f"{name} {pins[name].version}"][resolution.target.id] = "; ".join(reasons)
        return replace(resolution, pins=pins)

    def _find(self, pin: Pin, resolution: TargetResolution, reasons: list[str]) -> Iterator[IndexFile]:
        """The wheels of all patterns that can be taken; why the others cannot goes to ``reasons``."""
        for pattern in self.patterns[pin.name]:
            file = fill_pattern(pattern, pin, resolution)
            if isinstance(file, str):
                reasons.append(file)
            elif (locked := self._locked(file)) is not None:
                yield locked
            elif not self.source.has_file(file):
                reasons.append(f"there is no {file.url}")
            elif fault := self._contradiction(file, pin, resolution):
                reasons.append(f"{file.filename}: {fault}")
            else:
                yield self._fetch(file)

    def _locked(self, file: IndexFile) -> IndexFile | None:
        """The file as it was locked before."""
        for lock in self.former:
            for package in lock.packages.values():
                for known in package.files:
                    if known.url == file.url:
                        return file._replace(sha256=known.sha256, size_bytes=known.size_bytes)
        return None

    def _contradiction(self, file: IndexFile, pin: Pin, resolution: TargetResolution) -> str:
        """What the wheel says that the lock does not; supplied metadata is the user's word against it."""
        metadata = self.source.metadata(file)
        if self.rules.supplied_for(pin.name, pin.version) is not None:
            return ""
        return find_contradiction(metadata, pin, resolution)

    def _fetch(self, file: IndexFile) -> IndexFile:
        """The file with its hash. Its archive is kept where it can be, so that it does not come twice."""
        from envforge.store.layout import tree_id
        from envforge.workflows.built_wheels import keep_archive

        with self.source.unlisted_archive(file) as (archive, known), suppress(OSError):
            keep_archive(archive, tree_id(known.sha256), known.filename, self.session)
        return known
