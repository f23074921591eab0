"""From a manifest to a new lock: the part that ``lock``, ``add``, ``remove`` and ``sync`` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING

from envforge.errors import (
    CondaUnsolvableError,
    ImpossibleOnCondaError,
    ManifestError,
    ResolutionError,
    UnknownPackageError,
)
from envforge.events import ResolutionFinished, ResolutionStarted, Warned
from envforge.lock.build import build_lock
from envforge.lock.folders import with_folders_named
from envforge.manifest.manifest import Manifest, index_names
from envforge.manifest.requirements import requirements_by_group, requirements_by_variant
from envforge.manifest.rules import manifest_rules
from envforge.manifest.targets import manifest_targets
from envforge.model.lock import Lock, LockedIndex
from envforge.model.names import normalize_name
from envforge.model.requirement import Requirement, specifier_admits
from envforge.model.resolution import TargetResolution
from envforge.model.rules import Rules
from envforge.model.sources import IndexSource
from envforge.model.target import Target
from envforge.net.client import NetworkNeededError
from envforge.resolve.problem import NO_ORIGINS, Origins
from envforge.resolve.references import DirectView
from envforge.resolve.resolution import held_back_by_python, resolve_target
from envforge.struct import Struct
from envforge.workflows.absent_extras import find_absent_extras
from envforge.workflows.channels import channel_folders
from envforge.workflows.file_places import index_folders, with_paths
from envforge.workflows.project import FormerLock, Project
from envforge.workflows.session import Session
from envforge.workflows.sources import open_index_set, sources_by_variant
from envforge.workflows.upgrades import Upgrades

if TYPE_CHECKING:
    from envforge.index.index_set import IndexSet
    from envforge.index.source_view import SourceView
    from envforge.workflows.conda_part import CondaWishes
    from envforge.workflows.direct_sources import DirectSources

KNOWN_PYTHONS = ("3.15", "3.14", "3.13", "3.12", "3.11", "3.10", "3.9", "3.8")
"""Released minors of CPython, newest first: what "the newest that everything admits" chooses from."""


class _Problem(Struct, frozen=True, kw_only=True):
    """What has to be resolved, and from what; ``groups`` and ``views`` by variant."""

    manifest: Manifest
    groups: Mapping[str, Mapping[str, Sequence[Requirement]]]
    former: FormerLock
    upgrades: Upgrades
    source: IndexSet
    views: Mapping[str, IndexSet | SourceView]
    conda: CondaWishes | None
    session: Session
    rules: Rules
    direct: DirectSources | None


def resolve_lock(project: Project, former: FormerLock, upgrades: Upgrades, session: Session) -> Lock:
    """Resolve a project's manifest for all its platforms and variants.

    Args:
        project: what is asked for.
        former: what was locked; its versions are kept where they can be.
        upgrades: what need not be kept.
        session: places, network, reporter.

    Raises:
        ManifestError, ResolutionError, UnknownPackageError, NetworkError: with the explanation.
    """
    manifest = project.manifest
    exclude_newer = upgrades.exclude_newer or manifest.settings.exclude_newer
    with (
        _open_conda_wishes(manifest, exclude_newer, former, upgrades, session) as conda,
        open_index_set(manifest, exclude_newer, session) as source,
    ):
        problem = _Problem(
            manifest=manifest,
            groups=requirements_by_variant(manifest),
            former=former,
            upgrades=upgrades,
            source=source,
            views=sources_by_variant(manifest, source),
            conda=conda,
            session=session,
            rules=manifest_rules(manifest),
            direct=_direct_sources(project, former, upgrades, session),
        )
        try:
            resolutions = source.with_hashes(_with_prebuilt(_resolve_for_best_python(problem), problem))
        except UnknownPackageError as error:
            from envforge.workflows.conda_part import offer_conda

            raise offer_conda(error, manifest, session) from None
        if conda is not None:
            _tell_of_two_cuda_stacks(resolutions, session)
            _tell_of_extras(resolutions, problem)
        lock = build_lock(
            inputs=project.inputs,
            exclude_newer=exclude_newer,
            indexes=_used_indexes(source, resolutions),
            channels=[channel.public_url for channel in manifest.settings.channels] if conda else [],
            resolutions=resolutions,
        )
        lock = with_paths(lock, index_folders(manifest, project.root))
        lock = with_folders_named(lock, channel_folders(manifest, project.root))
        if lock != former.lock:  # who resolves again and gets the same has been told
            for warning in find_absent_extras(resolutions, problem.groups, manifest):
                session.reporter.report(warning)
        return lock


def _with_prebuilt(resolutions: list[TargetResolution], problem: _Problem) -> list[TargetResolution]:
    """The resolutions with wheels for sdists, where the manifest says where such wheels are."""
    build = problem.manifest.settings.build
    patterns = {name: settings.prebuilt for name, settings in build.items() if settings.prebuilt}
    if not patterns:
        return resolutions
    from envforge.workflows.prebuilt import Prebuilt

    return Prebuilt(
        patterns=patterns,
        former=() if problem.upgrades.everything else problem.former.sides,
        rules=problem.rules,
        source=problem.source,
        session=problem.session,
    ).put_into(resolutions)


def _direct_sources(
    project: Project, former: FormerLock, upgrades: Upgrades, session: Session
) -> DirectSources | None:
    """What comes from one certain archive or folder, None where the manifest names nothing of the kind."""
    manifest = project.manifest
    if all(isinstance(source, IndexSource) for _, source in manifest.settings.all_sources):
        if "@" not in manifest.text:  # most often; an address of an author has one, too
            return None
        from envforge.manifest.references import declared_urls

        if not any(True for _ in declared_urls(manifest)):
            return None
    from envforge.workflows.direct_sources import DirectSources

    return DirectSources(project, former, upgrades, session)


def _open_conda_wishes(
    manifest: Manifest, exclude_newer: str, former: FormerLock, upgrades: Upgrades, session: Session
) -> AbstractContextManager[CondaWishes | None]:
    """What is wanted from conda, None where that is nothing: then nothing of conda is imported (8 ms)."""
    if not manifest.settings.uses_conda:
        return nullcontext()
    from envforge.workflows.conda_part import open_conda_wishes

    return open_conda_wishes(manifest, exclude_newer, former, upgrades, session)


def _resolve_for_best_python(problem: _Problem) -> list[TargetResolution]:
    """Resolve for the manifest's Python, else for the newest minor that everything admits."""
    choices = _python_choices(problem)
    second_best: list[TargetResolution] | None = None
    failure: ResolutionError | None = None
    for python in choices:
        try:
            resolutions = _resolve_for_python(python, problem)
        except ImpossibleOnCondaError:
            raise
        except ResolutionError as error:
            # That conda has nothing for some Python says less than what fails with one that it has.
            if failure is None or (_is_condas(failure) and not _is_condas(error)):
                failure = error
            continue
        first = resolutions[0]
        if len(choices) == 1 or not held_back_by_python(
            first, _facts_for(first.target, problem)[1], problem.rules
        ):
            return resolutions
        second_best = second_best or resolutions
    if second_best is not None:
        return second_best
    assert failure is not None
    raise failure


def _is_condas(error: ResolutionError) -> bool:
    return isinstance(error, CondaUnsolvableError)


def _python_choices(problem: _Problem) -> list[str]:
    """Pythons to try, best first: the manifest's, else the locked one, else all that it admits."""
    manifest = problem.manifest
    if manifest.settings.python:
        return [manifest.settings.python]
    admitted = [
        minor
        for minor in KNOWN_PYTHONS
        if any(specifier_admits(manifest.requires_python, f"{minor}.{patch}") for patch in (0, 5, 20))
    ]
    locked = [target.target.python_minor for side in problem.former.sides for target in side.targets]
    kept = [python for python in locked if python in admitted and not problem.upgrades.everything]
    if kept:
        return kept[:1]
    if admitted and problem.conda is not None:
        return _conda_first(admitted, problem.conda, manifest)
    if not admitted:
        raise ManifestError(
            f"no released Python meets requires-python {manifest.requires_python!r}",
            context=[f"{manifest.path}: project.requires-python"],
            hints=[f"known Pythons: {', '.join(KNOWN_PYTHONS)}"],
        )
    return admitted


def _conda_first(admitted: list[str], conda: CondaWishes, manifest: Manifest) -> list[str]:
    """The Pythons, starting with the one that conda would choose by itself: newer ones come last."""
    for target in manifest_targets(manifest.settings, "3"):
        best = conda.best_python(target)
        if best in admitted:
            at = admitted.index(best)
            return admitted[at:] + admitted[:at]
    return admitted


def _resolve_for_python(python: str, problem: _Problem) -> list[TargetResolution]:
    """Resolve every target from the cache alone, else fetch ahead and resolve."""
    targets = manifest_targets(problem.manifest.settings, python)
    problem.session.reporter.report(ResolutionStarted(target=targets[0].label))
    try:
        with problem.source.only_cached(targets):
            return _resolve_targets(targets, problem)
    except NetworkNeededError:
        for variant in problem.groups:
            concerned = [target for target in targets if target.variant == variant]
            groups, view = _facts_for(concerned[0], problem)
            requirements = [requirement for group in groups.values() for requirement in group]
            preferred = _locked_versions(problem, concerned[0])
            if isinstance(view, DirectView):
                from envforge.index.prefetch import crawl

                crawl(view, requirements, concerned, preferred, problem.source.connections, problem.rules)
            else:
                view.prefetch(requirements, concerned, preferred, problem.rules)
        return _resolve_targets(targets, problem)


def _resolve_targets(targets: Sequence[Target], problem: _Problem) -> list[TargetResolution]:
    """One resolution per target; what an earlier one chose is preferred by the later ones."""
    reporter = problem.session.reporter
    chosen: dict[str, str] = {}
    resolutions: dict[Target, TargetResolution] = {}
    if problem.conda is not None:
        problem.conda.ask_ahead(targets)
    for target in sorted(targets, key=lambda target: _is_new_variant(target, problem)):
        if resolutions:
            reporter.report(ResolutionStarted(target=target.label))
        preferred = _agreeing(_locked_versions(problem, target), chosen)
        resolution = _resolve_target(target, preferred, list(resolutions.values()), problem)
        chosen = {**{name: pin.version for name, pin in resolution.pins.items()}, **chosen}
        resolutions[target] = resolution
        reporter.report(ResolutionFinished(target=target.label, package_count=_package_count(resolution)))
    return [resolutions[target] for target in targets]


def _is_new_variant(target: Target, problem: _Problem) -> bool:
    """Whether a lock has other targets but not this one: it follows them, and moves none of them."""
    if not target.variant or problem.upgrades.everything:
        return False
    return bool(problem.former.sides) and not any(side.target_for(target.id) for side in problem.former.sides)


def _agreeing(locked: Mapping[str, str], chosen: Mapping[str, str]) -> dict[str, str]:
    """What to prefer: what earlier targets have, but of one release the build that is locked here."""
    others = {
        name: version
        for name, version in chosen.items()
        if name not in locked or locked[name].partition("+")[0] != version.partition("+")[0]
    }
    return {**locked, **others}


def _package_count(resolution: TargetResolution) -> int:
    return len(resolution.pins) + len(resolution.conda)


def _resolve_target(
    target: Target,
    preferred: Mapping[str, str],
    earlier: Sequence[TargetResolution],
    problem: _Problem,
) -> TargetResolution:
    """Resolve with conda's versions of the earlier targets, else without."""
    conda = problem.conda
    groups, source = _facts_for(target, problem)
    origins = _origins(target, problem)
    if conda is None:
        return resolve_target(groups, target, source, preferred, origins=origins, rules=problem.rules)
    aligned = conda.aligned_part(target, earlier)
    if aligned is not None:
        with suppress(ResolutionError):
            return resolve_target(groups, target, source, preferred, aligned, origins, problem.rules)
    try:
        part = conda.part_of(target)
        return resolve_target(groups, target, source, preferred, part, origins, problem.rules)
    except CondaUnsolvableError:
        if not conda.leave_out_absent(target):
            conda.best_python(target)  # fails for good, where no Python helps
            raise
    return _resolve_target(target, preferred, earlier, problem)


def _facts_for(
    target: Target, problem: _Problem
) -> tuple[Mapping[str, Sequence[Requirement]], IndexSet | SourceView | DirectView]:
    """What is asked for on a target, and where packages for it come from."""
    groups, view = problem.groups[target.variant], problem.views[target.variant]
    if problem.direct is None:
        return groups, view
    return problem.direct.facts_for(target, groups, view, problem.rules)


def _origins(target: Target, problem: _Problem) -> Origins:
    """What of a target's wishes is its variant's own."""
    if not target.variant:
        return NO_ORIGINS
    base = {item for group in requirements_by_group(problem.manifest).values() for item in group}
    own = {item for group in problem.groups[target.variant].values() for item in group}
    sources = problem.manifest.settings.variant(target.variant).sources
    return Origins(
        variant=target.variant,
        requirements=frozenset(own - base),
        sources=index_names(sources),
    )


def _locked_versions(problem: _Problem, target: Target) -> dict[str, str]:
    """Versions to keep for a target: those locked for it, else for its platform, then for any."""
    former = problem.former
    if problem.upgrades.everything:
        return {}
    released = {normalize_name(name) for name in problem.upgrades.packages}
    versions: dict[str, str] = {}
    for side in former.sides:
        own = side.target_for(target.id)
        for locked_target in [own] if own else side.targets_on(target.platform):
            for package_id in locked_target.package_ids(locked_target.groups):
                package = side.packages[package_id]
                versions.setdefault(package.name, package.version)
    for side in former.sides:
        for name, version in side.preferences():
            versions.setdefault(name, version)
    return {name: version for name, version in versions.items() if name not in released}


def _tell_of_two_cuda_stacks(resolutions: Sequence[TargetResolution], session: Session) -> None:
    from envforge.workflows.conda_part import cuda_stacks

    for resolution in resolutions:
        from_conda, from_pypi = cuda_stacks(resolution)
        if from_conda and from_pypi:
            message = (
                f"CUDA comes twice on {resolution.target.id}: from conda ({', '.join(from_conda)})"
                f" and from PyPI ({', '.join(from_pypi)})"
            )
            hint = "to have one, take what needs it from conda too (e.g. envforge add conda:pytorch-gpu)"
            session.reporter.report(Warned(message=message, hint=hint))
            return


def _tell_of_extras(resolutions: Sequence[TargetResolution], problem: _Problem) -> None:
    from envforge.workflows.conda_part import extras_beside_conda

    found = {
        extra
        for each in resolutions
        for extra in extras_beside_conda(each, problem.groups[each.target.variant])
    }
    if found:
        names = ", ".join(sorted(found))
        message = f"conda has no extras: what {names} needs beside its project comes from PyPI"
        problem.session.reporter.report(Warned(message=message))


def _used_indexes(source: IndexSet, resolutions: Sequence[TargetResolution]) -> tuple[LockedIndex, ...]:
    used = {pin.file.index for resolution in resolutions for pin in resolution.pins.values()}
    return tuple(
        LockedIndex(name=location.name, url=location.clean_url)
        for location in sorted(source.indexes, key=lambda location: location.name)
        if location.name in used
    )
