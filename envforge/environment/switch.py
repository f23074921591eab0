"""``.venv`` in the project: a link to a generation, switched in one step.

It leads there through a link of this host's own (:mod:`envforge.environment.venv_link`) where other hosts see
the project, but not the tier, and from when on a host of another kind has synced; and stays so.

On POSIX a new symlink is renamed over the old one. Windows cannot rename over a junction: there the old
one is removed first, and a process that is killed in between leaves none (the next sync makes it).
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

from envforge.environment.generation import (
    Generation,
    is_generation,
    read_generation,
    read_recorded_generation,
)
from envforge.environment.git_exclude import exclude_from_git
from envforge.environment.history import read_history, record_switch
from envforge.environment.spec import DIGEST_LETTERS
from envforge.environment.venv_link import (
    BASES,
    find_target,
    host_link_owner,
    new_host_link,
    read_link,
    write_host_link,
)
from envforge.errors import GenerationError
from envforge.plan.link_plan import MARKER

_ATTEMPTS = 20
_ALLOW = "give this user write access to the project's folder; `envforge run --no-sync` needs none"


def meant_generation(venv: Path) -> Path | None:
    """The folder that ``.venv`` means on this host, whatever is there; None if it means none."""
    target = find_target(str(venv))
    return Path(target) if target is not None else None


def current_generation(venv: Path) -> Generation | None:
    """The generation that ``.venv`` means on this host; None if it is not there or is not envforge's."""
    target = meant_generation(venv)
    return read_generation(target) if target is not None else None


def recorded_generation(venv: Path) -> Generation | None:
    """Likewise, also one whose conda prefix is gone: to tell what was installed."""
    target = meant_generation(venv)
    return read_recorded_generation(target) if target is not None else None


def switch(venv: Path, generation: Generation, *, now_s: float) -> bool:
    """Point ``.venv`` to a generation and remember it.

    Args:
        venv: absolute path of the link.
        generation: a complete one.
        now_s: seconds since the epoch, for the history.

    Returns:
        Whether it meant another one before, on this host.

    Raises:
        GenerationError: something that envforge did not make stands there, or where this host's link belongs.
        StoreError: the project's folder cannot be written.
    """
    before = meant_generation(venv)
    if before == generation.path and (_own_host_link(venv) or not _needs_host_link(venv, generation)):
        return False
    check_replaceable(venv)
    _lead(venv, generation)
    exclude_from_git(venv)
    if before == generation.path:
        return False
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
    # on a shared tier the history has the environments of other kinds of hosts, too
    several_kinds = bool(_own_host_link(venv))
    complete = [
        generation
        for generation in found
        if generation is not None and not (several_kinds and _is_of_another_kind(generation, current))
    ]
    if steps < 1 or steps > len(complete):
        raise GenerationError(
            f"cannot go back {_environments(steps)}: {len(complete) or 'none'} older than this one"
            f" {'is' if len(complete) < 2 else 'are'} there",
            context=[f"history: {environments_dir}"],
            hints=["older ones are removed in time; `git switch` and `envforge sync` make them again"],
        )
    chosen = complete[-steps]
    with suppress(OSError):
        # the history stays as it is: this is what tells that `.venv` has pointed to it again
        os.utime(chosen.path / MARKER)
    _lead(venv, chosen)
    return chosen


def _environments(number: int) -> str:
    return "1 environment" if number == 1 else f"{number} environments"


def _text(venv: Path) -> str:
    """Of the link, "" if it is none."""
    try:
        return read_link(str(venv))
    except OSError:
        return ""


def _own_host_link(venv: Path) -> str:
    """The link of each host that ``.venv`` leads to, "" if it leads to none, or to that of another user."""
    text = _text(venv)
    return text if sys.platform != "win32" and host_link_owner(text) == os.geteuid() else ""


def _needs_host_link(venv: Path, generation: Generation) -> bool:
    """Whether other hosts, for whom a generation is not, see the same ``.venv``."""
    if sys.platform == "win32":
        return False
    from envforge.host.visibility import is_seen_further, is_shared

    tier = generation.path.parents[2]
    if is_seen_further(str(venv.parent), str(tier)):
        return True
    before = recorded_generation(venv)
    return before is not None and _is_of_another_kind(before, generation) and is_shared(str(venv.parent))


def _is_of_another_kind(generation: Generation, of_this_host: Generation) -> bool:
    """Whether a generation is for another kind of host: processor, variant, or a Python that is not here."""
    spec, here = generation.spec, of_this_host.spec
    if spec.target != here.target or spec.interpreter.platform != here.interpreter.platform:
        return True
    return not os.access(spec.interpreter.executable, os.X_OK)


def _lead(venv: Path, generation: Generation) -> None:
    """Let ``.venv`` lead to a generation, in the way that the other hosts need.

    Raises:
        GenerationError: another user has taken the place of this host's link.
        StoreError: the project's folder cannot be written.
    """
    from envforge.host.visibility import first_local
    from envforge.link.failures import link_failures

    with link_failures(venv, "switch .venv", hint_to_allow=_ALLOW):
        link = _own_host_link(venv)
        if not link and _needs_host_link(venv, generation):
            base = first_local(BASES)
            link = new_host_link(venv.parent.name, base) if base else ""
        while link:
            write_host_link(link, str(generation.path))
            if _text(venv) == link:
                return
            _point(venv, link)
            link = _own_host_link(venv)  # that of another host, if that was faster
        _point(venv, str(generation.path))


def check_replaceable(venv: Path) -> None:
    """Refuse what envforge did not make. A link that leads nowhere and an empty folder may go.

    Raises:
        GenerationError: something else stands there.
    """
    text = _text(venv)
    if text:
        target = venv.parent / text
        if host_link_owner(text) is not None or _is_ours(target) or not os.access(target, os.F_OK):
            return
        what, context = "a link to another place", f"it points to {target}"
    elif not venv.exists() or _is_empty_folder(venv):
        return
    elif _text(venv):
        check_replaceable(venv)  # another process has linked it between the two looks
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


def _is_empty_folder(venv: Path) -> bool:
    """Also one that is gone by now: another process is putting its link there."""
    try:
        return venv.is_dir() and not any(venv.iterdir())
    except FileNotFoundError:
        return True


def _is_ours(target: Path) -> bool:
    """Whether envforge made what is there, or what was there before a purge took its marker."""
    if is_generation(target):
        return True
    _, dash, digest = target.parent.name.rpartition("-")  # project_environments_folder
    of_project = bool(dash) and len(digest) == 12 and not digest.strip("0123456789abcdef")
    return of_project and target.parents[1].name == "envs" and len(target.name) == DIGEST_LETTERS


def _point(venv: Path, text: str) -> None:
    """Make the link aside and rename it. The name is one for all, so that a killed process leaves one."""
    aside = venv.with_name(f"{venv.name}.envforge")
    for attempt in range(_ATTEMPTS):
        try:
            _remove_link(aside)
            _make_link(text, aside)
            if sys.platform == "win32":
                _remove_link(venv)
            else:
                _remove_empty_folder(venv)
            aside.replace(venv)
        except (FileExistsError, FileNotFoundError):  # another process took the name, or finished ours
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        if _text(venv) == text or _own_host_link(venv):
            return


def _make_link(text: str, place: Path) -> None:
    try:
        place.symlink_to(text, target_is_directory=True)
    except OSError as error:
        if sys.platform != "win32" or error.errno == errno.EEXIST:
            raise
        from envforge.link.methods import make_junction

        make_junction(text, str(place))


def _remove_link(place: Path) -> None:
    """Remove a symlink or a junction (which is removed like a folder), if there is one."""
    if sys.platform == "win32" and not place.is_symlink():
        _remove_empty_folder(place)
    else:
        place.unlink(missing_ok=True)


def _remove_empty_folder(place: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        place.rmdir()
