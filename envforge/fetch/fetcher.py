"""One archive is fetched: from wherever it is, and under the guards that keep others from the same work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.errors import OfflineError
from envforge.events import Warned
from envforge.fetch.archives import archive_guard, archive_path, is_kept
from envforge.fetch.checked_file import checked_file
from envforge.fetch.delivery import Delivery, WrongContentError
from envforge.store.layout import tree_id
from envforge.struct import Struct

if TYPE_CHECKING:
    from envforge.fetch.request import FetchRequest
    from envforge.model.tree import Tree
    from envforge.net.pools import ConnectionPools
    from envforge.store.guard import Guard, Hold


class StoppedError(Exception):
    """Raised by ``check``: another archive failed, or the user pressed Ctrl-C."""


def is_remote(request: FetchRequest, archives: Path) -> bool:
    """Whether it has to be downloaded."""
    return not request.is_local and not is_kept(archives, tree_id(request.sha256))


class Fetcher(Struct, frozen=True, kw_only=True):
    """Fetches archives, one after the other in each thread.

    Args:
        delivery: makes trees of them.
        pools: the connections to use.
    """

    delivery: Delivery
    pools: ConnectionPools

    def fetch(self, request: FetchRequest, *, patient: bool) -> Tree | None:
        """Fetch one wheel; None if another process is at it, unless we are ``patient`` and wait for that one.

        Raises:
            NetworkError, HashError, ArchiveError, StoreError: it cannot be had, or is refused.
        """
        self.delivery.check()
        guard = self.delivery.store.guard(tree_id(request.sha256))
        with self._held(guard, request, patient) as hold:
            return self._fetch(request, patient, hold) if hold else None

    def _fetch(self, request: FetchRequest, patient: bool, outer: Hold) -> Tree | None:
        """Make one tree, unless another process has just done it."""
        delivery = self.delivery
        tree = delivery.store.find_tree(request.sha256)
        if tree is not None:
            return tree
        if request.is_local:
            return delivery.from_file(request, checked_file(request.url, request.sha256))
        damaged = False
        while True:
            try:
                tree = None if damaged else delivery.from_kept(request)
            except WrongContentError:
                damaged = True
                self._report_damaged(request)
            if tree is not None:
                return tree
            guard = archive_guard(delivery.archives, tree_id(request.sha256))
            with self._held(guard, request, patient) as inner:
                if not inner:
                    return None
                if damaged:
                    delivery.discard_damaged(request)
                    damaged = False
                if is_remote(request, delivery.archives):
                    return delivery.from_network(request, self.pools, (outer, inner))
            # another node has brought it meanwhile, and is not to be kept waiting while we read it

    def _report_damaged(self, request: FetchRequest) -> None:
        """Say that a kept archive is damaged.

        Raises:
            OfflineError: it may not be downloaded again.
        """
        place = archive_path(self.delivery.archives, tree_id(request.sha256))
        if self.delivery.settings.offline:
            raise OfflineError(
                f"the kept archive of {request.filename} is damaged, and the network is forbidden",
                context=[f"path: {place}"],
                hints=["run the command once without --offline"],
            )
        message = f"the kept archive of {request.filename} is damaged and is downloaded again"
        self.delivery.reporter.report(Warned(message=message, hint=f"path: {place}"))

    @contextmanager
    def _held(self, guard: Guard, request: FetchRequest, patient: bool) -> Iterator[Hold | None]:
        """Hold a guard: at any price, or only if it is free."""
        reporter, check = self.delivery.reporter, self.delivery.check
        with guard.hold(reporter, request.filename, check) if patient else guard.try_hold() as hold:
            yield hold
