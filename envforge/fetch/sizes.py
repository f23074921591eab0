"""How large archives are that the lock knows no size of: for the progress bar, and for the order.

HTML indexes tell no sizes. If by chance the largest archive is the last to start, a processor has nothing to
do while it is unpacked (torch, last by name: 5 s). To ask for 169 sizes takes 0.2 to 0.6 s. A size
learned here decides nothing else: what has to arrive is what the lock says.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from envforge.net.pools import ConnectionPools


class Sized(Protocol):
    """Something that can be fetched."""

    @property
    def url(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def size_bytes(self) -> int | None: ...
    @property
    def index(self) -> str: ...
    @property
    def index_url(self) -> str: ...


def find_sizes(requests: Sequence[Sized], pools: ConnectionPools, connections: int) -> dict[str, int]:
    """sha256 → bytes, 0 where neither the lock nor the server tells.

    The server is asked only where there are more archives than connections: else all start at once.

    Args:
        requests: what is going to be fetched.
        pools: the connections that are used afterwards, too.
        connections: how many questions at one time.
    """
    sizes = {request.sha256: request.size_bytes or 0 for request in requests}
    unknown = deque(
        request for request in requests if request.size_bytes is None and request.url.startswith("http")
    )
    if len(requests) <= connections or not unknown:
        return sizes

    def work() -> None:
        while True:
            try:
                request = unknown.popleft()
            except IndexError:
                return
            sizes[request.sha256] = _ask_size(request, pools)

    # daemons: Ctrl-C does not wait for a server that is silent
    threads = [threading.Thread(target=work, daemon=True, name="sizes") for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sizes


def _ask_size(request: Sized, pools: ConnectionPools) -> int:
    from urllib3 import exceptions as http

    try:
        response = pools.get(request.url, {}, request.index, request.index_url, method="HEAD")
    except http.HTTPError:
        return 0  # who downloads it tries again, and says what is wrong
    length = response.headers.get("Content-Length", "")
    response.drain_conn()
    response.release_conn()
    return int(length) if response.status == 200 and length.isascii() and length.isdecimal() else 0
