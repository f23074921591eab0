"""Fetch: from locked files to trees in the store, in parallel and each only once on a tier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from envforge.errors import ArchiveError, NetworkError, OfflineError
from envforge.events import Reporter
from envforge.fetch.request import FetchRequest
from envforge.model.tree import Tree
from envforge.model.writing import BUFFERED, WriteStrategy
from envforge.net.settings import NetworkSettings
from envforge.store.store import Store

_SHOWN = 5


def fetch_trees(
    requests: Sequence[FetchRequest],
    store: Store,
    settings: NetworkSettings,
    reporter: Reporter,
    *,
    archives: Path,
    keep: bool = False,
    find_strategy: Callable[[int], WriteStrategy] = lambda _: BUFFERED,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Tree]:
    """Make sure that the store has these wheels.

    Args:
        requests: what is needed; what is there already costs one small read.
        store: where the trees go.
        settings: limits of the network, and whether it may be used.
        reporter: is told what happens.
        archives: folder for archives; what is kept there is taken from there, verified while it is unpacked.
        keep: what is downloaded stays there (:func:`envforge.fetch.archives.kept_archives`).
        find_strategy: how to write to the store, given the bytes of the archives that are missing, as far
            as they are known.
        check: called several times a second; raises to end it.

    Returns:
        sha256 → tree, for every request.

    Raises:
        OfflineError: something is missing and the network is forbidden.
        NetworkError, HashError, ArchiveError, StoreError: the first fetch that failed; the others were
            stopped, and what failed beside it is in its context. Nothing half-done is visible.
    """
    trees: dict[str, Tree] = {}
    missing: dict[str, FetchRequest] = {}
    for request in requests:
        tree = store.find_tree(request.sha256)
        if tree is None:
            missing[request.sha256] = request
        else:
            trees[request.sha256] = tree
    if missing:
        from envforge.fetch.crew import Crew  # a warm sync needs none

        _check_requests(list(missing.values()), settings, archives)
        crew = Crew(list(missing.values()), store, settings, reporter, archives, keep, find_strategy)
        trees.update({tree.sha256: tree for tree in crew.run(check)})
    return trees


def _check_requests(missing: Sequence[FetchRequest], settings: NetworkSettings, archives: Path) -> None:
    """Refuse at once what cannot be fetched at all."""
    from envforge.fetch.fetcher import is_remote
    from envforge.net.auth import redact

    for request in missing:
        if not request.url.startswith(("https:", "http:", "file:")):
            raise NetworkError(
                f"{request.filename} has a URL of a kind that cannot be downloaded",
                context=[f"url: {redact(request.url)}"],
                hints=["only https:, http: and file: are known"],
            )
        if not request.filename.endswith(".whl"):
            raise ArchiveError(f"{request.filename} is no wheel", context=[f"url: {redact(request.url)}"])
    remote = [request for request in missing if is_remote(request, archives)] if settings.offline else []
    if remote:
        names = [f"{request.name} {request.version}" for request in remote]
        more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
        raise OfflineError(
            f"{len(names)} of the packages needed are not in the store, and the network is forbidden",
            context=[*names[:_SHOWN], *more],
            hints=["run the command once without --offline"],
        )
