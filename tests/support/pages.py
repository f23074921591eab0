"""Project pages of the simple API read whole, as no command needs them."""

from __future__ import annotations

from envforge.metadata.simple import parse_files, split_page
from envforge.model.release import IndexFile


def parse_page(body: bytes, content_type: str, url: str, project: str, index: str) -> list[IndexFile]:
    """All files of a page, newest version first; for the arguments see :func:`split_page`."""
    page = split_page(body, content_type, url, project)
    return [
        file for _, chunk in page.chunks for file in parse_files(chunk, page.format, page.base_url, index)
    ]
