"""The real conda channel, a server for it, and rattler itself to solve and install with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from support.conda_channel import ChannelServer, built_channel

Solve = Callable[..., list[Any]]


@pytest.fixture(scope="session")
def channel() -> Path:
    """Folder of the real channel; shared, not to be changed."""
    return built_channel()


@pytest.fixture
def server(channel: Path) -> Iterator[ChannelServer]:
    """Serves the real channel as ``main``."""
    with ChannelServer(main=channel) as server:
        yield server


@pytest.fixture
def rattler_solve(tmp_path: Path, channel: Path) -> Solve:
    """``rattler_solve(*specs, source=URL, platform=…, virtual=[…], **options)`` gives rattler's records."""
    import rattler

    gateway = rattler.Gateway(cache_dir=tmp_path / "repodata-cache")

    def solve(
        *specs: str, source: str = "", platform: str = "", virtual: Sequence[str] = (), **options: Any
    ) -> list[Any]:
        async def run() -> list[Any]:
            return await rattler.solve(
                [rattler.Channel(source or channel.as_uri())],
                specs,
                gateway=gateway,
                platforms=[platform or str(rattler.Subdir.current()), "noarch"],
                virtual_packages=[_virtual(text) for text in ("__unix", "__linux", "__glibc=2.28", *virtual)]
                if not platform
                else [_virtual(text) for text in virtual],
                **options,
            )

        return asyncio.run(run())

    return solve


@pytest.fixture
def rattler_install(tmp_path: Path) -> Callable[..., Path]:
    """``rattler_install(records, prefix, link_scripts=False)`` gives the prefix."""
    import rattler

    def install(records: Sequence[Any], prefix: Path | None = None, *, link_scripts: bool = False) -> Path:
        prefix = prefix or tmp_path / "prefix"

        async def run() -> None:
            await rattler.install(
                list(records),
                prefix,
                cache_dir=tmp_path / "package-cache",
                show_progress=False,
                execute_link_scripts=link_scripts,
            )

        asyncio.run(run())
        return prefix

    return install


def _virtual(text: str) -> Any:
    import rattler

    name, _, version = text.partition("=")
    return rattler.GenericVirtualPackage(
        rattler.PackageName(name), rattler.Version(version or "0"), rattler.BuildString("0")
    )
