"""``envforge init``: start a project, from nothing, from an existing pyproject.toml, or from a stack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from envforge.errors import ManifestError, UsageError
from envforge.host.interpreters import cache_file_for_host, list_interpreters
from envforge.manifest.edit import create_manifest, set_project_name
from envforge.manifest.parse import parse_manifest
from envforge.model.requirement import is_valid_name, normalize_name
from envforge.model.target import DEFAULT_PLATFORMS
from envforge.struct import Struct
from envforge.workflows.project import LOCK_NAME, MANIFEST_NAME, read_text, write_text
from envforge.workflows.resolving import KNOWN_PYTHONS
from envforge.workflows.session import Session


class InitReport(Struct, frozen=True, kw_only=True):
    """What ``init`` wrote.

    Args:
        path: the manifest.
        created: it did not exist before.
        changed: it says something it did not say before.
        python: the Python that environments get.
        platforms: what will be locked for.
        stack: the stack it was started from, None for none.
    """

    path: Path
    created: bool
    changed: bool
    python: str
    platforms: tuple[str, ...]
    stack: str | None


def init_project(
    directory: Path,
    *,
    name: str | None,
    python: str | None,
    platforms: Sequence[str],
    stack: str | None,
    session: Session,
) -> InitReport:
    """Write a manifest, or extend one; what is there is never overwritten.

    Args:
        directory: the project's folder; made if it does not exist.
        name: the project's name, None for the folder's.
        python: such as ``3.12``, None for the newest on this host.
        platforms: conda subdirs, empty for the default ones.
        stack: a known-good stack to start from.
        session: the surroundings.

    Raises:
        ManifestError: the existing manifest is broken, or a stack would overwrite it.
        UsageError: no such stack.
    """
    path = directory / MANIFEST_NAME
    if stack is not None:
        return _start_from_stack(path, stack, name)
    existing = read_text(path) if path.exists() else None
    chosen = python or _newest_python(session)
    text = create_manifest(
        existing,
        name=name or project_name(directory),
        requires_python=f">={'.'.join(chosen.split('.')[:2])}",
        python=chosen,
        platforms=platforms or DEFAULT_PLATFORMS,
    )
    manifest = parse_manifest(text, MANIFEST_NAME)
    if text != existing:
        directory.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    return InitReport(
        path=path,
        created=existing is None,
        changed=text != existing,
        python=manifest.settings.python,
        platforms=manifest.settings.platforms,
        stack=None,
    )


def available_stacks() -> list[str]:
    """Names of the stacks that ship with envforge, sorted."""
    folder = _stacks_folder()
    return sorted(entry.name for entry in folder.iterdir() if (entry / MANIFEST_NAME).is_file())


def project_name(directory: Path) -> str:
    """A valid project name made of a folder's name."""
    kept = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in directory.name)
    name = normalize_name(kept.strip("-"))
    return name if is_valid_name(name) else "project"


def _start_from_stack(path: Path, stack: str, name: str | None) -> InitReport:
    known = available_stacks()
    if stack not in known:
        raise UsageError(f"no stack is named {stack!r}", hints=[f"known stacks: {', '.join(known)}"])
    lock_path = path.with_name(LOCK_NAME)
    for present in (path, lock_path):
        if present.exists():
            raise ManifestError(
                f"{present.name} is there already, and init overwrites nothing",
                context=[str(present)],
                hints=["start the stack in an empty folder"],
            )
    folder = _stacks_folder() / stack
    text = set_project_name(read_text(folder / MANIFEST_NAME), name or project_name(path.parent))
    manifest = parse_manifest(text, MANIFEST_NAME)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(lock_path, read_text(folder / LOCK_NAME))
    write_text(path, text)
    return InitReport(
        path=path,
        created=True,
        changed=True,
        python=manifest.settings.python,
        platforms=manifest.settings.platforms,
        stack=stack,
    )


def _stacks_folder() -> Path:
    """``envforge/stacks`` of an installed envforge, ``lockfiles`` of a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "stacks"
    return installed if installed.is_dir() else package.parent / "lockfiles"


def _newest_python(session: Session) -> str:
    cache_file = cache_file_for_host(session.places.cache)
    found = {interpreter.minor for interpreter in list_interpreters(cache_file, session.environ)}
    return next((minor for minor in KNOWN_PYTHONS if minor in found), KNOWN_PYTHONS[1])
