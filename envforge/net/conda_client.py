"""py-rattler's HTTP client: what it sends to a conda channel, and how it gets through.

Credentials are looked for as for an index (:mod:`envforge.net.auth`), with variables of their own:
``ENVFORGE_CHANNEL_<NAME>_TOKEN`` (sent as ``Bearer``), or ``_USERNAME`` and ``_PASSWORD``. Those that
``pixi auth login`` or another tool of rattler left in its file come last. They go into headers, and a token
in a path (``/t/<token>/``, anaconda.org) into the requests only, so that no record ever holds one. Proxies
and certificates are read from the same variables by rattler itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import envforge
from envforge.errors import ManifestError
from envforge.net.auth import (
    Credentials,
    ask_keyring,
    describe_lookups,
    expand_url,
    find_credentials,
    origin,
    split_credentials,
)
from envforge.struct import Struct, replace

if TYPE_CHECKING:
    from rattler.networking import Client

    from envforge.net.settings import NetworkSettings

_TOKEN = re.compile(r"(https?://[^/]+)/t/([^/]+)(?=/)")
_SCHEMES = ("http", "https", "file")


class ChannelLocation(Struct, frozen=True, kw_only=True):
    """A channel.

    Args:
        name: what the manifest calls it: ``conda-forge``, a URL, a folder; without credentials.
        url: where its subdirs are; may hold credentials and, as the manifest writes it, ``${VARIABLES}``.
    """

    name: str
    url: str

    def __repr__(self) -> str:
        return f"ChannelLocation({self.name!r})"  # the URL may hold credentials

    @property
    def clean_url(self) -> str:
        """Without credentials and without a slash at its end: for records, locks and messages."""
        return _TOKEN.sub(r"\1", self._bare_url, count=1)

    @property
    def token(self) -> str:
        """The secret in its path, ``""`` for none."""
        found = _TOKEN.match(self._bare_url)
        return found[2] if found else ""

    @property
    def token_url(self) -> str:
        """Where requests go: with the token, without a user."""
        return self._bare_url

    @property
    def is_folder(self) -> bool:
        return self.url.startswith("file:")

    @property
    def variable_prefix(self) -> str:
        """``ENVFORGE_CHANNEL_MY_CHANNEL``; of a URL the last part of its path counts."""
        last = self.clean_url.rpartition("/")[2] if "/" in self.name else self.name
        return "ENVFORGE_CHANNEL_" + re.sub(r"[^A-Z0-9]+", "_", last.upper())

    @property
    def _bare_url(self) -> str:
        return split_credentials(self.url)[0].rstrip("/")

    def expand(self, environ: Mapping[str, str]) -> ChannelLocation:
        """With the variables in its URL replaced.

        Raises:
            ManifestError: one is not set, or the URL is of a kind that is not understood.
        """
        try:
            url = expand_url(self.url, environ, self.name)
        except ManifestError as error:
            message = error.message.replace("URL of index", "URL of channel")
            raise ManifestError(message, context=error.context, hints=error.hints) from None
        scheme = url.partition(":")[0]
        if scheme not in _SCHEMES:
            raise ManifestError(
                f"channel {self.name!r} has a URL of a kind that is not understood: {scheme}",
                hints=["use http, https or file, or the name of a channel of anaconda.org"],
            )
        return replace(self, url=url)


class ChannelCredentials:
    """What is sent to which channel; a server's requests are told apart by host and path.

    Args:
        channels: with their variables expanded.
        environ: for the channels' own variables.
    """

    def __init__(self, channels: Sequence[ChannelLocation], environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._channels = [(*_place(channel.clean_url), channel) for channel in channels]
        self._known: dict[str, str] = {}

    def headers_for(self, host: str, path: str) -> dict[str, str] | None:
        """For a request of rattler; it names neither scheme nor port.

        Where two channels differ in nothing else, nobody's credentials are sent.
        """
        fitting = [
            channel
            for channel_host, channel_path, channel in self._channels
            if host.lower() == channel_host and _without_token(path).startswith(f"{channel_path}/")
        ]
        if not fitting or len({origin(channel.clean_url) for channel in fitting}) > 1:
            return None
        authorization = self.authorization(max(fitting, key=lambda channel: len(channel.clean_url)))
        return {"Authorization": authorization} if authorization else None

    def authorization(self, channel: ChannelLocation) -> str:
        """The value of the header for a channel, ``""`` for none."""
        known = self._known.get(channel.url)
        if known is None:
            known = self._known[channel.url] = self._find(channel)
        return known

    def ask_keyring(self, channel: ChannelLocation) -> bool:
        """After a refusal: whether keyring has something else than what was sent."""
        own = split_credentials(channel.url)[1]
        found = ask_keyring(channel.clean_url, own.username if own else "")
        if found is None or found.authorization == self.authorization(channel):
            return False
        self._known[channel.url] = found.authorization
        return True

    def describe_lookups(self, channel: ChannelLocation) -> list[str]:
        """Where credentials for a channel were looked for and what was there, values hidden, one a line."""
        has_any = split_credentials(channel.url)[1] is not None or channel.token
        variables = (f"{channel.variable_prefix}_{what}" for what in ("TOKEN", "USERNAME", "PASSWORD"))
        return [
            f"URL of channel {channel.name!r}: {'has credentials' if has_any else 'no credentials'}",
            ", ".join(f"{name}: {'set' if self._environ.get(name) else 'not set'}" for name in variables),
            *describe_lookups(channel.clean_url, ""),
        ]

    def _find(self, channel: ChannelLocation) -> str:
        own = split_credentials(channel.url)[1]
        if own is not None and own.password:
            return own.authorization
        prefix = channel.variable_prefix
        if self._environ.get(f"{prefix}_TOKEN"):
            return f"Bearer {self._environ[f'{prefix}_TOKEN']}"
        if self._environ.get(f"{prefix}_PASSWORD"):
            user = self._environ.get(f"{prefix}_USERNAME", own.username if own else "")
            return Credentials(user, self._environ[f"{prefix}_PASSWORD"]).authorization
        found = find_credentials(channel.url)
        return found.authorization if found else ""


def rattler_client(
    channels: Sequence[ChannelLocation],
    credentials: ChannelCredentials,
    network: NetworkSettings,
    environ: Mapping[str, str],
) -> Client:
    """A client for the gateway and the installer.

    It has no time limit: rattler's would be one for a whole transfer, however large.

    Args:
        channels: with their variables expanded.
        credentials: of these channels.
        network: retries.
        environ: where rattler's own file of credentials may be named.
    """
    from rattler.networking import (
        AddHeadersMiddleware,
        AuthenticationMiddleware,
        Client,
        MirrorMiddleware,
        RetryMiddleware,
    )

    middlewares: list[Any] = [RetryMiddleware(network.retries)]
    mirrors = {f"{channel.clean_url}/": [f"{channel.token_url}/"] for channel in channels if channel.token}
    if mirrors:
        middlewares.append(MirrorMiddleware(mirrors))
    middlewares.append(AddHeadersMiddleware(credentials.headers_for))
    if environ.get("RATTLER_AUTH_FILE") or (Path.home() / ".rattler" / "credentials.json").exists():
        middlewares.append(AuthenticationMiddleware())
    with _certificates(environ):
        return Client(middlewares, user_agent=f"envforge/{envforge.__version__}")


@contextmanager
def _certificates(environ: Mapping[str, str]) -> Iterator[None]:
    """Let rattler, which knows ``SSL_CERT_FILE`` only, find what ``REQUESTS_CA_BUNDLE`` names."""
    named = environ.get("REQUESTS_CA_BUNDLE")
    if not named or environ.get("SSL_CERT_FILE") or environ.get("SSL_CERT_DIR"):
        yield
        return
    variable = "SSL_CERT_DIR" if Path(named).is_dir() else "SSL_CERT_FILE"
    os.environ[variable] = named
    try:
        yield
    finally:
        del os.environ[variable]


def _place(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.path


def _without_token(path: str) -> str:
    return re.sub(r"^/t/[^/]+(?=/)", "", path)
