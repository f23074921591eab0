"""What sources require that do not say it themselves: their backends are asked, in isolation (PEP 517)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.build.backend import Kind, prepare_metadata
from envforge.build.platforms import platform_difference
from envforge.build.sdist import unpack_sdist
from envforge.errors import BuildError
from envforge.events import BuildFinished, BuildStarted, Warned
from envforge.manifest.build_settings import USUAL
from envforge.metadata.core import parse_core_metadata
from envforge.metadata.versions import release_of
from envforge.workflows.building import enter, prepare_job
from envforge.workflows.workshop import Workshop

if TYPE_CHECKING:
    from envforge.manifest.manifest import Manifest
    from envforge.model.release import CoreMetadata, IndexFile
    from envforge.workflows.session import Session


def metadata_workshop(manifest: Manifest, session: Session, building: tuple[str, ...] = ()) -> Workshop:
    """Where backends are asked for metadata: with the manifest's Python, else the newest on this host.

    Args:
        manifest: its indexes serve the build requirements.
        session: the surroundings.
        building: names of what is being built, for which this is needed.
    """
    from envforge.store.store import Store
    from envforge.workflows.selection import find_any_interpreter

    interpreter = find_any_interpreter(manifest, session)
    store = Store(session.places.tier, session.places.site)
    return Workshop(
        manifest=manifest, interpreter=interpreter, store=store, session=session, building=building
    )


def sdist_metadata(file: IndexFile, archive: Path, workshop: Workshop) -> CoreMetadata:
    """The metadata of an sdist of an index, which only its backend can tell.

    Args:
        file: as the index lists it.
        archive: the downloaded sdist, checked.
        workshop: where to build.

    Raises:
        BuildError, ArchiveError: with the backend's last words.
    """
    with workshop.store.staging() as folder:
        source = unpack_sdist(archive, folder / "source")
        project, _ = release_of(file.filename) or (file.filename, "")
        metadata = _ask(project, file.filename, source, "wheel", workshop)
        judge_platforms(file.filename, source, metadata, workshop)
    return metadata


def unbuilt_metadata(
    name: str, file: IndexFile, archive: Path, subdirectory: str, workshop: Callable[[], Workshop]
) -> CoreMetadata:
    """The metadata of an sdist that is named directly: its own, its pyproject.toml's, or a build's.

    Args:
        name: the project's, normalized; the file may be called otherwise (``v1.0.tar.gz``).
        file: with its name.
        archive: the file on this disk.
        subdirectory: where in it the project is, ``""`` for its top.
        workshop: gives where to build.

    Raises:
        MetadataError, BuildError, ArchiveError: it has none, or is no sdist.
    """
    from envforge.index.sdist import read_static_metadata
    from envforge.workflows.folders import read_folder

    found = read_static_metadata(archive, file.filename) if not subdirectory else None
    if found is not None:
        return found
    shop = workshop()
    with shop.store.staging() as folder:
        source = unpack_sdist(archive, folder / "source", subdirectory=subdirectory)
        manifest = read_folder(source, file.filename)
        if manifest is not None and manifest.is_static:
            return manifest.metadata()
        metadata = _ask(name, file.filename, source, "wheel", shop)
        judge_platforms(file.filename, source, metadata, shop)
    return metadata


def folder_metadata(name: str, source: Path, kind: Kind, workshop: Workshop) -> CoreMetadata:
    """The metadata of a source folder, by its backend.

    Args:
        name: what to call it, normalized where it is known.
        source: the folder.
        kind: of the wheel that it will become.
        workshop: where to build.

    Raises:
        BuildError: with the backend's last words.
    """
    return _ask(name, name, source, kind, workshop)


def judge_platforms(what: str, source: Path, metadata: CoreMetadata, workshop: Workshop) -> None:
    """Take a backend's answer on this platform for all others, which is said, or refuse to.

    Raises:
        BuildError: it is known to be another one elsewhere.
    """
    platform = workshop.interpreter.platform
    others = [each for each in workshop.manifest.settings.platforms if each != platform]
    if not others:
        return
    difference = platform_difference(source, metadata)
    if difference:
        raise BuildError(
            f"what {what} requires depends on the platform: {platform} cannot tell for {', '.join(others)}",
            context=[
                f"its setup.py looks at the platform, and {difference}: say it in tool.envforge.metadata"
            ],
        )
    told = f"what {what} requires was found out by its build backend on {platform}"
    message = f"{told}; its answer and its markers are taken for {', '.join(others)} too"
    hint = "if it requires something else there, say so in tool.envforge.metadata"
    workshop.session.reporter.report(Warned(message=message, hint=hint))


def _ask(name: str, called: str, source: Path, kind: Kind, workshop: Workshop) -> CoreMetadata:
    """Ask the backend of a source, which users know as ``called``."""
    reporter = workshop.session.reporter
    what = f"{called} (metadata)"
    settings = workshop.manifest.settings.build.get(name, USUAL)
    reporter.report(BuildStarted(what=what))
    start = time.monotonic()
    with workshop.store.staging() as folder:
        job, _ = prepare_job(kind, source, settings, enter(name, workshop), name=name, what=called)
        dist_info = prepare_metadata(kind, job, folder / "metadata")
        metadata = parse_core_metadata((dist_info / "METADATA").read_bytes(), called)
    reporter.report(BuildFinished(what=what, duration_s=time.monotonic() - start))
    return metadata
