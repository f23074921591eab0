"""A small index on loopback for ``--quick``: made-up packages, from the helpers of the tests.

Its figures say nothing about a registry; they show that every scenario runs.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from benchmarks.stacks import Stack
from benchmarks.tools import CHECKOUT

_PACKAGES = 12
QUICK = Stack(
    name="quick",
    title="A made-up stack",
    about="Twelve small packages of an index on this machine.",
    requirements=("pack0", "pack6"),
    extra="pack11",
    dropped="pack6",
    older="pack2<2",
    module="pack0",
    platforms=("linux-64", "linux-aarch64", "osx-arm64", "win-64"),
)
QUICK_GROWING = tuple(
    replace(
        QUICK, name=f"quick-{count}", title=f"{count} requirements", requirements=QUICK.requirements[:count]
    )
    for count in (1, 2)
)
QUICK_SPREADING = tuple(
    replace(QUICK, name=f"quick-for-{count}", title=f"{count} platforms", platforms=QUICK.platforms[:count])
    for count in (1, 4)
)


@contextmanager
def served_index() -> Iterator[str]:
    """Serve the packages while the block runs; gives the URL."""
    sys.path.insert(0, str(CHECKOUT / "tests"))
    try:
        distributions = importlib.import_module("support.distributions")
        index = importlib.import_module("support.simple_index").SimpleIndex()
    finally:
        sys.path.remove(str(CHECKOUT / "tests"))
    for number in range(_PACKAGES):
        requires = [f"pack{number + 1}"] if number % 6 < 4 else []
        for version in ("1.0", "2.0"):
            index.add(distributions.make_wheel(f"pack{number}", version, requires=requires))
    with index:
        yield str(index.url)
