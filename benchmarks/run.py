"""envforge beside uv on the same project, registry and machine: ``python benchmarks/run.py``.

Each scenario runs A B A B …; what is reported is the ratio of the medians, because absolute times say
more about the machine than about the tools. Caches are both empty (cold) or both filled (warm); each
tool has its own. uv comes from PyPI into a virtual environment of its own.

The whole process is timed from outside, start-up included. What a scenario needs beforehand (an empty
cache, a removed environment) is prepared outside the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

NINE = (
    "torch",
    "transformers",
    "datasets",
    "accelerate",
    "lightning",
    "jupyterlab",
    "scikit-learn",
    "pandas",
    "matplotlib",
)
STACKS = {"nine": NINE, "small": ("scikit-learn", "pandas", "matplotlib")}
PLATFORMS = {
    "linux-64": "sys_platform == 'linux' and platform_machine == 'x86_64'",
    "linux-aarch64": "sys_platform == 'linux' and platform_machine == 'aarch64'",
    "osx-arm64": "sys_platform == 'darwin' and platform_machine == 'arm64'",
    "win-64": "sys_platform == 'win32' and platform_machine == 'AMD64'",
}


@dataclass(slots=True)
class Tool:
    """A tool under test, with a project and caches of its own.

    A cold run gets a cache folder that has never been used. Emptying the old one would not do: ext4
    avoids recently freed inodes for minutes, and both tools would be measured at finding others.
    """

    name: str
    command: str
    cache_variable: str
    project: Path
    caches: Path
    environ: dict[str, str]
    cache_number: int = 0

    @property
    def lock_file(self) -> Path:
        return self.project / f"{self.name}.lock"

    @property
    def cache(self) -> Path:
        return self.caches / str(self.cache_number)

    def run(self, *arguments: str) -> float:
        """Run a command to its end; returns its wall time in seconds."""
        # What the kernel still has to write of the run before is not part of this one.
        os.sync()
        start = time.perf_counter()
        finished = subprocess.run(
            [self.command, *arguments],
            cwd=self.project,
            env={**self.environ, self.cache_variable: str(self.cache)},
            capture_output=True,
            text=True,
            check=False,
        )
        elapsed_s = time.perf_counter() - start
        if finished.returncode != 0:
            raise SystemExit(f"{self.name} {' '.join(arguments)} failed:\n{finished.stderr}")
        return elapsed_s

    def forget_environment(self) -> None:
        """Remove the environment. envforge keeps generations in its cache: they go, too."""
        venv = self.project / ".venv"
        if venv.is_symlink():
            venv.unlink()
        elif venv.exists():
            shutil.rmtree(venv)
        for generations in self.cache.glob("tier/envs/*"):
            shutil.rmtree(generations)

    def start_cold(self) -> None:
        """Go on with an empty cache and no environment."""
        self.forget_environment()
        while self.cache.exists():
            self.cache_number += 1
        self.cache.mkdir(parents=True)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing to time. ``prepare`` runs before each repetition, outside the clock."""

    name: str
    arguments: tuple[str, ...]
    prepare: Callable[[Tool], None]


@dataclass(slots=True)
class Result:
    scenario: str
    seconds: dict[str, list[float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        return statistics.median(self.seconds["envforge"]) / statistics.median(self.seconds["uv"])


def _forget_lock(tool: Tool) -> None:
    tool.lock_file.unlink(missing_ok=True)


def _forget_lock_and_cache(tool: Tool) -> None:
    tool.start_cold()
    _forget_lock(tool)


def _change_nothing(_tool: Tool) -> None:
    pass


SCENARIOS = (
    Scenario("lock cold", ("lock",), _forget_lock_and_cache),
    Scenario("lock warm", ("lock",), _forget_lock),
    Scenario("lock unchanged", ("lock",), _change_nothing),
    Scenario("sync cold", ("sync", "--frozen"), Tool.start_cold),
    Scenario("sync warm, new environment", ("sync", "--frozen"), Tool.forget_environment),
    Scenario("sync unchanged", ("sync",), _change_nothing),
)


def main() -> None:
    """Run the scenarios and print the table."""
    options = _parse_arguments()
    workspace = options.workspace.resolve()
    workspace.mkdir(parents=True, exist_ok=True)
    tools = _prepare_tools(STACKS[options.stack], options.python, workspace)
    wanted = [scenario for scenario in SCENARIOS if any(part in scenario.name for part in options.only)]
    results = [_measure(scenario, tools, options.repeat) for scenario in wanted or SCENARIOS]
    print()
    print(_table(results))
    print()
    print(_package_difference(tools))
    if options.json:
        facts = {"machine": _machine(workspace), "results": [asdict(result) for result in results]}
        options.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stack", choices=STACKS, default="nine")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="counted runs of each tool")
    parser.add_argument("--only", nargs="*", default=[], metavar="TEXT", help="scenarios whose name has TEXT")
    parser.add_argument("--python", default=sys.executable, help="interpreter for the environments")
    parser.add_argument("--workspace", type=Path, default=Path(".cache/benchmarks"))
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    return parser.parse_args()


def _prepare_tools(requirements: Sequence[str], python: str, workspace: Path) -> list[Tool]:
    python = subprocess.check_output(
        [python, "-c", "import os, sys; print(os.path.realpath(sys.executable))"], text=True
    ).strip()
    version = subprocess.check_output(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], text=True
    ).strip()
    own = ("UV_", "ENVFORGE_", "VIRTUAL_ENV")
    base = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    envforge = str(Path(sys.executable).parent / "envforge")
    tools = []
    for name, command, cache_variable, settings in (
        ("envforge", envforge, "ENVFORGE_CACHE_DIR", {"ENVFORGE_PYTHON": python}),
        ("uv", str(_install_uv(workspace)), "UV_CACHE_DIR", {"UV_PYTHON": python}),
    ):
        project = workspace / name / "project"
        project.mkdir(parents=True, exist_ok=True)
        (project / "pyproject.toml").write_text(_manifest(requirements, version), encoding="utf-8")
        caches = workspace / name / "caches"
        tools.append(Tool(name, command, cache_variable, project, caches, {**base, **settings}))
    return tools


def _manifest(requirements: Sequence[str], version: str) -> str:
    """The same project for both tools: one Python, four platforms."""
    return f"""\
[project]
name = "benchmark"
version = "0"
requires-python = "=={version}.*"
dependencies = {json.dumps(list(requirements))}

[tool.envforge]
python = "{version}"
platforms = {json.dumps(list(PLATFORMS))}

[tool.uv]
environments = {json.dumps(list(PLATFORMS.values()))}

# Not every mirror sends headers for caching; envforge takes an index page to be fresh for ten minutes.
[[tool.uv.index]]
url = "https://pypi.org/simple"
default = true
cache-control = {{ api = "max-age=600", files = "max-age=600" }}
"""


def _install_uv(workspace: Path) -> Path:
    environment = workspace / "uv-environment"
    uv = environment / "bin" / "uv"
    if not uv.exists():
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        subprocess.run([environment / "bin" / "python", "-m", "pip", "install", "-q", "uv"], check=True)
    return uv


def _measure(scenario: Scenario, tools: Sequence[Tool], repeat: int) -> Result:
    result = Result(scenario.name, {tool.name: [] for tool in tools})
    for round_number in range(repeat + 1):
        for tool in tools:
            scenario.prepare(tool)
            elapsed_s = tool.run(*scenario.arguments)
            if round_number:  # the first round warms up
                result.seconds[tool.name].append(elapsed_s)
    print(f"{scenario.name}: {result.ratio:.2f} × uv", file=sys.stderr)
    return result


def _table(results: Sequence[Result]) -> str:
    rows = ["| scenario | envforge, s (min-max) | uv, s (min-max) | ratio |", "|---|---|---|---|"]
    for result in results:
        cells = [
            f"{statistics.median(times):.3f} ({min(times):.3f}-{max(times):.3f})"
            for times in result.seconds.values()
        ]
        rows.append(f"| {result.scenario} | {' | '.join(cells)} | **{result.ratio:.2f}** |")
    return "\n".join(rows)


def _package_difference(tools: Sequence[Tool]) -> str:
    """How the two environments' sets of distributions differ."""
    code = "from importlib.metadata import distributions as d\nfor x in d(): print(x.name, x.version)"
    sets = []
    for tool in tools:
        python = tool.project / ".venv" / "bin" / "python"
        if not python.exists():
            return "no environments to compare"
        output = subprocess.check_output([python, "-c", code], text=True)
        sets.append({_normalized(line) for line in output.splitlines()})
    ours, theirs = sets
    if ours == theirs:
        return f"both environments hold the same {len(ours)} distributions"
    return f"only envforge: {sorted(ours - theirs)}\nonly uv: {sorted(theirs - ours)}"


def _normalized(line: str) -> str:
    name, version = line.split()
    return f"{re.sub('[-_.]+', '-', name).lower()} {version}"


def _machine(workspace: Path) -> dict[str, str | int | None]:
    file_system = subprocess.run(
        ["stat", "-f", "-c", "%T", str(workspace)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "file system": file_system,
    }


if __name__ == "__main__":
    main()
