"""``.venv`` in the project: a link to a generation, switched in one step.

On POSIX a new symlink is renamed over the old one. Windows cannot rename over a junction: there the old
one is removed first, and a process that is killed in between leaves none (the next sync makes it).
"""

from __future__ import annotations

import errno
import sys
from contextlib import suppress
from pathlib import Path

from envforge.environment.generation import (
    Generation,
    is_generation,
    read_generation,
    read_recorded_generation,
)
from envforge.environment.history import read_history, record_switch
from envforge.errors import GenerationError

_ATTEMPTS = 20


def current_generation(venv: Path) -> Generation | None:
    """The generation that ``.venv`` points to; None if it is not there or is not envforge's."""
    target = _link_target(venv)
    return read_generation(target) if target is not None else None


def recorded_generation(venv: Path) -> Generation | None:
    """Likewise, also one whose conda prefix is gone: to tell what was installed."""
    target = _link_target(venv)
    return read_recorded_generation(target) if target is not None else None


def switch(venv: Path, generation: Generation, *, now_s: float) -> bool:
    """Point ``.venv`` to a generation and remember it.

    Args:
        venv: absolute path of the link.
        generation: a complete one.
        now_s: seconds since the epoch, for the history.

    Returns:
        Whether it pointed elsewhere before.

    Raises:
        GenerationError: something that envforge did not make stands there.
        StoreError: the project's folder cannot be written.
    """
    before = _link_target(venv)
    if before == generation.path:
        return False
    from envforge.link.failures import link_failures

    check_replaceable(venv)
    with link_failures(venv, "switch .venv"):
        _point(venv, generation.path)
    previous = before.name if before is not None and before.parent == generation.path.parent else ""
    record_switch(generation.path.parent, previous, generation.digest, now_s)
    return True


def rollback(venv: Path, steps: int = 1) -> Generation:
    """Point ``.venv`` to the generation that it pointed to some switches ago.

    Generations that are gone are passed over. The history stays as it is, so that a second rollback
    leads further back.

    Raises:
        GenerationError: there is no environment, or nothing that far back.
        StoreError: the project's folder cannot be written.
    """
    current = recorded_generation(venv)
    if current is None:
        raise GenerationError(
            "there is no environment to roll back",
            context=[f"path: {venv}"],
            hints=["run `envforge sync`"],
        )
    environments_dir = current.path.parent
    digests = [past.digest for past in read_history(environments_dir)]
    older = digests[: digests.index(current.digest)] if current.digest in digests else digests
    found = [read_generation(environments_dir / digest) for digest in older]
    complete = [generation for generation in found if generation is not None]
    if steps < 1 or steps > len(complete):
        raise GenerationError(
            f"cannot go back {steps} environments: {len(complete)} older ones are there",
            context=[f"history: {environments_dir}"],
            hints=["older ones are removed in time; `git switch` and `envforge sync` make them again"],
        )
    from envforge.link.failures import link_failures

    chosen = complete[-steps]
    with link_failures(venv, "switch .venv"):
        _point(venv, chosen.path)
    return chosen


def _link_target(venv: Path) -> Path | None:
    """Where a link leads, without following further ones; None if it is no link."""
    try:
        target = str(venv.readlink())
    except OSError:
        return None
    if sys.platform == "win32":
        target = target.removeprefix("\\\\?\\")
    return venv.parent / target


def check_replaceable(venv: Path) -> None:
    """Refuse what envforge did not make. A link that leads nowhere and an empty folder may go.

    Raises:
        GenerationError: something else stands there.
    """
    target = _link_target(venv)
    if target is not None:
        if is_generation(target) or not target.exists():
            return
        what, context = "a link to another place", f"it points to {target}"
    elif not venv.exists() or (venv.is_dir() and not any(venv.iterdir())):
        return
    elif (venv / "pyvenv.cfg").exists():
        what, context = "a virtual environment of another tool", "it has a pyvenv.cfg"
    else:
        what, context = "something else", f"it is a {'folder' if venv.is_dir() else 'file'}"
    raise GenerationError(
        f"{venv} is {what}; envforge does not replace it",
        context=[context],
        hints=[f"remove or rename it ({venv.name}), then run `envforge sync`"],
    )


def _point(venv: Path, target: Path) -> None:
    """Make the link aside and rename it. The name is one for all, so that a killed process leaves one."""
    aside = venv.with_name(f"{venv.name}.envforge")
    for attempt in range(_ATTEMPTS):
        try:
            _remove_link(aside)
            _make_link(target, aside)
            if sys.platform == "win32":
                _remove_link(venv)
            else:
                _remove_empty_folder(venv)
            aside.replace(venv)
        except (FileExistsError, FileNotFoundError):  # another process took the name, or finished ours
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        if _link_target(venv) == target:
            return


def _make_link(target: Path, place: Path) -> None:
    try:
        place.symlink_to(target, target_is_directory=True)
    except OSError as error:
        if sys.platform != "win32" or error.errno == errno.EEXIST:
            raise
        from envforge.link.methods import make_junction

        make_junction(str(target), str(place))


def _remove_link(place: Path) -> None:
    """Remove a symlink or a junction (which is removed like a folder), if there is one."""
    if sys.platform == "win32" and not place.is_symlink():
        _remove_empty_folder(place)
    else:
        place.unlink(missing_ok=True)


def _remove_empty_folder(place: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        place.rmdir()
