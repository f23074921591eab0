"""The order of things: a warm-up, then A B A B …, and what becomes of a tool that fails."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.measuring import CommandFailedError, ToolProject
from benchmarks.results import Run, Sample, StackFacts
from benchmarks.scenarios import BOTH, IMPORT, Scenario
from benchmarks.stacks import Stack

_SHOWN_LINES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """``repeat`` counted rounds; a tool whose warm-up takes longer than ``limit_s`` is left at that."""

    repeat: int
    limit_s: float


def measure(scenario: Scenario, projects: Sequence[ToolProject], patience: Patience) -> list[Run]:
    """Time a scenario with all tools in turn.

    Returns:
        the run, and with ``imports`` also that of the first import, and of both together.
    """
    names = [scenario.name]
    if scenario.imports:
        names += [IMPORT.format(scenario.name), BOTH.format(scenario.name)]
    stack = projects[0].stack.name
    runs = [Run(stack=stack, scenario=name) for name in names]
    going = list(projects)
    for round_number in range(patience.repeat + 1):
        for project in tuple(going):
            try:
                samples = _samples_of(scenario, project, watched=round_number == 0)
            except CommandFailedError as failure:
                _note_failure(runs, project.name, str(failure))
                going.remove(project)
                continue
            for run, sample in zip(runs, samples, strict=True):
                counted = run.samples if round_number else run.warm_ups
                counted.setdefault(project.name, []).append(sample)
            if round_number == 0 and samples[0].wall_s > patience.limit_s:
                for run in runs:
                    run.samples[project.name] = run.warm_ups[project.name]
                    run.notes.append(f"{project.name} is slow here: it ran once")
                going.remove(project)
    for run in runs:
        run.notes += sorted({note for project in projects for note in project.notes})
        _say(run)
    return runs


def _samples_of(scenario: Scenario, project: ToolProject, *, watched: bool) -> list[Sample]:
    scenario.prepare(project)
    samples = [project.run(scenario.action, watched=watched)]
    if scenario.imports:
        first = project.import_module(watched=watched)
        sync = samples[0]
        both = Sample(
            sync.wall_s + first.wall_s,
            sync.cpu_s + first.cpu_s,
            max(sync.peak_bytes, first.peak_bytes),
            max(sync.total_bytes, first.total_bytes),
        )
        samples += [first, both]
    return samples


def _note_failure(runs: Sequence[Run], tool: str, said: str) -> None:
    print(f"{runs[0].stack}, {runs[0].scenario}, {tool}:", file=sys.stderr)
    for line in said.splitlines()[-_SHOWN_LINES:]:
        print(f"    {line}", file=sys.stderr)
    for run in runs:
        run.samples.pop(tool, None)
        run.failures[tool] = "\n".join(said.splitlines()[-_SHOWN_LINES:])


def _say(run: Run) -> None:
    figures = []
    for tool in run.samples:
        seconds, ratio = run.seconds(tool), run.ratio(tool, "uv")
        if seconds:
            beside = f" ({ratio:.2f} × uv)" if ratio is not None and tool != "uv" else ""
            figures.append(f"{tool} {seconds.median:.3f} s{beside}")
    print(f"{run.stack}, {run.scenario}: {', '.join(figures) or 'nothing'}", file=sys.stderr, flush=True)


_INVENTORY = """
import importlib.metadata, json, os
found, files, size = [], 0, 0
for each in importlib.metadata.distributions():
    found.append(each.name.lower().replace("_", "-").replace(".", "-") + " " + each.version)
    for file in each.files or ():
        if not file.name.endswith(".pyc"):
            files += 1
            size += file.size or 0
print(json.dumps([sorted(set(found)), files, size]))
"""


def facts_of(stack: Stack, projects: Sequence[ToolProject]) -> StackFacts:
    """What the stack came to: asked of the environments that there are now, by what RECORD lists."""
    facts = StackFacts(
        name=stack.name,
        title=stack.title,
        about=stack.about,
        requirements=list(stack.requirements),
        platforms=list(stack.platforms),
    )
    held: dict[str, set[str]] = {}
    for project in projects:
        if not project.python.exists():
            continue
        asked = subprocess.run(
            [str(project.python), "-I", "-c", _INVENTORY], capture_output=True, text=True, check=False
        )
        if asked.returncode == 0:
            names, files, size_bytes = json.loads(asked.stdout)
            held[project.name] = set(names)
            if not facts.packages:
                facts.packages, facts.files, facts.bytes = len(names), files, size_bytes
    if {"envforge", "uv"} <= held.keys():
        facts.difference = _difference(held["envforge"], held["uv"])
    return facts


def _difference(ours: set[str], theirs: set[str]) -> str:
    if ours == theirs:
        return f"The environments of envforge and uv held the same {len(ours)} distributions."
    return (
        f"Only in envforge's environment: {', '.join(sorted(ours - theirs)) or 'nothing'}. "
        f"Only in uv's: {', '.join(sorted(theirs - ours)) or 'nothing'}."
    )


def locked_count(project: ToolProject) -> int:
    """How many packages a lock of envforge or uv holds, over all platforms."""
    text = project.lock_file.read_text(encoding="utf-8")
    return len(json.loads(text)["packages"]) if project.name == "envforge" else text.count("[[package]]")
