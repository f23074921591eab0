"""The short way of ``envforge sync``: an environment like one that an earlier sync has worked out.

For a project without an environment, if the tier has a blueprint of its manifest, lock and host: look
whether Python and store are still as the blueprint has it → build the generation aside → point ``.venv`` to
it. Neither manifest nor lock is understood, and what would do that is not imported. In any doubt the whole
way (:mod:`.sync`) has to be gone; it also tells what is wrong.
"""

from __future__ import annotations

import os

from envforge.environment.generation import Generation, create_generation
from envforge.environment.spec import GenerationSpec
from envforge.environment.tenants import record_tenant
from envforge.errors import EnvforgeError
from envforge.host.paths import project_environments_folder
from envforge.host.visibility import is_shared
from envforge.plan.link_plan import LinkPlan
from envforge.store.store import Store
from envforge.struct import replace
from envforge.workflows.blueprint import Blueprint, digest_files, find_blueprint, inputs_of, is_any_kept
from envforge.workflows.host_facts import find_host_facts, find_present_python
from envforge.workflows.parts import note_parts, tell_clobbers
from envforge.workflows.pointing import point_to
from envforge.workflows.project_root import LOCK_NAME, MANIFEST_NAME, VENV_NAME
from envforge.workflows.purged import look_for_remains
from envforge.workflows.session import Session
from envforge.workflows.stamp import write_stamp
from envforge.workflows.sync_options import SyncOptions
from envforge.workflows.sync_report import PackageChange, SyncReport


def sync_shortest(session: Session, options: SyncOptions = SyncOptions()) -> SyncReport:
    """Sync the short way where that leads there, else the whole way, which is imported only then.

    Raises:
        EnvforgeError: see :func:`envforge.workflows.sync.sync`.
    """
    report = sync_again(session, options)
    if report is not None:
        return report
    from envforge.workflows.sync import sync

    return sync(session, options)


def sync_again(session: Session, options: SyncOptions = SyncOptions()) -> SyncReport | None:
    """Make a project's first environment as a blueprint has it.

    Returns:
        What a sync would have reported; None where the whole way has to be gone.
    """
    if not options.is_plain or session.network.refresh or os.path.lexists(session.root / VENV_NAME):
        return None
    try:
        return _sync_again(session)
    except (EnvforgeError, OSError, ValueError):  # ValueError: of system calls, for names that are none
        return None


def _sync_again(session: Session) -> SyncReport | None:
    manifest, lock = ((session.root / name).read_bytes() for name in (MANIFEST_NAME, LOCK_NAME))
    store = Store(session.places.tier, session.places.site)
    files = digest_files(manifest, lock)
    if not is_any_kept(files, store):
        return None
    blueprint = find_blueprint(inputs_of(files, find_host_facts(session), session.environ), store)
    if blueprint is None or store.site_fault or not _has_same_builds(blueprint, store):
        return None
    python = find_present_python(blueprint.python, blueprint.requires_python, session)
    if python != blueprint.spec.interpreter:
        return None
    spec = _own_spec(blueprint, session)
    remains = look_for_remains(None, (tree.id for tree in spec.trees), store)
    generation = None if remains.purged else _make(spec, blueprint.plan, store, session)
    if generation is None:
        return None
    point_to(generation, session)
    for warning in blueprint.warnings:
        session.reporter.report(warning)
    tell_clobbers(blueprint.plan, session.reporter)
    root = str(session.root)
    write_stamp(
        root,
        str(generation.path),
        session.environ,
        [manifest, lock],
        only_here=is_shared(root),
        witness=remains.witness,
    )
    return SyncReport(
        venv=session.root / VENV_NAME,
        generation=generation.path,
        python=spec.interpreter.version,
        package_count=len(spec.trees),
        changes=tuple(PackageChange(name=tree.name, old="", new=tree.version) for tree in spec.trees),
    )


def _has_same_builds(blueprint: Blueprint, store: Store) -> bool:
    """Whether a sync would find what was built: a record that is gone or of another wheel leads elsewhere."""
    if not blueprint.builds:
        return True
    from envforge.workflows.build_records import is_noted

    return all(is_noted(store.root, key, sha256) for key, sha256 in blueprint.builds)


def _own_spec(blueprint: Blueprint, session: Session) -> GenerationSpec:
    """The spec as this project has it: activation names its folder."""
    venv = str(session.root / VENV_NAME)
    return replace(blueprint.spec, venv=venv, prompt=blueprint.project or session.root.name)


def _make(spec: GenerationSpec, plan: LinkPlan, store: Store, session: Session) -> Generation | None:
    """Make the generation; None if it is there, in whatever state, or if the store has lost some of it.

    A link to a folder that is gone is made without an error, so the parts are looked at before.
    """
    environments = project_environments_folder(session.places.tier, session.root)
    if os.path.lexists(environments / spec.digest) or not note_parts(spec, plan, store):
        return None
    store.prepare()
    store.sweep()
    record_tenant(environments, session.root)
    store.use_site_trees(tree.id for tree in spec.trees)
    generation = create_generation(spec, plan, store.root, environments, session.reporter)
    return generation if note_parts(spec, plan, store) else None
