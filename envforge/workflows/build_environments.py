"""Isolated environments for build backends: what a source requires, and what it needs as at run time.

They are made of links, like any other, from an index and, for ``tool.envforge.build.NAME.with``, from the
lock: those packages are there in exactly the locked versions, with what they need themselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from envforge.build.backend import BuildEnvironment
from envforge.build.jobs import with_jobs
from envforge.environment.generation import create_generation
from envforge.environment.spec import GenerationSpec, generation_trees
from envforge.errors import BuildError
from envforge.fetch.fetch import fetch_trees
from envforge.fetch.request import FetchRequest
from envforge.manifest.rules import build_rules
from envforge.model.lock import LockedFile, LockedPackage
from envforge.model.markers import holding_requirements, marker_holds
from envforge.model.requirement import Requirement, parse_requirement, specifier_admits
from envforge.plan.link_plan import LinkMode
from envforge.resolve.problem import Origins
from envforge.resolve.resolution import resolve_target
from envforge.struct import Struct, replace
from envforge.workflows.build_constraints import broken_constraint, build_constraints, build_target
from envforge.workflows.environments import plan_environment
from envforge.workflows.file_places import placed_url
from envforge.workflows.index_urls import index_urls
from envforge.workflows.sources import open_index_set
from envforge.workflows.workshop import Workshop, runtime_files

if TYPE_CHECKING:
    from pathlib import Path

    from envforge.manifest.build_settings import BuildSettings
    from envforge.manifest.manifest import Manifest
    from envforge.model.resolution import Pin
    from envforge.model.tree import Tree


class Furnished(Struct, frozen=True):
    """An isolated environment, and ``name==version`` of what is in it."""

    environment: BuildEnvironment
    contents: tuple[str, ...]


BuildSdist = Callable[["LockedPackage", "LockedFile", Workshop], "Tree"]
"""Builds a locked sdist that another build needs."""


def build_environment(
    requires: Sequence[str], settings: BuildSettings, workshop: Workshop, build_sdist: BuildSdist
) -> Furnished:
    """An isolated environment with some requirements, for this host.

    Args:
        requires: PEP 508 texts of the build requirements.
        settings: of what is built.
        workshop: where.
        build_sdist: for what is locked as an sdist.

    Raises:
        BuildError: a build requirement cannot be had, or asks for another version than the locked one, or
            a build constraint does not admit what is locked.
        ResolutionError: the build requirements do not go together.
    """
    session = workshop.session
    fixed = _runtime_closure(settings.runtime, workshop)
    wanted = [parse_requirement(text) for text in requires]
    wanted += [
        _as_the_manifest_says(name, workshop.manifest) for name in settings.runtime if name not in fixed
    ]
    _refuse_other_versions(wanted, fixed, workshop)
    _refuse_broken_constraints(fixed, workshop)
    chosen = {**_resolve([item for item in wanted if item.name not in fixed], fixed, workshop), **fixed}
    urls = index_urls(workshop.manifest, session)
    found = fetch_trees(
        [
            _fetch_request(package, file, urls, session.root)
            for package, file in chosen.values()
            if _is_wheel(file)
        ],
        workshop.store,
        session.network,
        session.reporter,
        archives=session.places.archives,
        keep=session.places.keeps_archives,
    )
    built = [build_sdist(package, file, workshop) for package, file in chosen.values() if not _is_wheel(file)]
    trees = sorted([*found.values(), *built], key=lambda tree: tree.name)
    env = with_jobs({**session.environ, **settings.env})
    return Furnished(
        BuildEnvironment(python=_build_python(trees, workshop), env=env),
        tuple(f"{tree.name}=={tree.version}" for tree in trees),
    )


def _runtime_closure(names: Sequence[str], workshop: Workshop) -> dict[str, tuple[LockedPackage, LockedFile]]:
    """Locked packages with all that they need in turn, by name."""
    found = runtime_files(names, workshop)
    if workshop.locked is None:
        return found
    target = workshop.locked.target.target
    queue = deque((name, frozenset[str]()) for name in found)
    seen = set(queue)
    while queue:
        name, extras = queue.popleft()
        requires = map(parse_requirement, found[name][0].requires)
        for requirement in holding_requirements(requires, target, extras):
            entry = workshop.locked.find_file(requirement.name)
            step = (requirement.name, frozenset(requirement.extras))
            if entry is not None and step not in seen:
                found[requirement.name] = entry
                seen.add(step)
                queue.append(step)
    return found


def _as_the_manifest_says(name: str, manifest: Manifest) -> Requirement:
    """What the project itself requires of another; any version where it does not, or in several ways."""
    parsed = (parse_requirement(entry.text) for entry in manifest.dependencies)
    asked = [requirement for requirement in parsed if requirement.name == name]
    return Requirement(name, specifier=asked[0].specifier) if len(asked) == 1 else Requirement(name)


def _refuse_other_versions(
    wanted: Sequence[Requirement],
    fixed: Mapping[str, tuple[LockedPackage, LockedFile]],
    workshop: Workshop,
) -> None:
    target = build_target(workshop.interpreter)
    for requirement in wanted:
        if requirement.name not in fixed or not marker_holds(requirement.marker, target):
            continue
        package, _ = fixed[requirement.name]
        if not specifier_admits(requirement.specifier, package.version):
            raise BuildError(
                f"a build requires {requirement}, but {package.name} {package.version} is locked",
                context=["tool.envforge.build: with names it, or something that needs it"],
                hints=[f"lock a version that the build admits: {requirement}"],
            )


def _refuse_broken_constraints(
    fixed: Mapping[str, tuple[LockedPackage, LockedFile]], workshop: Workshop
) -> None:
    constraints = build_constraints(workshop)
    for package, _ in fixed.values():
        constraint = broken_constraint(package.name, package.version, constraints)
        if constraint is not None:
            raise BuildError(
                f"tool.envforge.build-constraints admits only {constraint},"
                f" but {package.name} {package.version} is locked",
                context=["tool.envforge.build: with names it, or something that needs it"],
                hints=[f'lock one that builds admit, too: constraints = ["{constraint}"]'],
            )


def _resolve(
    wanted: Sequence[Requirement],
    fixed: Mapping[str, tuple[LockedPackage, LockedFile]],
    workshop: Workshop,
) -> dict[str, tuple[LockedPackage, LockedFile]]:
    """What is chosen for build requirements, so that it goes with what is there already."""
    if not wanted:
        return {}
    manifest, session = workshop.manifest, workshop.session
    target = build_target(workshop.interpreter)
    rules = build_rules(manifest)
    locked = {
        name: (Requirement(name, specifier=f"=={package.version}"),) for name, (package, _) in fixed.items()
    }
    rules = replace(
        rules,
        constraints={**rules.constraints, **locked},
        constrained_by={**rules.constrained_by, **dict.fromkeys(locked, "the lock")},
    )
    origins = Origins(asker=" ".join(["the build", *(f"of {name}" for name in workshop.building[-1:])]))
    with open_index_set(manifest, manifest.settings.exclude_newer, session, workshop.building) as source:
        source.prefetch(wanted, [target], {}, rules)
        [resolution] = source.with_hashes(
            [resolve_target({"build": wanted}, target, source, {}, origins=origins, rules=rules)]
        )
    return {name: _as_locked(pin) for name, pin in resolution.pins.items()}


def _as_locked(pin: Pin) -> tuple[LockedPackage, LockedFile]:
    """A pin as if it stood in a lock: what fetches and builds reads no other."""
    file = pin.file
    return (
        LockedPackage(id=pin.name, name=pin.name, version=pin.version, index=file.index),
        LockedFile(url=file.url, sha256=file.sha256, size_bytes=file.size_bytes),
    )


def _is_wheel(file: LockedFile) -> bool:
    return file.filename.endswith(".whl")


def _fetch_request(
    package: LockedPackage, file: LockedFile, urls: Mapping[str, str], root: Path
) -> FetchRequest:
    return FetchRequest(
        name=package.name,
        version=package.version,
        url=placed_url(file.url, root),
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        index=package.index,
        index_url=urls.get(package.place, ""),
    )


def _build_python(trees: Sequence[Tree], workshop: Workshop) -> str:
    """The Python of an environment with these trees; the same requirements give the same environment."""
    interpreter, store = workshop.interpreter, workshop.store
    spec = GenerationSpec(
        target="build",
        groups=(),
        interpreter=interpreter,
        link_mode=LinkMode.SHARED,
        trees=generation_trees(trees, LinkMode.SHARED),
        venv=str(store.root / "build-environments"),
        prompt="build",
    )
    plan = plan_environment(trees, spec, (), store, workshop.session)
    generation = create_generation(
        spec, plan, store.root, store.root / "build-environments", workshop.session.reporter
    )
    return str(generation.python)
