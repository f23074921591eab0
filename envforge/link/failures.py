"""What the operating system says when an environment cannot be written, in words for the user."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from envforge.errors import StoreError
from envforge.store.failures import store_error


@contextmanager
def link_failures(prefix: Path, doing: str, *, hint_to_allow: str = "") -> Iterator[None]:
    """Turn an OSError inside the block into a StoreError that names the file in the environment."""
    try:
        yield
    except OSError as error:
        # of a link's two names the second is the one that could not be made
        place = error.filename2 or error.filename or prefix
        if error.errno == errno.ENOENT and _is_lost_source(str(error.filename), prefix):
            raise StoreError(
                f"cannot {doing}: the store lacks a file",
                context=[f"path: {error.filename}"],
                hints=["run `envforge verify`, then `envforge sync`"],
            ) from error
        told = OSError(error.errno, error.strerror, str(place))
        raise store_error(told, prefix, doing, hint_to_allow=hint_to_allow) from error


def _is_lost_source(name: str, prefix: Path) -> bool:
    """Whether a missing file is one that should have been linked or copied from."""
    return os.path.isabs(name) and not name.startswith(f"{prefix}{os.sep}") and not os.path.lexists(name)
