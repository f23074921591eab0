"""What a workflow is given, made out of the process: folders, environment, network settings, clock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.errors import HostError, UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from envforge.cli.output import Output
    from envforge.workflows.session import Session


@contextmanager
def open_session(arguments: Namespace, output: Output, *, root: Path | None = None) -> Iterator[Session]:
    """The surroundings of a command; when it ends, nothing moves on the terminal any more.

    Args:
        arguments: with the global options.
        output: for the reporter.
        root: the project's folder, None to look for it from ``--project`` or the current folder.

    Raises:
        ManifestError: no project here.
        HostError, UsageError: a folder is missing.
    """
    import time

    from envforge.cli.reporters import open_reporter
    from envforge.host.paths import find_places
    from envforge.net.settings import NetworkSettings
    from envforge.workflows.project_root import find_project_root
    from envforge.workflows.session import Session

    environ = dict(os.environ)
    root = root or find_project_root(start_folder(arguments))
    with open_reporter(output) as reporter:
        yield Session(
            root=root,
            places=find_places(environ, tier=arguments.tier, project=root),
            network=NetworkSettings(offline=arguments.offline, refresh=arguments.refresh),
            environ=environ,
            now_s=time.time(),
            reporter=reporter,
        )


def find_member(arguments: Namespace) -> str:
    """The member of a workspace that the current folder is in, by its path from the root; "" for none.

    Raises:
        UsageError, HostError: a folder is missing.
        ManifestError: no project here.
    """
    from envforge.workflows.project_root import MANIFEST_NAME, find_project_root

    start = start_folder(arguments)
    root = find_project_root(start)
    nearest = next(folder for folder in (start, *start.parents) if (folder / MANIFEST_NAME).is_file())
    return nearest.relative_to(root).as_posix() if nearest != root else ""


def find_root(arguments: Namespace) -> Path:
    """The project's folder for a command that needs no project: where there is none, where it would be.

    Raises:
        HostError, UsageError: a folder is missing.
    """
    from envforge.errors import ManifestError
    from envforge.workflows.project_root import find_project_root

    start = start_folder(arguments)
    try:
        return find_project_root(start)
    except ManifestError:
        return start


def start_folder(arguments: Namespace) -> Path:
    """``--project`` or the current folder, absolute.

    Raises:
        UsageError: ``--project`` is no folder.
        HostError: the current folder no longer exists.
    """
    try:
        folder = Path(os.path.abspath(os.path.expanduser(arguments.project or ".")))  # noqa: PTH100, PTH111
    except FileNotFoundError:
        raise HostError("the current folder no longer exists", hints=["change to another one: cd"]) from None
    if arguments.project and not folder.is_dir():
        raise UsageError(f"--project: {folder} is no folder", hints=["name the folder of the project"])
    return folder
