"""``envforge doctor``: what this host is, what the project gets on it, and what is wrong with either.

Nothing is changed; the driver and the environment's own Python are asked, each in a process of its own.
A project whose manifest or lock is wrong is a finding, and not the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envforge.environment.generation import Generation
from envforge.environment.intrusions import installed_by_hand, read_shell
from envforge.environment.own_python import ask_own_python
from envforge.environment.switch import recorded_generation
from envforge.errors import EnvforgeError
from envforge.host.accelerators import read_host
from envforge.host.file_systems import kind_of
from envforge.host.machine import MachineReading
from envforge.host.mounts import find_mount, mount_id, read_mounts
from envforge.host.recognition import recognize
from envforge.lock.parse import parse_lock
from envforge.model.accelerators import HostFacts
from envforge.model.lock import LockedPackage
from envforge.model.storage import Reach
from envforge.plan.accelerator_check import WheelProblem, check_wheels, cuda_needs
from envforge.plan.diagnosis import EnvironmentFacts, Finding, Severity, diagnose
from envforge.plan.variant_choice import VariantChoice, choose_variant
from envforge.struct import Struct, replace
from envforge.workflows.accelerator_data import read_accelerator_table
from envforge.workflows.project import Project, read_project
from envforge.workflows.project_root import LOCK_NAME, VENV_NAME


class ProjectState(Struct, frozen=True, kw_only=True):
    """What a project has on this host.

    Args:
        root: its folder.
        name: of the project, "" where the manifest cannot be read.
        variant: of the environment, "" for none.
        choice: what this host would get by its facts, None in a project without variants.
        environment: None where nothing was synced yet.
    """

    root: Path
    name: str = ""
    variant: str = ""
    choice: VariantChoice | None = None
    environment: EnvironmentFacts | None = None


class DoctorReport(Struct, frozen=True, kw_only=True):
    """All that was seen.

    Args:
        facts: of the host.
        reading: what they were made of, for reports of bugs.
        project: None outside one.
        findings: the worst first.
    """

    facts: HostFacts
    reading: MachineReading
    project: ProjectState | None
    findings: tuple[Finding, ...]

    @property
    def is_broken(self) -> bool:
        """Whether something does not work."""
        return any(finding.severity is Severity.BROKEN for finding in self.findings)


def examine(
    environ: Mapping[str, str], cache: Path, root: Path | None, *, now_s: float, refresh: bool = False
) -> DoctorReport:
    """Look at the host, the shell, and a project.

    Args:
        environ: the process environment.
        cache: root of what is remembered.
        root: of the project, None outside one.
        now_s: seconds since the epoch.
        refresh: ask the driver again.

    Raises:
        HostError: envforge knows no packages for this machine; a variable holds what is no version.
    """
    reading = read_host(environ, cache, now_s=now_s, refresh=refresh)
    facts = recognize(reading, environ)
    findings: list[Finding] = []
    state: ProjectState | None = None
    generation: Generation | None = None
    problems: list[WheelProblem] = []
    if root is not None:
        generation = recorded_generation(root / VENV_NAME)
        state, faults = _project_state(root, generation, facts, environ)
        findings += faults
        problems = _problems(state, root, generation, facts)
    shell = read_shell(environ, generation)
    environment = state.environment if state is not None else None
    findings += diagnose(facts, shell, environment, problems)
    order = list(Severity)
    findings.sort(key=lambda finding: order.index(finding.severity))
    return DoctorReport(facts=facts, reading=reading, project=state, findings=tuple(findings))


def _project_state(
    root: Path, generation: Generation | None, facts: HostFacts, environ: Mapping[str, str]
) -> tuple[ProjectState, list[Finding]]:
    state, findings = ProjectState(root=root), []
    try:
        project = read_project(root)
    except EnvforgeError as error:
        findings.append(_fault("manifest", error))
    else:
        state = replace(state, name=project.manifest.name)
        findings += _lock_findings(project)
        state, found = _with_choice(state, project, facts)
        findings += found
    if generation is None:
        findings.append(_no_environment(root))
        return state, findings
    variant = generation.spec.target.partition(":")[2]
    environment = _environment(root, generation, environ)
    state = replace(state, variant=variant, environment=environment)
    if state.choice is not None and variant and state.choice.name != variant:
        findings.append(_other_variant(variant, state.choice))
    return state, findings


def _fault(code: str, error: EnvforgeError) -> Finding:
    message = "\n".join([error.message, *error.context])
    return Finding(code, Severity.BROKEN, message, error.hints[0] if error.hints else "")


def _no_environment(root: Path) -> Finding:
    venv = root / VENV_NAME
    if venv.exists():
        return Finding(
            "environment",
            Severity.BROKEN,
            f"{venv} was not made by envforge",
            f"remove or rename {VENV_NAME}, then run: envforge sync",
        )
    return Finding("environment", Severity.NOTE, "there is no environment yet", "run: envforge sync")


def _other_variant(variant: str, choice: VariantChoice) -> Finding:
    return Finding(
        "variant",
        Severity.NOTE,
        f"the environment is of variant {variant}; by what this host has it would be {choice.name}"
        f" ({choice.reason})",
        "to change it: envforge sync --variant auto",
    )


def _lock_findings(project: Project) -> list[Finding]:
    try:
        text = project.lock_path.read_text(encoding="utf-8")
        lock = parse_lock(text)
    except FileNotFoundError:
        return [Finding("lock", Severity.NOTE, f"there is no {LOCK_NAME} yet", "run: envforge lock")]
    except (OSError, ValueError) as error:
        return [Finding("lock", Severity.BROKEN, f"cannot read {project.lock_path}: {error}")]
    except EnvforgeError as error:
        return [_fault("lock", error)]
    if lock.inputs == project.inputs:
        return []
    return [
        Finding("lock", Severity.WARNING, f"{LOCK_NAME} does not fit pyproject.toml", "run: envforge sync")
    ]


def _with_choice(
    state: ProjectState, project: Project, facts: HostFacts
) -> tuple[ProjectState, list[Finding]]:
    variants = project.manifest.settings.variants
    here = [variant for variant in variants if variant.condition.can_hold_on(facts.platform)]
    if not here:
        return state, []
    try:
        return replace(state, choice=choose_variant(here, facts)), []
    except EnvforgeError as error:
        return state, [_fault("variant", error)]


def _environment(root: Path, generation: Generation, environ: Mapping[str, str]) -> EnvironmentFacts:
    spec = generation.spec
    packages = {tree.name: tree.version for tree in spec.trees}
    is_lost = generation.has_lost_prefix or not generation.python.exists()
    answer: dict[str, Any] = {}
    fault = ""
    if not is_lost:
        answer, fault = ask_own_python(
            str(root / VENV_NAME / spec.layout.scripts / generation.python.name), environ
        )
    return EnvironmentFacts(
        path=str(root / VENV_NAME),
        python=spec.interpreter.version,
        platform=spec.interpreter.platform,
        packages=packages,
        conda={package.name: package.version for package in spec.prefix.packages} if spec.prefix else {},
        cuda=tuple(cuda_needs(_installed_packages(root, generation))),
        by_hand=() if is_lost else installed_by_hand(generation),
        answer=answer,
        fault=fault,
        is_lost=is_lost,
        network_place=_network_place(generation.path),
    )


def _network_place(path: Path) -> str:
    mount = find_mount(str(path.resolve()), read_mounts(), mount_id(str(path)))
    if mount is None or kind_of(mount.file_system).reach is not Reach.SHARED:
        return ""
    return mount.file_system


def _problems(
    state: ProjectState, root: Path, generation: Generation | None, facts: HostFacts
) -> list[WheelProblem]:
    """What of the environment's wheels this host cannot use."""
    if state.environment is None or generation is None or state.environment.is_lost:
        return []
    packages = _installed_packages(root, generation)
    files = [
        file
        for package in packages
        for file in package.files
        if generation.spec.target in file.targets and file.filename.endswith(".whl")
    ]
    return check_wheels(packages, files, facts, read_accelerator_table())


def _installed_packages(root: Path, generation: Generation) -> list[LockedPackage]:
    """What is in an environment, with what the lock knows of it as long as it has the same versions."""
    try:
        locked = parse_lock((root / LOCK_NAME).read_text(encoding="utf-8")).packages.values()
        known = {(package.name, package.version): package for package in locked}
    except (OSError, ValueError, EnvforgeError):
        known = {}
    return [
        known.get((tree.name, tree.version))
        or LockedPackage(id=tree.name, name=tree.name, version=tree.version, index="")
        for tree in generation.spec.trees
    ]
