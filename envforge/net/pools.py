"""Connections for archives: urllib3 pools with proxies, certificates and credentials.

Archives do not go over httpx: to receive 540 MB over TLS takes 1.0 s of processor time with urllib3 and
2.5 s with httpx. Index pages and metadata do, see :mod:`envforge.net`.
"""

from __future__ import annotations

import os
import threading
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import envforge
from envforge.net.auth import find_credentials, split_credentials

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
        self._lock = threading.Lock()

    def __enter__(self) -> ConnectionPools:
        return self

    def __exit__(self, *_: object) -> None:
        for manager in self._managers.values():
            manager.clear()

    def get(self, url: str, index_name: str, headers: dict[str, str]) -> BaseHTTPResponse:
        """Send a GET; the body is still to be read.

        Credentials come from the URL, else from where :func:`find_credentials` looks; on a redirect to
        another host they are dropped.

        Raises:
            urllib3.exceptions.HTTPError: no answer came.
        """
        from urllib3.util import Retry, Timeout

        bare, _ = split_credentials(url)
        fields = {
            "User-Agent": f"envforge/{envforge.__version__}",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            **_authorization(url, index_name),
            **headers,
        }
        # only redirects: a broken transfer is resumed by the caller, who knows how far it got
        retries = Retry(total=None, connect=0, read=0, status=0, other=0, redirect=_MOST_REDIRECTS)
        return self._manager(bare).request(
            "GET",
            bare,
            headers=fields,
            preload_content=False,
            retries=retries,
            timeout=Timeout(connect=self._settings.timeout_s, read=self._settings.timeout_s),
        )

    def _manager(self, url: str) -> PoolManager:
        """The pool manager for the proxy that the environment names for this URL, or for none."""
        from urllib3 import PoolManager, ProxyManager

        proxy = _proxy_for(url)
        with self._lock:
            if proxy not in self._managers:
                size = self._settings.connections
                context = _ssl_context()
                self._managers[proxy] = (
                    ProxyManager(
                        split_credentials(proxy)[0],
                        proxy_headers=_proxy_headers(proxy),
                        num_pools=32,
                        maxsize=size,
                        ssl_context=context,
                    )
                    if proxy
                    else PoolManager(num_pools=32, maxsize=size, ssl_context=context)
                )
            return self._managers[proxy]


def _authorization(url: str, index_name: str) -> dict[str, str]:
    credentials = find_credentials(url, index_name)
    return _basic("Authorization", *credentials) if credentials else {}


def _proxy_headers(proxy: str) -> dict[str, str]:
    _, credentials = split_credentials(proxy)
    return _basic("Proxy-Authorization", *credentials) if credentials else {}


def _basic(field: str, user: str, password: str) -> dict[str, str]:
    return {field: f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


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
    """Trust the certificates that the user names, else the system's, else certifi's."""
    import ssl

    named = next(
        (os.environ[key] for key in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE") if os.environ.get(key)), ""
    )
    if named:
        context = ssl.create_default_context(cafile=named)
    else:
        context = ssl.create_default_context()
        if not context.cert_store_stats()["x509_ca"]:
            import certifi

            context.load_verify_locations(certifi.where())
    return context
