"""What an environment is made of: noted as used when it stands, and told where two bring the same path."""

from __future__ import annotations

from envforge.environment.spec import PREFIX_MARKER, GenerationSpec
from envforge.events import Reporter, Warned
from envforge.plan.link_plan import LinkPlan
from envforge.store.store import Store
from envforge.store.uses import note_use


def tell_clobbers(plan: LinkPlan, reporter: Reporter) -> None:
    """Tell which paths more than one distribution brings."""
    for clobber in plan.clobbers:
        reporter.report(
            Warned(
                message=f"{clobber.kept} and {clobber.dropped} both bring {clobber.path};"
                f" that of {clobber.kept} is used"
            )
        )


def note_parts(spec: GenerationSpec, plan: LinkPlan | None, store: Store) -> bool:
    """Note the use of everything that an environment was made of; False if something is gone meanwhile.

    Called when the environment is in its place: see :mod:`envforge.store.uses`.

    Args:
        spec: what determined it.
        plan: its links, None if it could not be planned or made.
        store: holds the trees.
    """
    sources = [link.source.split("/", 2) for link in plan.links] if plan is not None else []
    bundles = {source[1] for source in sources if source[0] == store.bundles.name}
    return (
        all(store.note_tree(tree.id) for tree in spec.trees)
        and all(store.has_bundle(bundle) or store.has_site_bundle(bundle) for bundle in bundles)
        and (spec.prefix is None or is_prefix_there(spec.prefix.path))
    )


def is_prefix_there(prefix: str) -> bool:
    """Whether a conda prefix is complete; its use is noted."""
    return note_use(f"{prefix}/{PREFIX_MARKER}")
