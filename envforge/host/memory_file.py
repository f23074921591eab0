"""What is remembered of a host, written so that others can always read it: aside, then renamed.

In a cache that a group shares (its folder is ``g+ws``) the folder and the files are the group's, whatever the
umask. :mod:`envforge.store.sharing` says the same of the store. Failure is silent: it is a cache.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_SIGN = stat.S_ISGID | stat.S_IWGRP


def write_memory(file: Path, content: Mapping[str, Any]) -> bool:
    """Replace a file by a JSON document; returns whether that could be done.

    Args:
        file: in a folder below the cache root; the folder is made.
        content: can be written as JSON.
    """
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        _make_folder(file.parent)
        aside.write_text(json.dumps(content), encoding="utf-8")
        if _is_shared(file.parent):
            aside.chmod(aside.stat().st_mode | stat.S_IRGRP)
        aside.replace(file)
    except OSError:
        with suppress(OSError):
            aside.unlink()
        return False
    return True


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    if _is_shared(folder.parent):
        with suppress(PermissionError):  # another user was faster
            folder.chmod(folder.stat().st_mode | stat.S_ISGID | stat.S_IRWXG)


def _is_shared(folder: Path) -> bool:
    return folder.stat().st_mode & _SIGN == _SIGN
