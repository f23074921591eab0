"""Crawls ahead of the resolver, so that a cold lock waits for many answers at once.

The crawl follows requirements as the resolver will: the same choice of a candidate, for the first
target that a requirement concerns. It decides nothing; where it guesses wrong the resolver asks for
what is missing. All decisions are made in the calling thread; workers only fetch and parse.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from queue import SimpleQueue

from envforge.errors import EnvforgeError
from envforge.model.markers import marker_holds
from envforge.model.release import CoreMetadata, IndexFile, PackageSource
from envforge.model.requirement import Requirement
from envforge.model.rules import NO_RULES, Rules
from envforge.model.target import Target
from envforge.resolve.candidates import Candidate, CandidateFinder


def crawl(
    source: PackageSource,
    requirements: Iterable[Requirement],
    targets: Sequence[Target],
    preferred: Mapping[str, str],
    connections: int,
    rules: Rules = NO_RULES,
) -> None:
    """Ask ``source`` for all pages and metadata that a resolution will probably need.

    Args:
        source: must remember its answers, and allow many threads.
        requirements: where to begin.
        targets: what will be resolved for.
        preferred: name → version that is probably chosen.
        connections: most questions at one time.
        rules: what the project says over the heads of packages.
    """
    crew = _Crew(connections)
    try:
        crawler = _Crawler(source, targets, preferred, crew, rules)
        for requirement in rules.overridden(requirements):
            crawler.follow(requirement, ())
        crew.drain()
    finally:
        crew.dismiss()


class _Crew:
    """Daemon threads, started when there is something to do, so that Ctrl-C need not wait for them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._threads: list[threading.Thread] = []
        self._tasks: SimpleQueue[tuple[Callable[[], object], Callable[[], None]] | None] = SimpleQueue()
        self._finished: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._open = 0

    def submit(self, task: Callable[[], object], then: Callable[[], None]) -> None:
        """Have a task done, then call ``then`` in the thread that drains; not if the task fails."""
        self._open += 1
        self._tasks.put((task, then))
        if len(self._threads) < min(self._size, self._open):
            thread = threading.Thread(target=self._work, daemon=True, name="prefetch")
            self._threads.append(thread)
            thread.start()

    def drain(self) -> None:
        """Until nothing is left to do."""
        while self._open:
            then = self._finished.get()
            self._open -= 1
            if then is not None:
                then()

    def dismiss(self) -> None:
        """Let the threads end as soon as they have nothing in hand."""
        while not self._tasks.empty():
            self._tasks.get()
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self) -> None:
        while (item := self._tasks.get()) is not None:
            task, then = item
            try:
                task()
            except Exception:  # the resolver will meet it, and knows what to say
                self._finished.put(None)
            else:
                self._finished.put(then)


class _Crawler:
    """What was asked of every project so far, and what is on its way."""

    def __init__(
        self,
        source: PackageSource,
        targets: Sequence[Target],
        preferred: Mapping[str, str],
        crew: _Crew,
        rules: Rules,
    ) -> None:
        self._rules = rules
        self._source = source
        self._crew = crew
        self._targets = targets
        self._finders = {target: CandidateFinder(source, target, preferred, rules) for target in targets}
        self._seen: set[tuple[Requirement, tuple[str, ...]]] = set()
        self._asked: dict[str, list[tuple[Requirement, Target]]] = defaultdict(list)
        self._pages: set[str] = set()
        self._expanded: set[tuple[str, str, frozenset[str]]] = set()

    def follow(self, requirement: Requirement, extras: tuple[str, ...]) -> None:
        """Look at a requirement of a release of which ``extras`` are wanted."""
        if (requirement, extras) in self._seen or requirement.url:
            return
        self._seen.add((requirement, extras))
        target = self._first_target(requirement.marker, extras)
        if target is None:
            return
        name = requirement.name
        self._asked[name].append((requirement, target))
        if name in self._pages:
            self._choose(name, target)
        elif len(self._asked[name]) == 1:
            self._crew.submit(lambda: self._source.page(name).versions, lambda: self._arrived(name))

    def _first_target(self, marker: str, extras: tuple[str, ...]) -> Target | None:
        for target in self._targets:
            if not marker or any(marker_holds(marker, target, extra) for extra in ("", *extras)):
                return target
        return None

    def _arrived(self, name: str) -> None:
        self._pages.add(name)
        for target in dict.fromkeys(target for _, target in self._asked[name]):
            self._choose(name, target)

    def _choose(self, name: str, target: Target) -> None:
        """Fetch the metadata of the version that everything asked so far leads to."""
        asked = list(self._rules.constrained((each for each, _ in self._asked[name]), target))
        extras = frozenset(extra for requirement in asked for extra in requirement.extras)
        specifiers = list(dict.fromkeys(item.specifier for item in asked if item.specifier))
        try:
            finder = self._finders[target]
            candidate = finder.best(name, specifiers, extras) or finder.best(name, specifiers[-1:], extras)
        except EnvforgeError:
            return
        if candidate is None or (key := (name, candidate.version, extras)) in self._expanded:
            return
        file = candidate.file
        if file is None:
            return
        self._expanded.add(key)
        self._crew.submit(lambda: self._metadata(candidate, file), lambda: self._expand(candidate, file))

    def _metadata(self, candidate: Candidate, file: IndexFile) -> CoreMetadata:
        return self._rules.metadata(self._source, candidate.name, candidate.version, file)

    def _expand(self, candidate: Candidate, file: IndexFile) -> None:
        try:
            metadata = self._metadata(candidate, file)
        except EnvforgeError:
            return
        extras = tuple(sorted(candidate.extras))
        for requirement in metadata.requires:
            self.follow(requirement, extras)
