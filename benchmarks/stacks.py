"""The projects that are locked and synced: what they ask for, and how they change.

A stack has four states. ``base`` is what it asks for; ``added`` asks for one package more, ``removed`` for
one less, and ``older`` holds one package back: the former lock of somebody who upgrades. Requirements
without versions are meant: everybody resolves the registry as it is on the day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.large_stack import LARGE

State = Literal["base", "added", "removed", "older"]

MARKERS = {
    "linux-64": "sys_platform == 'linux' and platform_machine == 'x86_64'",
    "linux-aarch64": "sys_platform == 'linux' and platform_machine == 'aarch64'",
    "osx-arm64": "sys_platform == 'darwin' and platform_machine == 'arm64'",
    "win-64": "sys_platform == 'win32' and platform_machine == 'AMD64'",
    "osx-64": "sys_platform == 'darwin' and platform_machine == 'x86_64'",
    "win-arm64": "sys_platform == 'win32' and platform_machine == 'ARM64'",
    "linux-ppc64le": "sys_platform == 'linux' and platform_machine == 'ppc64le'",
}
"""conda subdir → the marker that means it; the first four are what a project gets by default."""

PLATFORMS = tuple(MARKERS)[:4]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A project.

    Args:
        name: as on the command line.
        title: a heading of the page.
        about: a sentence below it.
        requirements: of the state ``base``.
        extra: what ``added`` asks for besides.
        dropped: the one of ``requirements`` that ``removed`` does without.
        older: a requirement that ``older`` has besides; it holds one package back.
        module: what a program of this stack imports first.
        platforms: what is locked for, by those who can choose.
    """

    name: str
    title: str
    about: str = ""
    requirements: tuple[str, ...]
    extra: str
    dropped: str
    older: str
    module: str
    platforms: tuple[str, ...] = PLATFORMS

    def asked(self, state: State) -> tuple[str, ...]:
        """The requirements of a state."""
        if state == "added":
            return (*self.requirements, self.extra)
        if state == "older":
            return (*self.requirements, self.older)
        if state == "removed":
            return tuple(each for each in self.requirements if each != self.dropped)
        return self.requirements


STACKS = {
    stack.name: stack
    for stack in (
        Stack(
            name="small",
            title="A small stack",
            about="pandas, requests and rich: about ten packages.",
            requirements=("pandas", "requests", "rich"),
            extra="tabulate",
            dropped="rich",
            older="pandas<2.3",
            module="pandas",
        ),
        Stack(
            name="torch",
            title="The nine packages",
            about=", ".join(NINE) + ".",
            requirements=NINE,
            extra="seaborn",
            dropped="matplotlib",
            older="pandas<2.3",
            module="torch",
        ),
        Stack(
            name="large",
            title="A large stack",
            about=f"{len(LARGE)} requirements: data, services, documentation and tools in one project.",
            requirements=LARGE,
            extra="peewee",
            dropped="seaborn",
            older="pandas<2.3",
            module="pandas",
        ),
        Stack(
            name="bounds",
            title="A stack of old upper bounds",
            about="Packages that are released often, with bounds from years ago: the newest boto3, fastapi "
            "and langchain are refused hundreds of times before versions are found that accept them.",
            requirements=(
                "boto3",
                "s3fs",
                "aiobotocore",
                "urllib3<2",
                "fastapi",
                "starlette<0.20",
                "langchain",
                "openai",
                "pydantic<2",
            ),
            extra="tabulate",
            dropped="openai",
            older="rsa<4.9",
            module="boto3",
        ),
        Stack(
            name="backtracking",
            title="A stack that makes resolvers back-track",
            about="Three clients of Google's cloud, each with hundreds of releases and a tree below it, and "
            "an upper bound that the last years of them refuse.",
            requirements=(
                "google-cloud-storage",
                "google-cloud-bigquery",
                "google-cloud-aiplatform",
                "protobuf<4",
                "grpcio-status",
            ),
            extra="tabulate",
            dropped="google-cloud-aiplatform",
            older="requests<2.30",
            module="google.cloud.storage",
        ),
    )
}

GROWTH_REQUIREMENTS = (4, 12, 30, 60, len(LARGE))
GROWTH_PLATFORMS = (1, 2, 4, len(MARKERS))  # all that envforge knows


def growing_stacks(counts: Sequence[int] = GROWTH_REQUIREMENTS) -> tuple[Stack, ...]:
    """The large stack's first requirements, more and more of them."""
    large = STACKS["large"]
    return tuple(
        replace(large, name=f"large-{count}", title=f"{count} requirements", requirements=LARGE[:count])
        for count in counts
    )


def spreading_stacks(counts: Sequence[int] = GROWTH_PLATFORMS) -> tuple[Stack, ...]:
    """One project for more and more platforms."""
    middle = growing_stacks()[2]
    return tuple(
        replace(
            middle, name=f"platforms-{count}", title=f"{count} platforms", platforms=tuple(MARKERS)[:count]
        )
        for count in counts
    )
