"""Our folder in a place: ``envforge``, or ``envforge-USER`` in a place for everybody.

There, what has the name may have been laid by somebody else, to make us write where he likes or to change
what we run: a folder is ours only if it is a real one, belongs to us and cannot be written by everybody, in
a place where others cannot replace it. Anything else is refused, not followed.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

FOLDER_NAME = "envforge"


def own_folder(base: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Our folder in a place, and why it cannot be used ("" if it can). Nothing is made.

    Args:
        base: a folder that exists.
        environ: for the user's name.

    Raises:
        OSError: it cannot be looked at.
    """
    user = _user_name(environ)
    place = Path(base)
    status = place.stat()
    if not stat.S_ISDIR(status.st_mode):
        return f"{base}/{FOLDER_NAME}", "it is no folder"
    for_everybody = bool(status.st_mode & stat.S_IWOTH)
    if for_everybody and not status.st_mode & stat.S_ISVTX:
        return f"{base}/{FOLDER_NAME}-{user}", "anybody may replace folders there (it has no sticky bit)"
    if _is_ours(status) and not for_everybody and os.access(base, os.W_OK):
        folder = f"{base}/{FOLDER_NAME}"
    elif _is_own_real_folder(f"{base}/{user}"):
        folder = f"{base}/{user}/{FOLDER_NAME}"
    else:
        folder = f"{base}/{FOLDER_NAME}-{user}"
    return folder, check_own_folder(folder) or _cannot_write(folder)


def check_own_folder(folder: str) -> str:
    """Why a folder must not be used as ours; "" if it can, or if there is none."""
    try:
        status = os.lstat(folder)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{folder}: {error.strerror or error}"
    if stat.S_ISLNK(status.st_mode):
        return f"{folder} is a link, which somebody may have laid to lead elsewhere"
    if not stat.S_ISDIR(status.st_mode):
        return f"{folder} is no folder"
    if not _is_ours(status):
        return f"{folder} belongs to another user"
    if sys.platform != "win32" and status.st_mode & stat.S_IWOTH:
        return f"{folder} can be written by everybody"
    return ""


def make_own_folder(folder: str) -> str:
    """Make our folder so that only we can use it, or find it; why that cannot be, "" if it is done."""
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        return f"cannot make {folder}: {error.strerror or error}"
    return check_own_folder(folder)


def nearest_folder(path: str) -> str:
    """The folder itself or the nearest above it that exists."""
    while not os.path.isdir(path):
        parent = os.path.dirname(path)
        if parent == path:
            break
        path = parent
    return path


def _user_name(environ: Mapping[str, str]) -> str:
    """The user's name, of which a folder's name can be made."""
    if sys.platform == "win32":
        name = environ.get("USERNAME", "user")
    else:
        import pwd

        try:
            name = pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:  # a container that is run with any number
            name = str(os.geteuid())
    return (
        "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).lstrip(".") or "_"
    )


def _is_ours(status: os.stat_result) -> bool:
    return sys.platform == "win32" or status.st_uid == os.geteuid()


def _is_own_real_folder(folder: str) -> bool:
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and _is_ours(status) and not status.st_mode & stat.S_IWOTH


def _cannot_write(folder: str) -> str:
    nearest = nearest_folder(folder)
    return "" if os.access(nearest, os.W_OK | os.X_OK) else f"no permission to write to {nearest}"
