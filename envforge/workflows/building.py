"""Builds: sdists and the project itself, each in an isolated environment made from the store.

A wheel is built once for a source, a Python and a platform; what came out is remembered under a digest of
these, and its tree is kept like any other.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.build.backend import (
    BuildEnvironment,
    BuildJob,
    Kind,
    build_editable,
    build_wheel,
    get_requires,
    prepare_metadata,
)
from envforge.build.editable import editable_fingerprint, record_origin
from envforge.build.sdist import unpack_sdist
from envforge.build.source import read_build_system
from envforge.environment.generation import create_generation
from envforge.environment.spec import GenerationSpec, generation_trees
from envforge.errors import BuildError
from envforge.events import BuildFinished, BuildStarted
from envforge.fetch.fetch import FetchRequest, checked_file, fetch_trees
from envforge.metadata.core import parse_core_metadata
from envforge.model.requirement import normalize_name, parse_requirement
from envforge.model.target import SystemAssumptions, Target
from envforge.net.download import download
from envforge.net.pools import ConnectionPools
from envforge.plan.link_plan import LinkMode
from envforge.resolve.resolution import resolve_target
from envforge.store.guard import Guard
from envforge.store.sharing import make_folders
from envforge.store.uses import note_use
from envforge.workflows.environments import plan_environment
from envforge.workflows.file_places import placed_url
from envforge.workflows.index_urls import index_urls
from envforge.workflows.sources import open_index_set

if TYPE_CHECKING:
    from envforge.manifest.manifest import Manifest
    from envforge.model.host import Interpreter
    from envforge.model.lock import LockedFile, LockedPackage
    from envforge.model.release import CoreMetadata, IndexFile
    from envforge.model.resolution import Pin
    from envforge.model.tree import Tree
    from envforge.store.store import Store
    from envforge.workflows.project import Project
    from envforge.workflows.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Where builds happen.

    Args:
        manifest: its indexes serve the build requirements.
        interpreter: the Python to build with and for.
        store: where trees go.
        session: places, network, reporter.
    """

    manifest: Manifest
    interpreter: Interpreter
    store: Store
    session: Session


def sdist_tree(package: LockedPackage, file: LockedFile, workshop: Workshop) -> Tree:
    """The tree of a locked sdist: built now, or found.

    Args:
        package: what it is.
        file: its locked file.
        workshop: where to build.

    Raises:
        BuildError, ArchiveError: with the backend's last words.
    """
    what = f"{package.name} {package.version}"

    def build(folder: Path) -> Path:
        source = unpack_sdist(_download_sdist(package, file, folder, workshop), folder / "source")
        return _build("wheel", source, folder, workshop, name=package.name, version=package.version)

    return _built_tree(f"sdist {file.sha256}", what, build, workshop)


def _download_sdist(package: LockedPackage, file: LockedFile, folder: Path, workshop: Workshop) -> Path:
    archive = folder / file.filename
    session = workshop.session
    url = placed_url(file.url, session.root)
    if url.startswith("file:"):
        return checked_file(url, file.sha256)
    with ConnectionPools(session.network) as pools:
        download(
            file.url,
            archive,
            sha256=file.sha256,
            size_bytes=file.size_bytes,
            filename=file.filename,
            index_name=package.index,
            index_url=index_urls(workshop.manifest, session).get(package.index, ""),
            pools=pools,
            settings=session.network,
            reporter=session.reporter,
        )
    return archive


def find_sdist_tree(file: LockedFile, workshop: Workshop) -> Tree | None:
    """The tree of a locked sdist if it was built before."""
    return _find_built(_key(f"sdist {file.sha256}", workshop), workshop.store)


def sdist_metadata(file: IndexFile, archive: Path, workshop: Workshop) -> CoreMetadata:
    """The metadata of an sdist that does not say it itself: its backend is asked, in isolation (PEP 517).

    Args:
        file: as the index lists it.
        archive: the downloaded sdist, checked.
        workshop: where to build.

    Raises:
        BuildError, ArchiveError: with the backend's last words.
    """
    reporter = workshop.session.reporter
    what = f"{file.filename} (metadata)"
    reporter.report(BuildStarted(what=what))
    start = time.monotonic()
    with workshop.store.staging() as folder:
        source = unpack_sdist(archive, folder / "source")
        job = _job("wheel", source, workshop, name=file.filename)
        dist_info = prepare_metadata("wheel", job, folder / "metadata")
        metadata = parse_core_metadata((dist_info / "METADATA").read_bytes(), file.filename)
    reporter.report(BuildFinished(what=what, duration_s=time.monotonic() - start))
    return metadata


def project_tree(project: Project, workshop: Workshop) -> Tree:
    """The tree of the project itself, editable (PEP 660): its metadata, its scripts and a way to its code."""

    def build(folder: Path) -> Path:
        return _build("editable", project.root, folder, workshop, name=project.manifest.name)

    return _built_tree(_project_source(project), f"{project.manifest.name} (editable)", build, workshop)


def find_project_tree(project: Project, workshop: Workshop) -> Tree | None:
    """The tree of the project itself if it was built before and its build would give the same."""
    return _find_built(_key(_project_source(project), workshop), workshop.store)


def _project_source(project: Project) -> str:
    return f"editable {project.root.resolve()} {editable_fingerprint(project.root)}"


def _built_tree(source: str, what: str, build: Callable[[Path], Path], workshop: Workshop) -> Tree:
    """Build, or wait for whoever is building, or find what was built."""
    store, session = workshop.store, workshop.session
    key = _key(source, workshop)
    with Guard(store.guards / f"build-{key}").hold(session.reporter, what) as hold:
        hold.progress = "building"
        present = _find_built(key, store)
        if present is not None:
            return present
        session.reporter.report(BuildStarted(what=what))
        start = time.monotonic()
        with store.staging() as folder:
            wheel = build(folder)
            tree = _store_wheel(wheel, workshop)
        _remember(key, tree, store)
        session.reporter.report(BuildFinished(what=what, duration_s=time.monotonic() - start))
    return tree


def _build(
    kind: Kind, source: Path, folder: Path, workshop: Workshop, *, name: str, version: str = ""
) -> Path:
    """Run a source's backend."""
    job = _job(kind, source, workshop, name=name)
    if kind == "wheel":
        return build_wheel(job, folder / "wheel", name=name, version=version)
    wheel = build_editable(job, folder / "wheel", name=name, version=version)
    record_origin(wheel, source)
    return wheel


def _job(kind: Kind, source: Path, workshop: Workshop, *, name: str) -> BuildJob:
    """A source and an environment that has what its backend requires, the dynamic part included."""
    requires = read_build_system(source).requires
    log_path = workshop.session.places.cache / "build-logs" / f"{name}-{int(workshop.session.now_s)}.log"
    make_folders(log_path.parent)
    job = BuildJob(source=source, environment=build_environment(requires, workshop), log_path=log_path)
    more = get_requires(kind, job)
    if more:
        job = replace(job, environment=build_environment((*requires, *more), workshop))
    return job


def build_environment(requires: Sequence[str], workshop: Workshop) -> BuildEnvironment:
    """An isolated environment with some requirements, for this host; made of links like any other."""
    interpreter, store, session = workshop.interpreter, workshop.store, workshop.session
    target = Target(
        platform=interpreter.platform,
        python=interpreter.version,
        system=SystemAssumptions(glibc=interpreter.glibc or SystemAssumptions().glibc),
    )
    requirements = [parse_requirement(text) for text in requires]
    with open_index_set(workshop.manifest, workshop.manifest.settings.exclude_newer, session) as source:
        source.prefetch(requirements, [target], {})
        resolution = resolve_target({"build": requirements}, target, source, {})
    urls = index_urls(workshop.manifest, session)
    requests = [_fetch_request(pin, urls) for pin in resolution.pins.values()]
    found = fetch_trees(
        requests,
        store,
        session.network,
        session.reporter,
        archives=session.places.archives,
        keep=session.places.keeps_archives,
    )
    trees = sorted(found.values(), key=lambda tree: tree.name)
    return BuildEnvironment(python=_build_python(trees, workshop), env=session.environ)


def _fetch_request(pin: Pin, urls: Mapping[str, str]) -> FetchRequest:
    """What has to be fetched for a pin.

    Raises:
        BuildError: the build needs something that has no wheel.
    """
    if not pin.file.is_wheel:
        raise BuildError(
            f"a build needs {pin.name} {pin.version}, which has no wheel for this host",
            hints=["bound the build requirement to a version that has one"],
        )
    return FetchRequest(
        name=pin.name,
        version=pin.version,
        url=pin.file.url,
        sha256=pin.file.sha256,
        size_bytes=pin.file.size_bytes,
        index=pin.file.index,
        index_url=urls.get(pin.file.index, ""),
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


def _store_wheel(wheel: Path, workshop: Workshop) -> Tree:
    """Bring a wheel that was built into the store, checked and unpacked like one from an index."""
    name, version = wheel.name.split("-")[:2]
    session = workshop.session
    digest = sha256(wheel.read_bytes()).hexdigest()
    request = FetchRequest(
        name=normalize_name(name), version=version, url=wheel.resolve().as_uri(), sha256=digest
    )
    trees = fetch_trees(
        [request], workshop.store, session.network, session.reporter, archives=session.places.archives
    )
    return trees[digest]


def _key(source: str, workshop: Workshop) -> str:
    interpreter = workshop.interpreter
    return sha256(f"{source} {interpreter.minor} {interpreter.platform}".encode()).hexdigest()[:32]


def _find_built(key: str, store: Store) -> Tree | None:
    try:
        place = store.root / "builds" / f"{key}.json"
        record = json.loads(place.read_bytes())
        note_use(str(place))
        return store.find_tree(record["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(key: str, tree: Tree, store: Store) -> None:
    folder = store.root / "builds"
    make_folders(folder)
    aside = folder / f".{key}.{os.getpid()}"
    aside.write_text(json.dumps({"sha256": tree.sha256}), encoding="utf-8")
    aside.replace(folder / f"{key}.json")
