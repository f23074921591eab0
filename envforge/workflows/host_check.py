"""Before anything is downloaded: can this host use what the lock has for it? Both ecosystems, one door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from envforge.errors import EnvforgeError, HostError
from envforge.events import Warned
from envforge.model.accelerators import HostFacts
from envforge.model.lock import Lock, LockedTarget
from envforge.plan.accelerator_check import (
    IGNORE_HINT,
    WheelProblem,
    check_use,
    check_wheels,
    cuda_needs,
    wheels_error,
)
from envforge.struct import Struct
from envforge.workflows.assembly import lacks_prefix
from envforge.workflows.host_facts import find_host_facts

if TYPE_CHECKING:
    from envforge.model.conda import CondaRecord
    from envforge.plan.accelerator_table import AcceleratorTable
    from envforge.workflows.assembly import Assembly

_RISK = "packages may not work on this host"


class Verdict(Struct, frozen=True, kw_only=True):
    """What came of a comparison that let the host in.

    Args:
        facts: the host as it was compared.
        warnings: what was told.
        is_clear: it lacks nothing, and nothing was passed over.
    """

    facts: HostFacts
    warnings: tuple[Warned, ...]
    is_clear: bool


def check_host(assembly: Assembly, lock: Lock, *, ignore: bool, is_there: bool = False) -> Verdict:
    """Compare what the chosen packages need of a machine with this one.

    Args:
        assembly: what is to be made.
        lock: to name a variant that fits where the chosen one does not.
        ignore: warn only.
        is_there: it was let in before, maybe by another host: only tell what would be a reason to refuse.

    Raises:
        HostError: this host lacks something, or has what these packages cannot use.
    """
    session = assembly.session
    facts = find_host_facts(session)
    problems = _wheel_problems(assembly, facts)
    errors = list(_errors(assembly, lock, facts, problems))
    if errors and not (ignore or is_there):
        raise _joined(errors)
    warnings = [
        Warned(message="\n".join([error.message, *error.context]), hint=_hint(error) if is_there else _RISK)
        for error in errors
    ]
    warnings += [
        Warned(message=problem.message, hint=problem.hint)
        for problem in problems
        if not (problem.refuses or is_there)
    ]
    for warning in warnings:
        session.reporter.report(warning)
    return Verdict(facts=facts, warnings=tuple(warnings), is_clear=not (errors or ignore or is_there))


def _wheel_problems(assembly: Assembly, facts: HostFacts) -> list[WheelProblem]:
    files = [file for _, file in assembly.files if file.filename.endswith(".whl")]
    packages = assembly.selection.packages
    return [
        *check_wheels(packages, files, facts, _table_for(facts)),
        *check_use(packages, files, facts, assembly.selection.variant.name),
    ]


def _table_for(facts: HostFacts) -> AcceleratorTable | None:
    """The table, where something can be asked of it: reading it takes 10 ms."""
    if facts.nvidia is None:
        return None

    from envforge.workflows.accelerator_data import read_accelerator_table

    return read_accelerator_table()


def _errors(
    assembly: Assembly, lock: Lock, facts: HostFacts, problems: Sequence[WheelProblem]
) -> list[HostError]:
    errors = []
    # A prefix that is there was let in when it was made.
    if lacks_prefix(assembly):
        errors += _conda_errors(assembly.selection.records, facts)
    if any(problem.refuses for problem in problems):
        errors.append(wheels_error(problems, _fitting_variants(assembly, lock, facts)))
    return errors


def _conda_errors(records: Sequence[CondaRecord], facts: HostFacts) -> list[HostError]:
    from envforge.host.virtual_packages import host_virtual_packages
    from envforge.plan.host_check import host_error, unmet_by_host

    unmet = unmet_by_host(records, host_virtual_packages(cuda=facts.cuda))
    return [host_error(unmet)] if unmet else []


def _fitting_variants(assembly: Assembly, lock: Lock, facts: HostFacts) -> list[str]:
    """Variants of this platform whose wheels this host can use, those with a GPU's build first."""
    chosen = assembly.selection.target
    fitting = []
    for target in lock.targets:
        if target.target.platform == chosen.target.platform and target.id != chosen.id:
            packages = [
                lock.packages[package_id] for package_id in _package_ids(target, assembly.selection.groups)
            ]
            files = [package.file_for(target.id) for package in packages if package.has_files]
            problems = check_wheels(packages, files, facts, _table_for(facts))
            if not any(problem.refuses for problem in problems):
                fitting.append((not cuda_needs(packages), target.id.partition(":")[2]))
    return [name for _, name in sorted(fitting, key=lambda entry: entry[0]) if name]


def _package_ids(target: LockedTarget, groups: Sequence[str]) -> list[str]:
    return target.package_ids(group for group in groups if group in target.groups)


def _hint(error: HostError) -> str:
    return next((hint for hint in error.hints if hint != IGNORE_HINT), _RISK)


def _joined(errors: Sequence[HostError]) -> EnvforgeError:
    if len(errors) == 1:
        return errors[0]
    hints = dict.fromkeys(hint for error in errors for hint in error.hints if hint != IGNORE_HINT)
    return HostError(
        "this host cannot use what is locked for it",
        context=[line for error in errors for line in (error.message, *error.context)],
        hints=[*hints, IGNORE_HINT],
    )
