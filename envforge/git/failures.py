"""What git says when a server does not give what was asked for, in words for the user."""

from __future__ import annotations

import re

from envforge.errors import EnvforgeError, NetworkError, OfflineError
from envforge.git.process import GitFailure
from envforge.model.git import GitRemote
from envforge.net.auth import redact

_MOST_LINES = 6
_PASSING = re.compile(r"RPC failed|early EOF|reset by peer|returned error: (429|5\d\d)|unexpected disconnect")
_CAUSES = (
    (
        r"could not read (Username|Password)|Authentication failed|terminal prompts disabled"
        r"|returned error: 40[13]",
        "it wants other credentials",
        "check that this works without a question: git ls-remote {url} (git's credential helpers are used)",
    ),
    (
        r"Permission denied|Host key verification failed|Too many authentication failures",
        "ssh is not let in",
        "check that this works without a question: ssh -o BatchMode=yes {host}",
    ),
    (
        r"Could not resolve|Name or service not known|[Nn]ame resolution|nodename nor servname",
        "its name cannot be resolved",
        "check the connection and the proxy settings (HTTPS_PROXY, NO_PROXY)",
    ),
    (
        r"dubious ownership",
        "it belongs to another user, whom git does not trust",
        "if you do: git config --global --add safe.directory FOLDER, as git says below",
    ),
    (
        r"not found|does not (appear to be a git repository|exist)|access denied or repository not exported",
        "there is no such repository, or not for this user",
        "check the address, and that you may read it: git ls-remote {url}",
    ),
    (
        r"[Cc]onnection (refused|timed out|reset)|[Uu]nable to connect|Failed to connect|[Cc]ouldn't connect"
        r"|unable to access|Network is unreachable|No route to host|timed out|hung up",
        "it does not answer",
        "check the connection and the proxy settings (HTTPS_PROXY, NO_PROXY)",
    ),
)
_CERTIFICATE = re.compile(r"SSL certificate|certificate (problem|verif)", re.IGNORECASE)


def remote_failure(remote: GitRemote, failure: GitFailure, doing: str) -> EnvforgeError:
    """The error for a server that did not give what was asked for.

    Args:
        remote: whom git talked to.
        failure: what it said.
        doing: what was tried, ``"fetch commit 1234"``.
    """
    said = [f"git: {line}" for line in _told(remote, failure.text)]
    context = [f"repository: {remote}", *said]
    place = remote.host or remote.url
    if failure.timed_out:
        cause, hint = (
            "it does not answer in time",
            "check the connection; what is cached is used with --offline",
        )
    elif _CERTIFICATE.search(failure.text):
        cause, hint = (
            "its certificate is not trusted",
            "name your authorities in GIT_SSL_CAINFO, or http.sslCAInfo",
        )
    else:
        cause, hint = _cause(failure.text)
    if not cause:
        return NetworkError(f"git cannot {doing} from {place}", context=context)
    text = hint.format(url=remote, host=remote.standard_url.partition("://")[2].partition("/")[0])
    return NetworkError(f"git cannot {doing} from {place}: {cause}", context=context, hints=[text])


def offline_failure(remote: GitRemote, wanted: str) -> OfflineError:
    """The error for what only a server could tell."""
    return OfflineError(
        f"{wanted} of {remote} is not in the cache",
        hints=["run the command once without --offline"],
    )


def may_pass(failure: GitFailure) -> bool:
    """Whether the same may work a moment later."""
    return _PASSING.search(failure.text) is not None


def _cause(text: str) -> tuple[str, str]:
    for pattern, cause, hint in _CAUSES:
        if re.search(pattern, text):
            return cause, hint
    return "", ""


def _told(remote: GitRemote, text: str) -> list[str]:
    """The last lines of what git said, without secrets."""
    for secret in (remote.password, remote.username):
        if len(secret) > 3:
            text = text.replace(secret, "***")
    lines = [re.sub(r"^(fatal|error|remote): ", "", line) for line in redact(text).splitlines()]
    return lines[-_MOST_LINES:]
