"""``envforge init``: start a project, from nothing, from an existing pyproject.toml, or from a stack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from envforge.errors import ManifestError, UsageError
from envforge.manifest.edit import create_manifest
from envforge.manifest.faults import Fault, manifest_error
from envforge.manifest.manifest import Manifest, Settings
from envforge.manifest.parse import parse_manifest
from envforge.manifest.requirements import python_faults
from envforge.manifest.settings import is_python_version
from envforge.manifest.splice import quote, quote_list
from envforge.model.names import is_valid_name, normalize_name
from envforge.model.target import DEFAULT_PLATFORMS
from envforge.struct import Struct
from envforge.workflows.first_python import choose_first_python, warn_of_missing_python
from envforge.workflows.project import is_there, make_folder, read_project, read_text, write_text
from envforge.workflows.project_root import MANIFEST_NAME, find_workspace_root
from envforge.workflows.session import Session
from envforge.workflows.stacks import start_from_stack


class InitReport(Struct, frozen=True, kw_only=True):
    """What ``init`` wrote.

    Args:
        path: the manifest.
        created: it did not exist before.
        changed: it says something it did not say before.
        settings: that count for it, with the Python that environments get, and what will be locked for.
        stack: the stack it was started from, None for none.
        workspace: the root of the workspace that it is a member of, whose settings these are; None for a
            project alone.
    """

    path: Path
    created: bool
    changed: bool
    settings: Settings
    stack: str | None = None
    workspace: Path | None = None


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
        python: such as ``3.12``, None for the newest on this host that the manifest admits.
        platforms: conda subdirs, empty for the default ones.
        stack: a known-good stack to start from.
        session: the surroundings.

    Raises:
        ManifestError: the existing manifest is broken, or says something else than is asked for, or a
            stack would overwrite it.
        StoreError: the folder cannot be made or written.
        UsageError: no such stack, or it has its own of what is asked for; or ``python`` is no version.
    """
    path = directory / MANIFEST_NAME
    if python is not None and not is_python_version(python):
        raise UsageError(
            f"--python: {python!r} is no Python version",
            hints=["write a minor or a patch version, such as 3.12 or 3.12.4"],
        )
    root = find_workspace_root(directory)
    if stack is not None:
        _refuse_with_stack(python, platforms)
        manifest = start_from_stack(directory, stack, name or project_name(directory), workspace=root)
        warn_of_missing_python(manifest, session)
        return InitReport(path=path, created=True, changed=True, settings=manifest.settings, stack=stack)
    existing = read_text(path) if is_there(path) else None
    if root is not None:
        _refuse_in_member(directory, root, python, platforms)
        return _start_member(path, existing, name, root, session)
    given = name or project_name(directory)
    settled = platforms or DEFAULT_PLATFORMS
    bare = create_manifest(existing, name=given, requires_python="", platforms=settled)
    manifest = parse_manifest(bare, MANIFEST_NAME)
    _refuse_other_wishes(manifest, existing or "", name, python, platforms)
    chosen = manifest.settings.python or python or choose_first_python(manifest, session)
    text = create_manifest(
        existing, name=given, requires_python=_from_minor(chosen), python=chosen, platforms=settled
    )
    manifest = parse_manifest(text, MANIFEST_NAME)
    report = _write(path, existing, text, manifest)
    if report.changed:
        warn_of_missing_python(manifest, session)
    return report


def _refuse_with_stack(python: str | None, platforms: Sequence[str]) -> None:
    named = [option for option, value in (("--python", python), ("--platform", platforms)) if value]
    if named:
        raise UsageError(
            f"{named[0]} is of no use with --stack: a stack is locked, for its own Python and platforms",
            hints=["leave it out, and change what the manifest says afterwards, then run: envforge lock"],
        )


def _refuse_in_member(directory: Path, root: Path, python: str | None, platforms: Sequence[str]) -> None:
    if python or platforms:
        raise ManifestError(
            f"{directory.relative_to(root)} is a member of the workspace in {root}, "
            "whose manifest has Python and platforms for all members",
            hints=[f"leave {'--python' if python else '--platform'} out, or edit {root / MANIFEST_NAME}"],
        )


def _refuse_other_wishes(
    manifest: Manifest, text: str, name: str | None, python: str | None, platforms: Sequence[str]
) -> None:
    """Refuse options that a manifest which is there contradicts; nothing in it is overwritten.

    Args:
        manifest: with all but the Python, for which there may be no line.
        text: of the file as it is, to find lines in.
        name, python, platforms: as the user named them, None or empty for what was not named.
    """
    settings = manifest.settings
    faults = []
    if name and normalize_name(name) != normalize_name(manifest.name):
        faults.append(_other("project.name", quote(manifest.name), "--name", quote(name)))
    if python and settings.python and python != settings.python:
        where = "tool.envforge.python"
        faults.append(_other(where, quote(settings.python), "--python", quote(python)))
    if platforms and set(platforms) != set(settings.platforms):
        where, there = "tool.envforge.platforms", quote_list(settings.platforms)
        faults.append(_other(where, there, "--platform", quote_list(platforms)))
    if faults:
        raise manifest_error(manifest.path, text, faults)
    not_admitted = [fault.problem for fault in python_faults(manifest, python or "")]
    if python and not_admitted:
        raise ManifestError(
            f"{manifest.path} does not admit --python {python}",
            context=not_admitted,
            hints=["change one of the two"],
        )


def _other(where: str, there: str, option: str, wanted: str) -> Fault:
    problem = f"{option} asks for {wanted}, but here it is {there}, and init overwrites nothing"
    return Fault(where, problem, f"write {where.rpartition('.')[2]} = {wanted} there")


def _start_member(
    path: Path, existing: str | None, name: str | None, root: Path, session: Session
) -> InitReport:
    """A member has no settings: those of its workspace's root count. Its Python has to go with them."""
    of_root = _read_root(root)
    requires_python = of_root.requires_python if of_root.name else ""
    if not requires_python:
        python = of_root.settings.python or choose_first_python(of_root, session)
        requires_python = _from_minor(python)
    given = name or project_name(path.parent)
    text = create_manifest(existing, name=given, requires_python=requires_python, platforms=())
    _refuse_other_wishes(parse_manifest(text, MANIFEST_NAME), existing or "", name, None, ())
    return _write(path, existing, text, of_root, root)


def _read_root(root: Path) -> Manifest:
    """What a workspace's root says, with its members if they can be read: the first one is not there yet."""
    try:
        return read_project(root).manifest
    except ManifestError:
        return parse_manifest(read_text(root / MANIFEST_NAME), MANIFEST_NAME)


def _from_minor(python: str) -> str:
    """``>=3.12`` for ``3.12.4``; "" for none."""
    return f">={'.'.join(python.split('.')[:2])}" if python else ""


def _write(
    path: Path, existing: str | None, text: str, settled: Manifest, workspace: Path | None = None
) -> InitReport:
    """Write the manifest if it says something new; ``settled`` has Python and platforms."""
    changed = text != existing
    if changed:
        make_folder(path.parent)
        write_text(path, text)
    return InitReport(
        path=path,
        created=existing is None,
        changed=changed,
        settings=settled.settings,
        workspace=workspace,
    )


def project_name(directory: Path) -> str:
    """A valid project name made of a folder's name."""
    kept = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in directory.name)
    name = normalize_name(kept.strip("-"))
    return name if is_valid_name(name) else "project"
