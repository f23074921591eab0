"""``envforge verify``: is the environment still what was installed? With ``--repair``, make it so."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from envforge.environment.collect import remove_generation
from envforge.environment.generation import Generation, is_generation
from envforge.environment.spec import GenerationPrefix
from envforge.environment.switch import meant_generation, recorded_generation
from envforge.environment.verify import verify_generation
from envforge.environment.verify_prefix import PrefixDamage, verify_prefix
from envforge.errors import GenerationError, StoreError
from envforge.model.tree import Tree
from envforge.plan.link_plan import MARKER
from envforge.store.layout import Damage
from envforge.store.store import Store
from envforge.struct import Struct, replace
from envforge.workflows.environments import plan_environment
from envforge.workflows.project import Project, read_project
from envforge.workflows.project_root import VENV_NAME
from envforge.workflows.session import Session
from envforge.workflows.stamp import forget_stamp
from envforge.workflows.stores import open_store
from envforge.workflows.sync import sync
from envforge.workflows.sync_options import SyncOptions

_REPAIR = "run `envforge verify --repair`"


class Finding(Struct, frozen=True):
    """Something that is not as it was made, and what to do.

    Args:
        path: relative to the environment; ``trees/…`` and ``prefixes/…`` in the tier.
        message: what is wrong.
        hint: what to do.
        conda_package: name of the package whose file it is, "" for none of conda's.
    """

    path: str
    message: str
    hint: str
    conda_package: str = ""


class VerifyReport(Struct, frozen=True, kw_only=True):
    """What ``verify`` found: how many files it compared, what was wrong, and whether that was mended."""

    generation: Path
    checked_count: int
    findings: tuple[Finding, ...]
    repaired: bool = False


def verify(session: Session, *, repair: bool = False) -> VerifyReport:
    """Compare the environment, and by content its trees and its conda prefix, with what was installed.

    Args:
        session: the surroundings.
        repair: where something is wrong, take damaged trees out of the store, fetch them again and make
            the environment anew; a damaged prefix, too, for all environments that stand on it.

    Raises:
        GenerationError: the project has no environment.
        EnvforgeError: the repair failed; the next one goes on.
    """
    generation = recorded_generation(session.root / VENV_NAME)
    if generation is None:
        raise _none_to_verify(session.root / VENV_NAME)
    report = _check(generation, session)
    if report.findings:
        forget_stamp(str(generation.path))
        if repair:
            _repair(generation, report, session)
            return replace(report, repaired=True)
    return report


def _none_to_verify(venv: Path) -> GenerationError:
    """Why there is nothing to compare with. A sync, which may believe a stamp, looks for itself then."""
    meant = meant_generation(venv)
    if meant is None:
        return GenerationError("the project has no environment yet", hints=["run: envforge sync"])
    if not is_generation(meant):
        return GenerationError(
            "the environment is gone", context=[f"path: {meant}"], hints=["run: envforge sync"]
        )
    forget_stamp(str(meant))
    return GenerationError(
        "the environment cannot tell what it is made of: its own record is damaged",
        context=[f"path: {meant / MARKER}"],
        hints=["run: envforge sync"],
    )


def _repair(generation: Generation, report: VerifyReport, session: Session) -> None:
    """Take out what is damaged, and sync with what the generation had."""
    store = _store_of(generation, session)
    damaged = {
        tree.id
        for tree in generation.spec.trees
        if any(finding.path.startswith(f"trees/{tree.id}") for finding in report.findings)
    }
    for tree_id in damaged:
        store.remove_tree(tree_id, damaged=True)
    prefix = generation.spec.prefix
    if prefix is not None and any(found.path.startswith(_place(prefix)) for found in report.findings):
        from envforge.workflows.prefixes import discard_stock

        discard_stock(prefix, {found.conda_package for found in report.findings}, session)
    remove_generation(generation.path)
    sync(session, _options_of(generation))


def _options_of(generation: Generation) -> SyncOptions:
    """Options that lead to the groups and the link mode of a generation."""
    named = [group.partition(":") for group in generation.spec.groups]
    return SyncOptions(
        groups=tuple(name for kind, _, name in named if kind == "group"),
        extras=tuple(name for kind, _, name in named if kind == "extra"),
        no_dev=True,
        link_mode=generation.spec.link_mode,
        ignore_host=True,  # it was let in when it was installed
    )


def _store_of(generation: Generation, session: Session) -> Store:
    """Trees are found where the environment was made, which another ``--tier`` need not be."""
    return open_store(generation.path.parent.parent.parent, session)


def _check(generation: Generation, session: Session) -> VerifyReport:
    project = read_project(session.root)
    store = _store_of(generation, session)
    trees = {tree.id: tree for tree in _find_trees(generation, store)}
    lost = [tree for tree in generation.spec.trees if tree.id not in trees]
    findings = [
        Finding(f"trees/{tree.id}", f"the store has lost {tree.name} {tree.version}", _REPAIR)
        for tree in lost
    ]
    prefix_count, damages = _check_prefix(generation, project)
    findings += [_prefix_finding(damage, generation) for damage in damages]
    if not lost and not generation.has_lost_prefix:
        unshared = project.manifest.settings.unshare
        plan = plan_environment(list(trees.values()), generation.spec, unshared, store, session)
        findings += [
            Finding(found.path, found.problem, found.remedy)
            for found in verify_generation(
                generation,
                plan,
                store.root,
                check_tree=lambda tree_id: _check_tree(trees[tree_id], store),
                ask_version=_ask_version,
            )
        ]
    checked_count = sum(tree.file_count for tree in trees.values()) + len(generation.files) + prefix_count
    return VerifyReport(generation=generation.path, checked_count=checked_count, findings=tuple(findings))


def _check_prefix(generation: Generation, project: Project) -> tuple[int, list[PrefixDamage]]:
    """The conda part: how many files were compared, and what is wrong with it."""
    spec = generation.spec
    if spec.prefix is None:
        return 0, []
    if project.manifest.settings.link_scripts:
        return verify_prefix(spec.prefix)  # what the scripts have made is in no record
    return verify_prefix(spec.prefix, (spec.layout.scripts, spec.layout.site_packages))


def _prefix_finding(damage: PrefixDamage, generation: Generation) -> Finding:
    assert generation.spec.prefix is not None
    place = _place(generation.spec.prefix)
    package = f" ({damage.package})" if damage.package else ""
    path = f"{place}/{damage.path}".rstrip("/")
    return Finding(path, f"{damage.problem}{package}", _REPAIR, conda_package=damage.package)


def _place(prefix: GenerationPrefix) -> str:
    """``prefixes/<digest>``, relative to the tier."""
    return "/".join(Path(prefix.path).parts[-2:])


def _find_trees(generation: Generation, store: Store) -> Iterable[Tree]:
    for recorded in generation.spec.trees:
        tree = store.find_tree_by_id(recorded.id)
        if tree is not None:
            yield tree


def _check_tree(tree: Tree, store: Store) -> Iterable[Damage]:
    try:
        return store.verify_tree(tree)
    except StoreError as error:
        return [Damage(tree.id, f"{tree.id}.files", error.message)]


def _ask_version(executable: str) -> str:
    command = [executable, "-I", "-S", "-c", "import platform; print(platform.python_version())"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return finished.stdout.strip()
