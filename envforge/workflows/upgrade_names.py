"""The names that ``lock --upgrade-package`` is given: one that nothing has would upgrade nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from envforge.errors import EnvforgeError, LockError, RequirementError, UsageError
from envforge.manifest.faults import nearest
from envforge.manifest.manifest import Manifest
from envforge.manifest.requirements import requirements_by_variant
from envforge.model.conda import CONDA_MARK
from envforge.model.lock import Lock
from envforge.model.names import normalize_name
from envforge.model.requirement import parse_requirement

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def check_upgrade_names(names: Sequence[str], sides: Sequence[Lock], manifest: Manifest) -> None:
    """Make sure that each name can be upgraded: it is locked, or asked for and not locked yet.

    Args:
        names: as the user writes them.
        sides: what was locked, none where there is no lock: then all is taken at its newest.
        manifest: of the project.

    Raises:
        UsageError: something is no name.
        LockError: names that neither lock nor manifest has.
    """
    for name in names:
        if not _NAME.fullmatch(name.removeprefix(CONDA_MARK)):
            raise _no_name(name)
    locked = {package.name for side in sides for package in side.packages.values()}
    records = [record for side in sides for record in side.conda_packages.values()]
    from_conda = {record.name for record in records}
    known = locked.union(*_asked_of_pypi(manifest))
    known_on_conda = from_conda.union(_asked_of_conda(manifest))
    unknown = [
        name
        for name in names
        if name.removeprefix(CONDA_MARK).lower() not in known_on_conda
        and (name.startswith(CONDA_MARK) or normalize_name(name) not in known)
    ]
    if not unknown or not sides:
        return
    hints = []
    for name in unknown:
        bringing = [record.name for record in records if normalize_name(name) in record.pypi_names]
        close = nearest(normalize_name(name.removeprefix(CONDA_MARK)), sorted(locked | from_conda))
        if bringing:
            hints.append(f"conda brings {name}: envforge lock -P {bringing[0]}")
        elif close:
            hints.append(f"did you mean {close}?")
    raise LockError(
        f"neither envforge.lock nor {manifest.path} has {', '.join(unknown)}",
        context=["--upgrade-package is for packages that are locked"],
        hints=list(dict.fromkeys(hints)) or ["envforge tree shows what is locked"],
    )


def _asked_of_pypi(manifest: Manifest) -> Iterator[set[str]]:
    for groups in requirements_by_variant(manifest).values():
        yield from ({requirement.name for requirement in wanted} for wanted in groups.values())


def _asked_of_conda(manifest: Manifest) -> Iterator[str]:
    yield from (dependency.name for dependency in manifest.settings.all_conda_dependencies)


def _no_name(text: str) -> EnvforgeError:
    try:
        requirement = parse_requirement(text)
    except RequirementError:
        hint = "write e.g. --upgrade-package torch"
    else:
        hint = (
            f"envforge add '{text}' asks for a version; envforge lock -P {requirement.name} takes the newest"
        )
    return UsageError(f"--upgrade-package takes a name, not {text!r}", hints=[hint])
