"""Archives that arrive piece by piece, without a server."""

from __future__ import annotations

from collections.abc import Iterator

from envforge.fetch.sources import StreamSource


def arriving(content: bytes, piece_bytes: int, looked: bytes | None = None) -> StreamSource:
    """A source whose bytes come in order; ``looked`` is what it shows beforehand, if that is another file."""

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(content), piece_bytes):
            yield content[at : at + piece_bytes]

    shown = content if looked is None else looked
    return StreamSource(pieces(), len(shown), lambda start, end: shown[start:end])
