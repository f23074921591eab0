"""The real conda channel, and a server for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.conda_channel import ChannelServer, built_channel


@pytest.fixture(scope="session")
def channel() -> Path:
    """Folder of the real channel; shared, not to be changed."""
    return built_channel()


@pytest.fixture
def server(channel: Path) -> Iterator[ChannelServer]:
    """Serves the real channel as ``main``."""
    with ChannelServer(main=channel) as server:
        yield server
