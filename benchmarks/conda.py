"""The conda part beside bare py-rattler, and beside the same lock without it: ``python -m benchmarks.conda``.

    python -m benchmarks.conda resolve CHANNEL [--spec SPEC …] [--platform SUBDIR]
    python -m benchmarks.conda lock CHANNEL [--spec SPEC …]
    python -m benchmarks.conda install CHANNEL [--spec SPEC …]

CHANNEL is a URL or a folder; for ``install`` its archives have to be there (``scripts/build_channel.py``
makes such a folder). Each pair runs A B A B … with caches that are filled unless it says otherwise; what
counts is the ratio of the medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import rattler

from benchmarks.stacks import NINE
from envforge.events import SilentReporter
from envforge.index.conda_source import ChannelLocation, CondaChannels
from envforge.link.conda_prefix import PrefixSpec, ensure_prefix
from envforge.metadata.rattler_records import to_rattler
from envforge.model.conda import CondaQuestion, CondaRecord, target_virtual_packages
from envforge.model.target import Target
from envforge.net.settings import NetworkSettings

SPECS = ("cmake", "ffmpeg", "git", "numpy", "scipy")


def measure(name: str, ours: Callable[[], None], theirs: Callable[[], None], repeat: int) -> None:
    """Run both in turn, each as often first, and print the ratio. What was written is on the disk before."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    sides = [("ours", ours), ("theirs", theirs)]
    for counted in range(-1, repeat):
        for side, run in sides if counted % 2 else reversed(sides):
            os.sync()
            start_s = time.perf_counter()
            run()
            if counted >= 0:
                times[side].append(time.perf_counter() - start_s)
    medians = {side: statistics.median(found) for side, found in times.items()}
    spread = {side: f"{min(found):.3f}-{max(found):.3f}" for side, found in times.items()}
    print(
        f"{name}: {medians['ours']:.3f} s ({spread['ours']}) beside {medians['theirs']:.3f} s"
        f" ({spread['theirs']}): {medians['ours'] / medians['theirs']:.2f}"
    )


def bench_resolve(channel: ChannelLocation, specs: Sequence[str], platform: str, repeat: int) -> None:
    """A question to our channels, and the same to a gateway of rattler's."""
    target = Target(platform=platform, python="3.12")
    packages = target_virtual_packages(target)
    question = CondaQuestion(platform=platform, specs=tuple(sorted(specs)), virtual_packages=packages)
    virtual = [
        rattler.GenericVirtualPackage(
            rattler.PackageName(each.name), rattler.Version(each.version), rattler.BuildString(each.build)
        )
        for each in packages
    ]
    with tempfile.TemporaryDirectory() as folder:

        def ours() -> None:
            with CondaChannels([channel], NetworkSettings(), os.environ, Path(folder) / "ours") as channels:
                channels.solve(question)

        def theirs() -> None:
            asyncio.run(
                rattler.solve(
                    [rattler.Channel(channel.url)],
                    list(question.specs),
                    gateway=rattler.Gateway(cache_dir=Path(folder) / "theirs"),
                    platforms=[platform, "noarch"],  # type: ignore[list-item]
                    virtual_packages=virtual,
                )
            )

        measure("resolve, beside rattler.solve", ours, theirs, repeat)


def bench_lock(channel: ChannelLocation, specs: Sequence[str], repeat: int) -> None:
    """``envforge lock`` of nine PyPI requirements for four platforms, with conda packages and without."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "ENVFORGE_CACHE_DIR": f"{folder}/cache"}

        def lock(name: str) -> None:
            (Path(folder) / name / "envforge.lock").unlink(missing_ok=True)
            subprocess.run(
                [sys.executable, "-m", "envforge", "-q", "lock"],
                cwd=Path(folder) / name,
                env=environ,
                check=True,
                stderr=subprocess.DEVNULL,
            )

        for name in ("mixed", "plain"):
            project = Path(folder) / name
            project.mkdir()
            lines = ["[project]", 'name = "bench"', 'version = "1"', f"dependencies = {json.dumps(NINE)}"]
            lines += ["[tool.envforge]", 'python = "3.13"', f'channels = ["{channel.url}"]']
            if name == "mixed":
                lines += ["[tool.envforge.conda-dependencies]", *(f'"{spec}" = "*"' for spec in specs)]
            (project / "pyproject.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        measure(
            "warm lock, beside the same without conda", lambda: lock("mixed"), lambda: lock("plain"), repeat
        )


def bench_install(channel: ChannelLocation, specs: Sequence[str], platform: str, repeat: int) -> None:
    """A prefix by us and by rattler: from the channel, and from archives that are unpacked in the cache."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        records = _records(channel, specs, platform, place)
        spec = PrefixSpec(records=records, platform=platform)

        def ours() -> None:
            ensure_prefix(
                spec,
                place / "tier" / "prefixes",
                packages_cache=place / "ours",
                channels=[channel],
                network=NetworkSettings(),
                environ=os.environ,
                reporter=SilentReporter(),
            )

        def theirs() -> None:
            asyncio.run(
                rattler.install(
                    [to_rattler(record) for record in records],
                    place / "bare",
                    cache_dir=place / "theirs",
                    show_progress=False,
                )
            )

        def fresh(run: Callable[[], None], *made: Path) -> Callable[[], None]:
            def make() -> None:
                run()
                for each in made:
                    each.rename(place / f"old{time.monotonic_ns()}")

            return make

        measure(
            f"install of {len(records)} packages from the channel, beside rattler.install",
            fresh(ours, place / "tier", place / "ours"),
            fresh(theirs, place / "bare", place / "theirs"),
            repeat,
        )
        measure(
            f"install of {len(records)} packages from the cache, beside rattler.install",
            fresh(ours, place / "tier"),
            fresh(theirs, place / "bare"),
            repeat,
        )
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(exist_ok=True)


def _records(
    channel: ChannelLocation, specs: Sequence[str], platform: str, place: Path
) -> tuple[CondaRecord, ...]:
    packages = target_virtual_packages(Target(platform=platform, python="3.12"))
    with CondaChannels([channel], NetworkSettings(), os.environ, place / "repodata") as channels:
        return channels.solve(
            CondaQuestion(platform=platform, specs=tuple(sorted(specs)), virtual_packages=packages)
        )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description="the conda part beside bare py-rattler")
    parser.add_argument("what", choices=("resolve", "lock", "install"))
    parser.add_argument("channel", help="URL or folder")
    parser.add_argument("--spec", action="append", help="match spec; by default " + ", ".join(SPECS))
    parser.add_argument("--platform", default="linux-64")
    parser.add_argument("--repeat", type=int, default=7)
    arguments = parser.parse_args()
    url = arguments.channel if "://" in arguments.channel else Path(arguments.channel).resolve().as_uri()
    channel = ChannelLocation(name="benchmark", url=url)
    specs = arguments.spec or list(SPECS)
    if arguments.what == "resolve":
        bench_resolve(channel, specs, arguments.platform, arguments.repeat)
    elif arguments.what == "lock":
        bench_lock(channel, specs, arguments.repeat)
    else:
        bench_install(channel, specs, arguments.platform, arguments.repeat)


if __name__ == "__main__":
    main()
