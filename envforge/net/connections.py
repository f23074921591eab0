"""Pools of connections that ask the name server once.

Twenty threads that open connections at the same time send forty questions to the name server, and one
that drops some of a burst (home routers do, and so do resolvers of clusters) costs the usual five
seconds until the question is repeated. Here a host's addresses are looked up by one thread, and
remembered for the run. The address that answered last is tried first.
"""

from __future__ import annotations

import socket
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ssl import SSLContext

    from urllib3 import PoolManager


def open_pool_manager(
    connections: int, context: SSLContext, proxy: str = "", proxy_headers: Mapping[str, str] | None = None
) -> PoolManager:
    """A urllib3 pool manager for many threads.

    Args:
        connections: how many of one host are kept open.
        context: what certificates to trust.
        proxy: URL without credentials, ``""`` for none.
        proxy_headers: for the proxy only.
    """
    from urllib3 import PoolManager, ProxyManager

    options: dict[str, Any] = {"num_pools": 32, "maxsize": connections, "ssl_context": context}
    manager = (
        PoolManager(**options) if not proxy else ProxyManager(proxy, proxy_headers=proxy_headers, **options)
    )
    manager.pool_classes_by_scheme = _pool_classes()
    return manager


class _Addresses:
    """Host and port → addresses, best first. Failures are not remembered."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], list[str]] = {}
        self._locks: dict[tuple[str, int], threading.Lock] = {}

    def find(self, host: str, port: int) -> list[str]:
        """Addresses of a host; raises :class:`socket.gaierror`."""
        key = (host, port)
        with self._locks.setdefault(key, threading.Lock()):
            known = self._known.get(key)
            if known is None:
                found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                known = self._known[key] = list(dict.fromkeys(str(item[4][0]) for item in found))
            return known

    def forget(self, host: str, port: int) -> None:
        """Look the host up again next time: none of its addresses answered."""
        self._known.pop((host, port), None)

    def prefer(self, host: str, port: int, address: str) -> None:
        """Try an address first from now on."""
        known = self._known.get((host, port), [])
        if known and known[0] != address:
            self._known[host, port] = [address, *(other for other in known if other != address)]


@cache
def _pool_classes() -> dict[str, Any]:
    """urllib3's pools with connections that know their addresses."""
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

    addresses = _Addresses()

    class Known(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            # urllib3 connects to _dns_host; everything else, certificates too, goes by host and port
            name = self._dns_host
            port = self.port or 0
            try:
                found = addresses.find(name, port)
            except (socket.gaierror, UnicodeError) as error:
                cause = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
                raise NameResolutionError(self.host, self, cause) from error
            failure: Exception | None = None
            for address in found:
                self._dns_host = address
                try:
                    connected = super()._new_conn()
                except (NewConnectionError, ConnectTimeoutError) as error:
                    failure = error
                else:
                    addresses.prefer(name, port, address)
                    return connected
                finally:
                    self._dns_host = name
            addresses.forget(name, port)
            assert failure is not None
            raise failure

    class KnownTls(Known, HTTPSConnection):
        pass

    class Pool(HTTPConnectionPool):
        ConnectionCls = Known

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = KnownTls

    return {"http": Pool, "https": TlsPool}
