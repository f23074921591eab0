"""What rattler says when a channel cannot be used, as errors with channel, URL, reason and a way out.

rattler gives one exception with a text for all of it, so texts are looked into here; a text that is not
known still comes with channel, URL and its own words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from urllib.parse import unquote

from envforge.errors import EnvforgeError, NetworkError, OfflineError, PackageIndexError
from envforge.net.conda_client import ChannelLocation
from envforge.net.conda_failures import CONNECTION_HINT, innermost_cause, network_reason, status_reason
from envforge.struct import Struct


class FaultKind(Enum):
    """What is the matter with a channel."""

    NOT_CACHED = "not cached"
    UNKNOWN = "unknown"
    DAMAGED = "damaged"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


_KINDS = (
    (re.compile(r"no usable repodata cache|is not in the cache"), FaultKind.NOT_CACHED),
    (re.compile(r"could not find subdir"), FaultKind.UNKNOWN),
    (re.compile(r"\((?:401|403) "), FaultKind.REFUSED),
    (re.compile(r"failed to (?:parse|decode|deserialize)|decod\w+ zstd|hash mismatch"), FaultKind.DAMAGED),
)
_URL = re.compile(r"(?:https?|file)://[^\s'\"()]+")
_TOKEN_PART = re.compile(r"/t/[^/]+(?=/)")
_PACKAGE = re.compile(r"shard for package '([^']+)'")
_DISK = "No space left on device"
_DISK_REASON = ("there is no space left to cache it", "free some space where the cache is")


class Fault(Struct, frozen=True):
    """A failure of rattler, with the place.

    Args:
        channel: whose answer it is about.
        subdir: likewise.
        text: of rattler.
    """

    channel: ChannelLocation
    subdir: str
    text: str

    @classmethod
    def parse(cls, text: str, channels: Sequence[ChannelLocation]) -> Fault | None:
        """None where the text names no URL of a channel."""
        for url in map(_plain, _URL.findall(text)):
            for channel in channels:
                start = f"{_plain(channel.clean_url)}/"
                if url.startswith(start) or f"{url}/" == start:
                    subdir = url.removeprefix(start).partition("/")[0]
                    named = re.search(r"subdir '([^']+)'", text)
                    return cls(channel, named[1] if named else subdir, text)
        return None

    @property
    def kind(self) -> FaultKind:
        return next((kind for pattern, kind in _KINDS if pattern.search(self.text)), FaultKind.UNREACHABLE)

    @property
    def context(self) -> list[str]:
        place = "folder" if self.channel.is_folder else "url"
        url = unquote(self.channel.clean_url[7:]) if self.channel.is_folder else self.channel.clean_url
        return [f"{place}: {'/'.join(filter(None, (url, self.subdir)))}"]

    @property
    def reason(self) -> str:
        """The innermost cause, without credentials."""
        return innermost_cause(self.text)


def channel_error(
    fault: Fault, *, lookups: Sequence[str] = (), is_cached: bool = False, is_offline: bool = False
) -> EnvforgeError:
    """The error for a fault.

    Args:
        fault: what and where.
        lookups: where credentials were looked for, one a line.
        is_cached: ``--offline`` would find something of the channel.
        is_offline: the network was forbidden.
    """
    if fault.kind is FaultKind.NOT_CACHED:
        return _not_cached(fault)
    if fault.kind is FaultKind.UNKNOWN:
        return _unknown(fault)
    if fault.kind is FaultKind.DAMAGED:
        return _damaged(fault, is_offline)
    if fault.kind is FaultKind.REFUSED:
        return _refused(fault, lookups)
    return _unreachable(fault, is_cached)


def unreachable_error(channel: ChannelLocation, error: NetworkError) -> NetworkError:
    """A failure to reach a channel at all, as one of that channel."""
    return NetworkError(
        f"channel {channel.name!r} cannot be reached",
        context=[error.message, *error.context],
        hints=error.hints,
    )


def _not_cached(fault: Fault) -> OfflineError:
    package = _PACKAGE.search(fault.text)
    what = f"package {package[1]!r} of channel" if package else "channel"
    return OfflineError(
        f"{what} {fault.channel.name!r} is not cached, and --offline forbids to ask for it",
        context=fault.context,
        hints=["run without --offline once, so that it is cached"],
    )


def _unknown(fault: Fault) -> PackageIndexError:
    missing = f"{fault.subdir or 'noarch'}/repodata.json"
    if fault.channel.is_folder:
        return PackageIndexError(
            f"the folder of channel {fault.channel.name!r} is no conda channel",
            context=[*fault.context, f"there is no {missing}"],
            hints=["index it, e.g. with rattler-index or conda-index, which write noarch/repodata.json too"],
        )
    return PackageIndexError(
        f"there is no conda channel {fault.channel.name!r}",
        context=[*fault.context, f"the server has no {missing} (404)"],
        hints=[
            "check the spelling in tool.envforge.channels",
            f"a private channel may hide itself: set {fault.channel.variable_prefix}_TOKEN or give its URL",
        ],
    )


def _damaged(fault: Fault, is_offline: bool) -> PackageIndexError:
    if fault.channel.is_folder:
        hint = "make it anew, e.g. with rattler-index or conda-index"
    elif is_offline:
        hint = "run without --offline once, so that it is fetched again"
    else:
        hint = "it was fetched twice: tell who runs the channel, or run the command again later"
    return PackageIndexError(
        f"the repodata of channel {fault.channel.name!r} cannot be read",
        context=[*fault.context, f"reason: {fault.reason}"],
        hints=[hint],
    )


def _refused(fault: Fault, lookups: Sequence[str]) -> NetworkError:
    prefix = fault.channel.variable_prefix
    return NetworkError(
        f"channel {fault.channel.name!r} cannot be used: {status_reason(fault.text)}",
        context=[*fault.context, *lookups],
        hints=[f"set {prefix}_TOKEN, or {prefix}_USERNAME and {prefix}_PASSWORD, or use netrc or keyring"],
    )


def _unreachable(fault: Fault, is_cached: bool) -> NetworkError:
    reason, hint = _network_reason(fault)
    hints = [hint]
    if is_cached:
        hints.append("it is cached: with --offline what is there is used, however old")
    return NetworkError(
        f"channel {fault.channel.name!r} cannot be used: {reason}", context=fault.context, hints=hints
    )


def _network_reason(fault: Fault) -> tuple[str, str]:
    if _DISK in fault.text:
        return _DISK_REASON
    return network_reason(fault.text) or (fault.reason, CONNECTION_HINT)


def _plain(url: str) -> str:
    """For comparison: without credentials, without a token, not quoted."""
    return unquote(_TOKEN_PART.sub("", re.sub(r"(?<=://)[^/@]*@", "", url), count=1)).rstrip("/")
