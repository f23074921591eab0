"""From trees to an environment: the part that the project's environment and build environments share."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from envforge.environment.spec import GenerationSpec
from envforge.model.tree import Tree
from envforge.plan.bundles import plan_bundles
from envforge.plan.link_plan import LinkMode, LinkPlan, plan_links
from envforge.store.bundle import ensure_bundle
from envforge.store.store import Store
from envforge.workflows.parts import tell_clobbers
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
    tell_clobbers(plan, session.reporter)
    return plan
