"""From trees to an environment: the part that the project's environment and build environments share."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from envforge.environment.spec import PREFIX_MARKER, GenerationSpec
from envforge.events import Warned
from envforge.model.tree import Tree
from envforge.plan.bundles import plan_bundles
from envforge.plan.link_plan import LinkMode, LinkPlan, plan_links
from envforge.store.bundle import ensure_bundle
from envforge.store.store import Store
from envforge.store.uses import note_use
from envforge.workflows.session import Session


def plan_environment(
    trees: Sequence[Tree], spec: GenerationSpec, unshared: Collection[str], store: Store, session: Session
) -> LinkPlan:
    """The links of an environment; bundles that it needs are made on the way.

    Args:
        trees: what the environment holds.
        spec: layout and link mode.
        unshared: normalized names whose files are copied.
        store: holds the trees.
        session: who listens.
    """
    store.use_site_trees(tree.id for tree in trees)
    bundles: dict[str, str] = {}
    if spec.link_mode is LinkMode.SHARED:
        # Copied and hardlinked environments have real folders: neighbours are siblings there anyway.
        shared = [tree for tree in trees if tree.name not in unshared]
        by_id = {tree.id: tree for tree in shared}
        for members in plan_bundles(shared, store):
            bundle = ensure_bundle(store, [by_id[member] for member in members], session.reporter)
            bundles.update(dict.fromkeys(members, bundle))
    plan = plan_links(trees, spec.layout, store, mode=spec.link_mode, unshared=unshared, bundles=bundles)
    if spec.prefix is not None:
        from envforge.environment.prefix_contents import with_prefix_data

        plan = with_prefix_data(plan, spec, store.root)
    for clobber in plan.clobbers:
        session.reporter.report(
            Warned(
                message=f"{clobber.kept} and {clobber.dropped} both bring {clobber.path};"
                f" that of {clobber.kept} is used"
            )
        )
    return plan


def note_parts(trees: Sequence[Tree], plan: LinkPlan | None, spec: GenerationSpec, store: Store) -> bool:
    """Note the use of everything that an environment was made of; False if something is gone meanwhile.

    Called when the environment is in its place: see :mod:`envforge.store.uses`.

    Args:
        trees: what it holds.
        plan: its links, None if it could not be planned or made.
        spec: what determined it.
        store: holds the trees.
    """
    sources = [link.source.split("/", 2) for link in plan.links] if plan is not None else []
    bundles = {source[1] for source in sources if source[0] == store.bundles.name}
    return (
        all(store.note_tree(tree.id) for tree in trees)
        and all(store.has_bundle(bundle) or (store.bundles / bundle).exists() for bundle in bundles)
        and (spec.prefix is None or is_prefix_there(spec.prefix.path))
    )


def is_prefix_there(prefix: str) -> bool:
    """Whether a conda prefix is complete; its use is noted."""
    return note_use(f"{prefix}/{PREFIX_MARKER}")
