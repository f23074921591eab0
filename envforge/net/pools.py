"""Connections of a run: urllib3 pools with proxies, certificates and credentials.

urllib3 rather than httpx because of its price in processor time: to receive 540 MB over TLS it takes
1.0 s against 2.5 s, and for the 340 small answers of a cold lock 0.25 s against 0.65 s.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import envforge
from envforge.errors import NetworkError
from envforge.hashing import sha256
from envforge.net.auth import Credentials, ask_keyring, find_credentials, origin, split_credentials

if TYPE_CHECKING:
    from ssl import SSLContext

    from urllib3 import BaseHTTPResponse, PoolManager

    from envforge.net.settings import NetworkSettings

_MOST_REDIRECTS = 10


class ConnectionPools:
    """Open connections of one run, shared by its threads: one pool manager for each proxy in use."""

    def __init__(self, settings: NetworkSettings) -> None:
        self._settings = settings
        self._managers: dict[str, PoolManager] = {}
        self._manager_of: dict[tuple[str, str, int], PoolManager] = {}
        self._granted: dict[tuple[str, str, int], Credentials] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> ConnectionPools:
        return self

    def __exit__(self, *_: object) -> None:
        for manager in self._managers.values():
            manager.clear()

    def get(
        self,
        url: str,
        headers: Mapping[str, str],
        index_name: str = "",
        index_url: str = "",
        *,
        method: str = "GET",
    ) -> BaseHTTPResponse:
        """Send a request; the body is still to be read.

        Args:
            url: with or without credentials, which are not sent on when another host redirects.
            headers: beside the usual ones.
            index_name: index that the file belongs to, for :func:`find_credentials`.
            index_url: that index's URL.
            method: ``GET`` or ``HEAD``.

        Raises:
            urllib3.exceptions.HTTPError: no answer came.
        """
        bare, own = split_credentials(url)
        found = self._granted.get(origin(url)) or find_credentials(url, index_name, index_url)
        response = self._send(method, bare, headers, found)
        if response.status == 401:
            asked = ask_keyring(bare, own.username if own else "")
            if asked is not None and asked != found:
                response.close()
                self._granted[origin(url)] = asked
                response = self._send(method, bare, headers, asked)
        return response

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], credentials: Credentials | None
    ) -> BaseHTTPResponse:
        """One request; only redirects are followed, a broken transfer is the caller's to resume."""
        # From the package itself, here and wherever threads begin: two that import it by way of its modules
        # wait for each other, and Python breaks one of the imports.
        from urllib3 import Retry, Timeout

        fields = {
            "User-Agent": f"envforge/{envforge.__version__}",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            **headers,
        }
        if credentials is not None:
            fields["Authorization"] = credentials.authorization
        return self._manager(url).request(
            method,
            url,
            headers=fields,
            preload_content=False,
            retries=Retry(total=None, connect=0, read=0, status=0, other=0, redirect=_MOST_REDIRECTS),
            timeout=Timeout(connect=self._settings.timeout_s, read=self._settings.timeout_s),
        )

    def identity(self, url: str, index_name: str = "", index_url: str = "") -> str:
        """A digest that tells users apart whose answers must not be mixed in a cache, ``""`` for nobody.

        It is made of the user's name; of the secret only where a token stands in for a name.
        """
        found = self._granted.get(origin(url)) or find_credentials(url, index_name, index_url)
        if found is None:
            return ""
        return sha256(f"{origin(url)} {found.username or found.password}".encode()).hexdigest()[:16]

    def _manager(self, url: str) -> PoolManager:
        """The pool manager for the proxy that the environment names for this URL, or for none."""
        key = origin(url)
        manager = self._manager_of.get(key)
        if manager is None:
            with self._lock:
                manager = self._manager_of[key] = self._open_manager(_proxy_for(url))
        return manager

    def _open_manager(self, proxy: str) -> PoolManager:
        from envforge.net.connections import open_pool_manager

        if proxy not in self._managers:
            self._managers[proxy] = open_pool_manager(
                self._settings.connections,
                _ssl_context(),
                split_credentials(proxy)[0],
                _proxy_headers(proxy),
            )
        return self._managers[proxy]


def _proxy_headers(proxy: str) -> dict[str, str]:
    credentials = split_credentials(proxy)[1]
    return {"Proxy-Authorization": credentials.authorization} if credentials else {}


def _proxy_for(url: str) -> str:
    """The proxy for a URL that the environment (``HTTPS_PROXY``, ``NO_PROXY`` …) names, ``""`` for none."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    if not proxy or proxy_bypass(parts.hostname or ""):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _ssl_context() -> SSLContext:
    """Trust the certificates that the user names, else the system's, else certifi's.

    Raises:
        NetworkError: what the user names is no file of certificates.
    """
    import ssl

    setting = next((key for key in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE") if os.environ.get(key)), "")
    named = os.environ[setting] if setting else ""
    try:
        is_folder = os.path.isdir(named)  # noqa: PTH112
        context = ssl.create_default_context(
            capath=named if is_folder else None, cafile=named if named and not is_folder else None
        )
    except (OSError, ssl.SSLError) as error:
        raise NetworkError(
            f"the certificates named by {setting or 'SSL_CERT_FILE'} cannot be read",
            context=[f"file: {named}", f"reason: {error.strerror or error}"],
            hints=[f"correct or unset {setting or 'SSL_CERT_FILE'}"],
        ) from None
    context.hostname_checks_common_name = False  # as urllib3 has it where it makes the context
    if not named and not os.environ.get("SSL_CERT_DIR") and not context.cert_store_stats()["x509_ca"]:
        import certifi

        context.load_verify_locations(certifi.where())
    return context
