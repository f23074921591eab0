"""``file:`` URLs, answered like a web server would: a folder is its ``index.html``.

Standard: RFC 8089.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from envforge.errors import NetworkError


def file_url_path(url: str) -> Path:
    """The path that a ``file:`` URL names.

    Raises:
        NetworkError: it names another host.
    """
    from urllib.request import url2pathname

    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise NetworkError(
            "a file URL names a host", context=[f"url: {url}"], hints=["write file:///absolute/path"]
        )
    return Path(url2pathname(parts.path))


def read_file_url(url: str, byte_range: str = "") -> tuple[bytes, int] | None:
    """(the bytes asked for, length of the whole file), None if there is no such file.

    Args:
        url: a ``file:`` URL.
        byte_range: ``-65536`` for the end, ``0-99`` for the first hundred bytes, ``""`` for all.

    Raises:
        NetworkError: the file is there but cannot be read.
    """
    path = file_url_path(url)
    try:
        if path.is_dir():
            path = path / "index.html"
        with path.open("rb") as file:
            total_bytes = os.fstat(file.fileno()).st_size
            first, _, last = byte_range.partition("-")
            if not byte_range:
                return file.read(), total_bytes
            start = int(first) if first else max(0, total_bytes - int(last))
            file.seek(start)
            return file.read(int(last) + 1 - start if first and last else -1), total_bytes
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise NetworkError(
            f"{path} cannot be read", context=[error.strerror or str(error)], hints=["check its permissions"]
        ) from None
