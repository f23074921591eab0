"""Slow disks, nodes of a cluster, inodes, and what it costs to look at storage.

    python -m benchmarks.storage                                 all, with the torch stack; takes hours
    python -m benchmarks.storage slow nodes --stack small        some of it, some minutes
    python -m benchmarks.storage --quick                         made-up packages

slow     a new environment where cache and project are on a disk that takes 2 ms for each operation
node     a node with an empty scratch: envforge's archives, and uv's cache, are on a shared disk that takes
         half a millisecond for each operation, as a network does
nodes    the same by several nodes at once, as fast as the shared disk can
inodes   what a second environment of the same stack costs
probe    how long it takes to measure the host's storage, and to remember it

Takes root and FUSE, and the network once, for mfusepy; with ``--quick`` bindfs stands in for the shared disk.
What cannot be done here is left out and said. Times are read as those of ``python -m benchmarks``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.disk import remove
from benchmarks.local_index import QUICK, served_index
from benchmarks.measuring import CommandFailedError, Ground, ToolProject
from benchmarks.mounts import SharedPlace, shared, slowed
from benchmarks.report import text_report
from benchmarks.results import Results, StackFacts, to_json
from benchmarks.rounds import Patience, measure
from benchmarks.scenarios import Scenario
from benchmarks.setting import find_ground, install_tools, machine_facts
from benchmarks.stacks import STACKS, Stack
from benchmarks.tools import CHECKOUT, PYPI, InstalledTool

# Where each tool keeps what a node finds on the shared disk, and what it is told of its own.
_NODE_VARIABLES: dict[str, dict[str, str]] = {
    "envforge": {
        "ENVFORGE_PYTHON": "{python}",
        "ENVFORGE_TIER": "{cache}/tier",
        # a job's scratch: that is why archives are kept elsewhere
        "SLURM_JOB_ID": "1",
        "SLURM_TMPDIR": "{cache}",
    },
    "uv": {"UV_PYTHON": "{python}"},
}
_SHARED_DELAY_MS = 0.5
_CACHE_VARIABLE = {"envforge": "ENVFORGE_CACHE_DIR", "uv": "UV_CACHE_DIR"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What every part needs.

    Args:
        stack: is synced.
        installed: envforge, uv or both.
        ground: of the local disk.
        patience: repetitions.
        delay_s: of each operation on the slow disk.
        shared_delay_s: likewise on the disk that nodes share.
        nodes: how many at once.
    """

    stack: Stack
    installed: Sequence[InstalledTool]
    ground: Ground
    patience: Patience
    delay_s: float
    shared_delay_s: float
    nodes: int

    def below(self, name: str) -> Ground:
        """The ground in a folder of its own."""
        folder = self.ground.folder / "storage" / name
        folder.mkdir(parents=True, exist_ok=True)
        return replace(self.ground, folder=folder)


def bench_slow(session: Session, results: Results) -> None:
    """A new environment from a warm cache, both on a slow disk."""
    ground = session.below("slow")
    projects = [ToolProject(tool, session.stack, ground) for tool in session.installed]
    for project in projects:  # at full speed: it is the same folder
        project.put("base")
        project.run("sync")
    scenario = Scenario(
        name=f"new environment, {session.delay_s * 1000:g} ms for each operation",
        action="sync",
        prepare=ToolProject.forget_environment,
    )
    with slowed(ground.folder, session.delay_s, session.ground.folder / "tools"):
        results.runs += measure(scenario, projects, session.patience)


def bench_node(session: Session, results: Results) -> None:
    """An empty scratch beside a shared disk that has everything."""
    with _shared_disk(session, session.shared_delay_s) as place:
        projects = [_node_project(session, tool, place, 0) for tool in session.installed]
        for project in projects:
            project.put("base")
            project.run("sync")
        delay = f", {session.shared_delay_s * 1000:g} ms for each operation" if session.shared_delay_s else ""
        scenario = Scenario(
            name=f"node with empty scratch, all on the shared disk{delay}",
            action="sync",
            prepare=_empty_scratch,
        )
        results.runs += measure(scenario, projects, session.patience)


def bench_nodes(session: Session, results: Results) -> None:
    """One node, then several at once, with empty scratches: envforge only."""
    envforge = [tool for tool in session.installed if tool.tool.name == "envforge"]
    with _shared_disk(session, 0.0) as place:  # one slow server for all would be what is measured
        projects = [_node_project(session, tool, place, n) for tool in envforge for n in range(session.nodes)]
        for project in projects[:1]:
            project.put("base")
            project.run("sync")
        alone, together, read = [], [], []
        for _ in range(session.patience.repeat if projects else 0):
            alone.append(_at_once(projects[:1]))
            before = place.read_bytes()
            together.append(_at_once(projects))
            read.append((place.read_bytes() - before) / len(projects))
    if not alone:
        return
    archives = session.ground.folder / "storage" / "far" / "envforge" / "archives"
    kept = sum(file.stat().st_size for file in archives.rglob("*") if file.is_file())
    ratio = statistics.median(together) / statistics.median(alone)
    results.figures[session.stack.name] += [
        f"{session.nodes} nodes at once, envforge: {_spread(together)}, one node: {_spread(alone)},"
        f" **{ratio:.2f}** × one",
        f"read from the shared disk by each of them: {statistics.median(read) / 1e6:,.0f} MB"
        f" (the archives there: {kept / 1e6:,.0f} MB)",
    ]


def bench_inodes(session: Session, results: Results) -> None:
    """What a second environment of the same stack adds, beside a warm cache."""
    for tool in session.installed:
        ground = session.below("inodes")
        first, second = (
            ToolProject(_named_cache(tool, ground.folder / tool.tool.name), session.stack, each)
            for each in (session.below("inodes/first"), session.below("inodes/second"))
        )
        for project in (first, second):
            project.put("base")
        first.run("sync")
        before = _inodes(ground.folder)
        second.run("sync")
        made = _inodes(ground.folder) - before
        results.figures[session.stack.name].append(
            f"inodes that a second environment costs, {tool.tool.name}: **{made:,}**"
        )


_PROBE = """
import json, os, sys, time
from pathlib import Path
from envforge.host.storage_memory import find_remembered
from envforge.host.tiers import survey_storage
cache, project = Path(sys.argv[1]), Path(sys.argv[2])
start = time.perf_counter()
survey_storage(os.environ, cache, project)
measured = time.perf_counter()
assert find_remembered(os.environ, cache, project) is not None
first = time.perf_counter()
find_remembered(os.environ, cache, project)
print(json.dumps([measured - start, time.perf_counter() - first]))
"""


def bench_probe(session: Session, results: Results) -> None:
    """Measure this host's storage as if for the first time, and remember it; imports do not count."""
    ground = session.below("probe")
    measured, remembered = [], []
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ENVFORGE_")}
    for number in range(session.patience.repeat + 1):
        places = ground.folder / f"cache-{time.monotonic_ns()}", ground.folder / "project"
        places[1].mkdir(exist_ok=True)
        asked = subprocess.run(
            [sys.executable, "-c", _PROBE, *map(str, places)],
            cwd=CHECKOUT,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode != 0:
            raise LookupError(f"needs envforge in this Python: {asked.stderr.strip().splitlines()[-1]}")
        times = json.loads(asked.stdout)
        if number:
            measured.append(times[0])
            remembered.append(times[1])
    results.figures[session.stack.name] += [
        f"storage of this host measured: {_spread(measured)}",
        f"storage of this host remembered: {_spread(remembered, unit_s=0.001)}",
    ]


PARTS: Mapping[str, Callable[[Session, Results], None]] = {
    "slow": bench_slow,
    "node": bench_node,
    "nodes": bench_nodes,
    "inodes": bench_inodes,
    "probe": bench_probe,
}


def _spread(values: Sequence[float], unit_s: float = 1.0) -> str:
    median, least, most = (
        f"{value / unit_s:.3f}" for value in (statistics.median(values), min(values), max(values))
    )
    return f"{median} {'s' if unit_s == 1 else 'ms'} ({least}–{most})"


@contextmanager
def _shared_disk(session: Session, delay_s: float) -> Iterator[SharedPlace]:
    folder = session.below("nodes").folder
    real, seen = folder.with_name("far"), folder.with_name("shared")
    with shared(real, seen, delay_s, session.ground.folder / "tools") as place:
        yield place


def _node_project(session: Session, tool: InstalledTool, place: SharedPlace, number: int) -> ToolProject:
    """A node: a project and scratch of its own, a host name of its own, and the shared disk."""
    name = tool.tool.name
    sync = tool.tool.commands["sync"].replace("{bin}", str(tool.programs))
    renamed = f"unshare --uts sh -c 'echo node{number} > /proc/sys/kernel/hostname; exec {sync}'"
    node = replace(
        tool.tool,
        commands={**tool.tool.commands, "sync": renamed},
        variables={**_NODE_VARIABLES[name], _CACHE_VARIABLE[name]: str(place.folder / name)},
    )
    return ToolProject(replace(tool, tool=node), session.stack, session.below(f"nodes/{number}"))


def _named_cache(tool: InstalledTool, cache: Path) -> InstalledTool:
    variables = {**tool.tool.variables, _CACHE_VARIABLE[tool.tool.name]: str(cache)}
    return replace(tool, tool=replace(tool.tool, variables=variables))


def _empty_scratch(project: ToolProject) -> None:
    project.put("base")
    project.start_cold()


def _at_once(projects: Sequence[ToolProject]) -> float:
    """Seconds until all have synced."""
    for project in projects:
        _empty_scratch(project)
    with ThreadPoolExecutor(len(projects)) as pool:
        start_s = time.perf_counter()
        list(pool.map(lambda project: project.run("sync"), projects))
        return time.perf_counter() - start_s


def _inodes(folder: Path) -> int:
    seen = set()
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            entry = os.lstat(os.path.join(base, name))  # noqa: PTH118
            seen.add((entry.st_dev, entry.st_ino))
    return len(seen)


def main(words: Sequence[str] | None = None) -> int:
    """Measure what is asked for and can be done here."""
    options = _parse_arguments(words)
    workspace = options.workspace.resolve()
    workspace.mkdir(parents=True, exist_ok=True)
    with ExitStack() as block:
        index_url = block.enter_context(served_index()) if options.quick else PYPI
        ground = find_ground(workspace, options.python, index_url, options.timeout)
        results = Results(machine=machine_facts(ground), date=time.strftime("%Y-%m-%d"), tools={})
        installed = install_tools(options.tools, workspace, results, download=not options.quick)
        stack = QUICK if options.quick else STACKS[options.stack]
        session = Session(
            stack=replace(stack, name=f"storage-{stack.name}", title=f"Storage, with: {stack.title.lower()}"),
            installed=installed,
            ground=ground,
            patience=Patience(repeat=options.repeat, limit_s=options.patience),
            delay_s=options.delay_ms / 1000,
            shared_delay_s=options.shared_delay_ms / 1000,
            nodes=options.nodes,
        )
        _measure(session, options.parts or [*PARTS], results)
        remove(workspace / "storage")
    print(text_report(results))
    if options.json:
        options.json.write_text(json.dumps(to_json(results), indent=1) + "\n", encoding="utf-8")
    return 0 if any(run.samples for run in results.runs) or any(results.figures.values()) else 1


def _measure(session: Session, parts: Sequence[str], results: Results) -> None:
    stack = session.stack
    facts = StackFacts(
        name=stack.name,
        title=stack.title,
        about=f"A new environment where a cluster has it: {stack.about}",
        requirements=list(stack.requirements),
        platforms=list(stack.platforms),
    )
    results.stacks.append(facts)
    results.figures[stack.name] = []
    for part in parts:
        print(f"{part} …", file=sys.stderr, flush=True)
        try:
            PARTS[part](session, results)
        except (LookupError, CommandFailedError) as reason:
            results.left_out[f"storage: {part}"] = str(reason).splitlines()[-1]
            print(f"left out: {part}: {reason}", file=sys.stderr)
        # Its environments and caches would be in the way of the next.
        remove(session.ground.folder / "storage")


def _parse_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.storage",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    add("--stack", choices=[*STACKS], default="torch", help="what is synced (default: torch)")
    add("--tools", nargs="+", choices=[*_CACHE_VARIABLE], default=[*_CACHE_VARIABLE], help="one or both")
    add("--quick", action="store_true", help="made-up packages of a local index; only tools that are there")
    add("--repeat", type=int, default=5, metavar="N", help="counted rounds (5)")
    add("--nodes", type=int, default=8, metavar="N", help="at once (8)")
    add("--delay-ms", type=float, default=2.0, metavar="MS", help="of each operation on the slow disk (2)")
    add(
        "--shared-delay-ms",
        type=float,
        metavar="MS",
        help="of each operation on the disk that nodes share (0.5); with 0, as for --quick, bindfs serves it",
    )
    add("--python", default=sys.executable, help="interpreter for the environments (default: this)")
    add("--workspace", type=Path, default=Path(".cache/benchmarks"), metavar="DIR", help="(%(default)s)")
    add(
        "--timeout",
        type=float,
        default=1800,
        metavar="S",
        help="a command that takes longer has failed (1800)",
    )
    add(
        "--patience",
        type=float,
        default=180,
        metavar="S",
        help="a tool slower than this runs only once (180)",
    )
    add("--json", type=Path, metavar="FILE", help="for the page: python -m benchmarks --from FILE … --page")
    options = parser.parse_args(words)
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}")
    if options.repeat < 1 or options.nodes < 1:
        parser.error("--repeat and --nodes: at least 1")
    if min(options.delay_ms, options.shared_delay_ms or 0) < 0:
        parser.error("--delay-ms and --shared-delay-ms: 0 or more")
    if options.shared_delay_ms is None:
        options.shared_delay_ms = 0.0 if options.quick else _SHARED_DELAY_MS
    return options


if __name__ == "__main__":
    sys.exit(main())
