"""What was measured, as values and as JSON. Nothing here measures."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

FORMAT = 1
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Sample:
    """One command: seconds, bytes of its largest process and of all together (0: nobody looked)."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    total_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and most of some samples."""

    median: float
    least: float
    most: float
    count: int


def spread_of(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    return Spread(statistics.median(values), min(values), max(values), len(values))


@dataclass(slots=True, kw_only=True)
class Run:
    """One scenario on one stack.

    Attributes:
        stack, scenario: their names.
        samples: tool → what counts, in the order measured.
        warm_ups: tool → what does not count; memory of all processes together was looked at here.
        failures: tool → why it has no samples.
        notes: what a reader has to know.
    """

    stack: str
    scenario: str
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    warm_ups: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def seconds(self, tool: str) -> Spread | None:
        """Wall time of a tool, None if it has none."""
        return self._spread(tool, lambda sample: sample.wall_s)

    def peak_bytes(self, tool: str) -> Spread | None:
        """Memory of a tool's largest process, None if it has none."""
        return self._spread(tool, lambda sample: sample.peak_bytes)

    def total_bytes(self, tool: str) -> int:
        """The most that all processes of a tool had together; 0 where that could not be seen."""
        return max((sample.total_bytes for sample in self.warm_ups.get(tool, ())), default=0)

    def ratio(self, tool: str, base: str) -> float | None:
        """Median wall time of a tool by that of another, None if either has none."""
        ours, theirs = self.seconds(tool), self.seconds(base)
        return ours.median / theirs.median if ours and theirs and theirs.median else None

    def _spread(self, tool: str, figure: Callable[[Sample], float]) -> Spread | None:
        samples = self.samples.get(tool)
        return spread_of([figure(sample) for sample in samples]) if samples else None


@dataclass(slots=True, kw_only=True)
class StackFacts:
    """What a stack came to: its heading, its requirements, and (0: not synced) its size when installed."""

    name: str
    title: str
    about: str
    requirements: list[str]
    platforms: list[str]
    packages: int = 0
    files: int = 0
    bytes: int = 0
    difference: str = ""


@dataclass(slots=True, kw_only=True)
class Growth:
    """A curve: ``points`` are (x, name of the stack); y is the scenario's time on that stack."""

    name: str
    x_label: str
    scenario: str
    points: list[tuple[float, str]]


@dataclass(slots=True, kw_only=True)
class Results:
    """All of one session.

    Attributes:
        date: ISO format.
        tools: name → version, in the order of the tables.
        figures: stack → sentences with what is no time of a scenario.
    """

    machine: dict[str, str]
    date: str
    tools: dict[str, str]
    caveats: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    stacks: list[StackFacts] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    figures: dict[str, list[str]] = field(default_factory=dict)

    def of_stack(self, stack: str) -> list[Run]:
        """The runs of a stack, in the order measured."""
        return [run for run in self.runs if run.stack == stack]

    def find(self, stack: str, scenario: str) -> Run | None:
        """The run of a scenario on a stack."""
        return next((run for run in self.of_stack(stack) if run.scenario == scenario), None)


def to_json(results: Results) -> dict[str, Any]:
    """A document of plain lists and objects."""
    return {"format": FORMAT, **asdict(results)}


def from_json(document: Mapping[str, Any]) -> Results:
    """Read what :func:`to_json` made.

    Raises:
        ValueError: it is of another format.
    """
    if document.get("format") != FORMAT:
        raise ValueError(f"results of format {document.get('format')!r}; this reads {FORMAT}")
    return Results(
        machine=dict(document["machine"]),
        date=str(document["date"]),
        tools=dict(document["tools"]),
        caveats=list(document["caveats"]),
        left_out=dict(document["left_out"]),
        stacks=[StackFacts(**stack) for stack in document["stacks"]],
        runs=[_run(run) for run in document["runs"]],
        growth=[
            Growth(**{**growth, "points": [(x, stack) for x, stack in growth["points"]]})
            for growth in document["growth"]
        ],
        figures={stack: list(lines) for stack, lines in document["figures"].items()},
    )


def _run(document: Mapping[str, Any]) -> Run:
    lists = {
        key: {tool: [Sample(**sample) for sample in samples] for tool, samples in document[key].items()}
        for key in ("samples", "warm_ups")
    }
    return Run(**{**document, **lists})


def joined(parts: Sequence[Results]) -> Results:
    """Several sessions as one; of what was measured twice, the later, in the place of the former.

    Raises:
        ValueError: they are of different machines.
    """
    whole = Results(machine=parts[0].machine, date=max(part.date for part in parts), tools={})
    for part in parts:
        if part.machine != whole.machine:
            raise ValueError("results of different machines cannot be one table")
        whole.tools.update(part.tools)
        whole.left_out.update(part.left_out)
        whole.caveats += [caveat for caveat in part.caveats if caveat not in whole.caveats]
        whole.runs = _united(whole.runs, part.runs, lambda run: (run.stack, run.scenario))
        whole.stacks = _united(whole.stacks, part.stacks, lambda stack: stack.name)
        whole.figures.update(part.figures)
        whole.growth = _united(whole.growth, part.growth, lambda growth: growth.name)
    return whole


def _united(former: Sequence[_T], later: Sequence[_T], key: Callable[[_T], Hashable]) -> list[_T]:
    """All of both; what only the later has stands behind what it has before."""
    united = list(former)
    place = len(united)
    for each in later:
        keys = [key(other) for other in united]
        if key(each) in keys:
            place = keys.index(key(each))
            united[place] = each
        else:
            united.insert(place, each)
        place += 1
    return united
