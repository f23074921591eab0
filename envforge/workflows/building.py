"""Builds of sdists, commits, folders and the project itself, in isolated environments made from the store."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.build.backend import BuildJob, Kind, build_editable, build_wheel, get_requires
from envforge.build.editable import record_archive, record_commit, record_origin
from envforge.build.sdist import unpack_sdist
from envforge.build.source import read_build_system
from envforge.errors import BuildError
from envforge.events import BuildFinished, BuildStarted
from envforge.fetch.archives import file_digest
from envforge.fetch.checked_file import checked_file
from envforge.manifest.build_settings import USUAL, BuildSettings
from envforge.model.git import parse_remote
from envforge.net.download import download
from envforge.net.pools import ConnectionPools
from envforge.store.guard import Guard
from envforge.store.owner import this_process
from envforge.store.sharing import make_folders
from envforge.struct import replace
from envforge.workflows.build_constraints import build_constraints, record_keys
from envforge.workflows.build_environments import Furnished, build_environment
from envforge.workflows.build_orders import Order, find_tree, key_of, sdist_order, subdirectory_of, url_of
from envforge.workflows.built_wheels import find_shared, remember, store_wheel
from envforge.workflows.file_places import placed_url
from envforge.workflows.index_urls import index_urls

if TYPE_CHECKING:
    from envforge.model.lock import LockedFile, LockedPackage
    from envforge.model.tree import Tree
    from envforge.workflows.session import Session
    from envforge.workflows.workshop import Workshop


def built_tree(order: Order, workshop: Workshop) -> Tree:
    """Build, or wait for whoever is building, or find what was built here or on another node.

    Raises:
        BuildError, ArchiveError: with the backend's last words.
    """
    store, session = workshop.store, workshop.session
    inside = enter(order.name, workshop)
    key = key_of(order, workshop)
    with Guard(store.guards / f"build-{key}").hold(session.reporter, order.what) as hold:
        hold.progress = "building"
        constraints = build_constraints(workshop)
        keys = record_keys(key, constraints)
        present = find_tree(order, workshop)
        if present is None and order.is_shared:
            present = find_shared(keys, order.version, store, session, constraints)
        if present is not None:
            return present
        session.reporter.report(BuildStarted(what=order.what, log=str(_log_path(order.name, session))))
        start = time.monotonic()
        with store.staging() as aside:
            wheel, furnished = _build(order, _source_of(order, aside, inside), aside, inside)
            tree = store_wheel(wheel, order.version, store, session)
            remember(keys, tree, wheel, furnished.contents, store, session, shared=order.is_shared)
        session.reporter.report(BuildFinished(what=order.what, duration_s=time.monotonic() - start))
    return tree


def enter(name: str, workshop: Workshop) -> Workshop:
    """The workshop for what has to be built on the way to something.

    Raises:
        BuildError: that is on its way already.
    """
    if name in workshop.building:
        raise BuildError(
            f"{name} cannot be built: it is needed for its own build",
            context=[" → ".join((*workshop.building, name))],
            hints=["take one of them out of tool.envforge.build: with"] if workshop.building[1:] else [],
        )
    return replace(workshop, building=(*workshop.building, name))


def prepare_job(
    kind: Kind, source: Path, settings: BuildSettings, workshop: Workshop, *, name: str, what: str
) -> tuple[BuildJob, Furnished]:
    """A source and an environment that has what its backend requires, the dynamic part included.

    Args:
        kind: of wheel.
        source: folder.
        settings: of its build.
        workshop: to build in.
        name: of the project, normalized.
        what: it is called.

    Raises:
        BuildError, ResolutionError: the environment cannot be had.
    """
    requires = read_build_system(source).requires
    log_path = _log_path(name, workshop.session)
    make_folders(log_path.parent)
    furnished = build_environment(requires, settings, workshop, _sdist_tree)
    job = BuildJob(
        name=name,
        what=what,
        source=source,
        environment=furnished.environment,
        log_path=log_path,
        timeout_s=settings.timeout_s,
        config_settings={
            key: value if isinstance(value, str) else list(value)
            for key, value in settings.config_settings.items()
        }
        or None,
    )
    more = get_requires(kind, job)
    if more:
        furnished = build_environment((*requires, *more), settings, workshop, _sdist_tree)
        job = replace(job, environment=furnished.environment)
    return job, furnished


def _log_path(name: str, session: Session) -> Path:
    # two users of one cache may build the same in the same second, on one node or on two
    unique = f"{int(session.now_s)}-{this_process()}"
    return session.places.cache / "build-logs" / f"{name}-{unique}.log"


def _sdist_tree(package: LockedPackage, file: LockedFile, workshop: Workshop) -> Tree:
    """The tree of what another build needs and has no wheel."""
    return built_tree(sdist_order(package, file), workshop)


def _build(order: Order, source: Path, aside: Path, workshop: Workshop) -> tuple[Path, Furnished]:
    """Run a source's backend. Of what lies in a folder it is noted where."""
    settings = workshop.manifest.settings.build.get(order.name, USUAL)
    job, furnished = prepare_job(order.kind, source, settings, workshop, name=order.name, what=order.what)
    if order.folder is not None and order.kind == "wheel":
        job = _apart(job, aside)
    build = build_editable if order.kind == "editable" else build_wheel
    wheel = build(job, aside / "wheel", name=order.name, version=order.version)
    if order.folder is not None:
        record_origin(wheel, source, editable=order.kind == "editable")
    if order.sdist is not None and (place := url_of(order.sdist[0])):
        record_archive(wheel, place, order.sdist[1].sha256, subdirectory_of(order.sdist[0]))
    if order.commit is not None:
        url, origin = parse_remote(order.commit.url).standard_url, order.commit
        record_commit(wheel, url, origin.commit, origin.reference.name, origin.subdirectory)
    return wheel, furnished


def _apart(job: BuildJob, aside: Path) -> BuildJob:
    """The job with a folder of its own for what setuptools makes on the way.

    It would put that into ``build`` in the source, and what is deleted there would be in the next wheel, too.
    """
    config = aside / "setuptools.cfg"
    config.write_text(f"[build]\nbuild_base = {aside / 'build'}\n", encoding="utf-8")
    env = {"DIST_EXTRA_CONFIG": str(config), **job.environment.env}
    return replace(job, environment=replace(job.environment, env=env))


def _source_of(order: Order, aside: Path, workshop: Workshop) -> Path:
    """The folder with the source."""
    if order.commit is not None:
        from envforge.workflows.repositories import put_commit, remote_of

        remote = remote_of(order.commit, workshop.manifest, workshop.session)
        return put_commit(order.commit, remote, order.name, aside, workshop.session)
    if order.sdist is None:
        assert order.folder is not None
        return order.folder
    package, file = order.sdist
    archive = _find_kept(file, workshop) or _download(package, file, aside, workshop)
    return unpack_sdist(archive, aside / "source", subdirectory=subdirectory_of(package))


def _find_kept(file: LockedFile, workshop: Workshop) -> Path | None:
    """An sdist that was kept when it was locked."""
    from envforge.workflows.direct_archives import DirectArchives

    kept = DirectArchives(workshop.session).find(file.sha256)
    return kept if kept is not None and file_digest(kept) == file.sha256 else None


def _download(package: LockedPackage, file: LockedFile, folder: Path, workshop: Workshop) -> Path:
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
            index_url=index_urls(workshop.manifest, session).get(package.place, ""),
            pools=pools,
            settings=session.network,
            reporter=session.reporter,
        )
    return archive
