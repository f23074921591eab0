"""What py-rattler says of the network, in words for people. It has one text for all that went wrong."""

from __future__ import annotations

import re

from envforge.net.auth import redact

CONNECTION_HINT = "check the connection and the proxy settings (HTTPS_PROXY, NO_PROXY)"
SERVER_HINT = "the server has a problem: run the command again later"
_CERTIFICATE_HINT = (
    "name a file with your certificate authorities in SSL_CERT_FILE (a proxy may have its own)"
)
_STATUS = re.compile(r"HTTP status \w+ error \((\d+) ([^)]*)\)")
_REASONS = (
    ("invalid peer certificate", "its certificate is not trusted", _CERTIFICATE_HINT),
    ("dns error", "its name cannot be resolved", CONNECTION_HINT),
    ("Connection refused", "nothing answers there (connection refused)", CONNECTION_HINT),
    ("timed out", "it does not answer in time", CONNECTION_HINT),
    ("tunnel error", "the proxy does not work", CONNECTION_HINT),
    ("end of file before message length", "the connection broke in the middle of an answer", SERVER_HINT),
    ("connection closed before message", "the connection broke before an answer came", SERVER_HINT),
    ("tcp connect error", "no connection can be made", CONNECTION_HINT),
)
"""(piece of rattler's text, reason, hint): the first that fits counts."""


def network_reason(text: str) -> tuple[str, str] | None:
    """What happened and what can be done about it; None where the text tells of nothing that is known."""
    if _STATUS.search(text):
        return status_reason(text), SERVER_HINT
    return next(((reason, hint) for words, reason, hint in _REASONS if words in text), None)


def status_reason(text: str) -> str:
    """What a server answered."""
    status = _STATUS.search(text)
    return f"the server answers {status[1]} {status[2]}" if status else "the server refuses"


def status_of(text: str) -> int:
    """The status of an HTTP answer that a text tells of, 0 for none."""
    status = _STATUS.search(text)
    return int(status[1]) if status else 0


def innermost_cause(text: str) -> str:
    """The last of a chain of causes, without credentials."""
    lines = [line for line in text.splitlines() if line.strip()]
    return redact(lines[-1].removeprefix("Caused by: ").strip()) if lines else "unknown"
