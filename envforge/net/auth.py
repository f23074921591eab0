"""Credentials: where they come from, whom they are sent to, and how they stay out of messages.

Looked for in this order: the URL itself, the index's URL in the manifest, the variables
``ENVFORGE_INDEX_<NAME>_USERNAME`` and ``_PASSWORD``, netrc, and, only after a server has refused
(:func:`ask_keyring`), keyring. What belongs to an index is sent to its own origin only (scheme, host,
port): an index that lists files of another host must not give that host its password.

Standards: RFC 3986 (userinfo), RFC 7617 (basic authentication).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache

from envforge.errors import ManifestError
from envforge.struct import Struct

_USER_INFO = re.compile(r"(?<=://)[^/?#\s]*@")
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)@")
_QUERY = re.compile(r"(?<=://)([^\s?#'\"<>]*)\?[^\s#'\"<>]+")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Credentials(Struct, frozen=True):
    """A user and a password. Unpacks to the two; its repr shows neither the password nor a token as user.

    Args:
        username: may be empty where a token stands alone.
        password: the secret.
        source: where it was found (``"netrc"``), for messages.
    """

    username: str
    password: str
    source: str = "URL"

    def __repr__(self) -> str:
        return f"Credentials(source={self.source!r})"

    def __iter__(self) -> Iterator[str]:
        return iter((self.username, self.password))

    @property
    def authorization(self) -> str:
        """The value of the ``Authorization`` header."""
        from base64 import b64encode

        return "Basic " + b64encode(f"{self.username}:{self.password}".encode()).decode()


def redact(text: str) -> str:
    """A URL, or a text with URLs in it, without credentials and without query strings (signed URLs)."""
    if "://" not in text:
        return text
    return _QUERY.sub(r"\1?***", _USER_INFO.sub("***@", text))


def split_credentials(url: str) -> tuple[str, Credentials | None]:
    """A URL without its user information, and that (percent-decoded), None where it has none."""
    found = _AUTHORITY.match(url)
    if found is None:
        return url, None
    from urllib.parse import unquote

    user, _, password = found[1].partition(":")
    bare = url[: found.start(1)] + url[found.end() :]
    return bare, Credentials(unquote(user), unquote(password)) if user or password else None


def expand_url(url: str, environ: Mapping[str, str], index_name: str) -> str:
    """Replace every ``${NAME}`` in an index's URL.

    A value in the user information is taken as it is: whoever keeps a password in a variable need not
    percent-encode it.

    Args:
        url: as the manifest writes it.
        environ: the variables.
        index_name: for the message.

    Raises:
        ManifestError: a variable is not set.
    """
    if "${" not in url:
        return url
    missing = sorted({name for name in _VARIABLE.findall(url) if not environ.get(name)})
    if missing:
        raise ManifestError(
            f"the URL of index {index_name!r} needs variables that are not set: {', '.join(missing)}",
            hints=[f"set it: export {missing[0]}=..."],
        )
    from urllib.parse import quote

    user_info = _AUTHORITY.match(url)
    split = user_info.end() if user_info else 0
    quoted = _VARIABLE.sub(lambda match: quote(environ[match[1]], safe=""), url[:split])
    return quoted + _VARIABLE.sub(lambda match: environ[match[1]], url[split:])


@cache
def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: whom credentials belong to."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(split_credentials(url)[0])
        port = parts.port
    except ValueError:  # no URL, or a port that is no number: nobody's origin
        return "", url, -1
    return parts.scheme, (parts.hostname or "").lower(), port or _DEFAULT_PORTS.get(parts.scheme, 0)


def find_credentials(url: str, index_name: str = "", index_url: str = "") -> Credentials | None:
    """What to send to a URL without being asked.

    Args:
        url: what is asked for; its own user information wins.
        index_name: the index that it belongs to, ``""`` for none.
        index_url: that index's URL, with user information if the manifest has it there. Without it,
            or where it has another origin than ``url``, nothing that belongs to the index is sent.
    """
    own = split_credentials(url)[1]
    if own is not None and own.password:
        return own
    if index_url and origin(index_url) == origin(url):
        of_index = split_credentials(index_url)[1]
        if of_index is not None and of_index.password:
            return of_index
        named = _from_environment(index_name)
        if named is not None:
            return named
        own = own or of_index
    return _from_netrc(origin(url)[1], own.username if own else "") or own


def ask_keyring(url: str, username: str = "") -> Credentials | None:
    """Ask keyring, where it is installed, for a URL and then for its host; it may show a dialog.

    Args:
        url: without credentials.
        username: known user, ``""`` for any.
    """
    try:
        import keyring
    except ImportError:
        return None
    host = url.split("://", 1)[-1].split("/", 1)[0]
    for service in (url, host):
        try:
            found = keyring.get_credential(service, username or None)
        except Exception:  # a locked or missing backend is no reason to end: nothing was found
            return None
        if found is not None and found.password:
            return Credentials(found.username or username, found.password, "keyring")
    return None


def describe_lookups(url: str, index_name: str, index_url: str = "") -> list[str]:
    """Where credentials for a URL were looked for and what was there, values hidden, one a line."""
    lines = []
    if index_url and origin(index_url) == origin(url):
        user, password = _variable_names(index_name)
        has_any = split_credentials(index_url)[1] is not None
        lines.append(f"URL of index {index_name!r}: {'has credentials' if has_any else 'no credentials'}")
        lines.append(f"{user}: {_set_or_not(user)}, {password}: {_set_or_not(password)}")
    lines.append(f"netrc: {_netrc_state(origin(url)[1])}")
    lines.append(f"keyring: {'nothing for this server' if _has_keyring() else 'not installed'}")
    return lines


def variable_prefix(index_name: str) -> str:
    """``my-index`` → ``ENVFORGE_INDEX_MY_INDEX``: what its variables begin with."""
    return "ENVFORGE_INDEX_" + re.sub(r"[^A-Z0-9]+", "_", index_name.upper())


def _variable_names(index_name: str) -> tuple[str, str]:
    prefix = variable_prefix(index_name)
    return f"{prefix}_USERNAME", f"{prefix}_PASSWORD"


def _set_or_not(variable: str) -> str:
    return "set" if os.environ.get(variable) else "not set"


def _from_environment(index_name: str) -> Credentials | None:
    if not index_name:
        return None
    user, password = _variable_names(index_name)
    if not os.environ.get(password):
        return None
    return Credentials(os.environ.get(user, ""), os.environ[password], password)


def _from_netrc(host: str, username: str) -> Credentials | None:
    path = _netrc_path()
    entries = _read_netrc(path, _modified_ns(path))
    if isinstance(entries, str):
        return None
    entry = entries.get(host) or entries.get("default")
    if entry is None or (username and entry[0] != username):
        return None
    return Credentials(entry[0], entry[1], "netrc")


def _netrc_state(host: str) -> str:
    path = _netrc_path()
    modified_ns = _modified_ns(path)
    if modified_ns is None:
        return f"no file {path}"
    entries = _read_netrc(path, modified_ns)
    if isinstance(entries, str):
        return f"{path} cannot be read: {entries}"
    return f"{path} has {'an' if host in entries or 'default' in entries else 'no'} entry for {host}"


def _netrc_path() -> str:
    name = "_netrc" if os.name == "nt" else ".netrc"
    return os.environ.get("NETRC") or os.path.join(os.path.expanduser("~"), name)  # noqa: PTH111, PTH118


def _modified_ns(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116
    except OSError:
        return None


@cache
def _read_netrc(path: str, modified_ns: int | None) -> dict[str, tuple[str, str]] | str:
    """Host → (user, password), or why the file cannot be read. ``modified_ns`` only keeps the cache right."""
    if modified_ns is None:
        return {}
    from netrc import NetrcParseError, netrc

    try:
        hosts = netrc(path).hosts
    except NetrcParseError as error:
        return f"line {error.lineno}: {error.msg}"
    except (OSError, UnicodeDecodeError) as error:
        return str(error)
    return {host: (entry[0], entry[2]) for host, entry in hosts.items() if entry[2]}


@cache
def _has_keyring() -> bool:
    from importlib.util import find_spec

    return find_spec("keyring") is not None
