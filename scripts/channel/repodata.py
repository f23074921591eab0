"""``repodata.json``, ``repodata.json.zst`` and shards (CEP 16) of a folder with archives, by rattler."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from pathlib import Path


def index_channel(channel: Path) -> None:
    """Write what a client asks a channel for; only the index of the shards has the time in it.

    rattler stamps each record with the time of indexing, which ``exclude-newer`` then goes by; it keeps a
    stamp that is there, so they are set to the time of building before the other forms are written.
    """
    from rattler.index import index_fs

    (channel / "noarch").mkdir(parents=True, exist_ok=True)
    asyncio.run(_await(index_fs(channel, write_zst=False, write_shards=False, force=True)))
    for path in channel.glob("*/repodata.json"):
        document = json.loads(path.read_bytes())
        for record in (*document["packages"].values(), *document["packages.conda"].values()):
            record["indexed_timestamp"] = record["timestamp"]
        path.write_text(json.dumps(document))
    asyncio.run(_await(index_fs(channel, write_zst=True, write_shards=True, force=False)))


async def _await(indexing: Awaitable[None]) -> None:
    await indexing
