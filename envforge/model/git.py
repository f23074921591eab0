"""Remotes of git and what is asked of them: addresses, references, commits.

An address may hold a password; what is shown, locked, or names something in a cache is :attr:`GitRemote.url`,
which does not. Only transports that carry a repository and do nothing else are known: git's ``ext::`` and
``fd::`` run programs.

Source: gitprotocol, ``git help fetch`` ("GIT URLS"), ``git help check-ref-format``; PEP 610.
"""

from __future__ import annotations

import re
from enum import StrEnum

from envforge.errors import RequirementError
from envforge.struct import Struct

SCHEMES = ("https", "ssh", "http", "git", "file")
# Texts, not compiled: most projects have no repository among their sources.
_URL = r"([a-z]+)://(?:([^/@]*)@)?([^/@]*)(/.*)?"
_SCP = r"(?:([A-Za-z0-9._-]+)@)?([A-Za-z0-9][A-Za-z0-9.-]+):(?!//)(\S.*)"
_UNFIT = r"[\x00-\x20\x7f\\?#]"
_COMMIT = r"[0-9a-f]{40}"
_SHORT = r"[0-9a-fA-F]{7,39}"
_BAD_REFERENCE = r"^[-/]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|[/.]$|\.lock$|^@$"
_DISTRUST = "do not trust this repository"
_RIGHT = "write https://host/path, ssh://user@host/path, user@host:path or file:///path"


class GitRemote(Struct, frozen=True):
    """A repository somewhere.

    Args:
        url: without password; of http also without user. As git takes it, so also ``git@host:path``.
        username: for http, ``""`` for none. May be a token, so it is never shown.
        password: likewise.
    """

    url: str
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"GitRemote({self.url!r})"  # not the password

    def __str__(self) -> str:
        return self.url

    @property
    def scheme(self) -> str:
        """One of :data:`SCHEMES`."""
        scheme, separator, _ = self.url.partition("://")
        return scheme if separator else "ssh"

    @property
    def host(self) -> str:
        """Of the server, ``""`` for this one."""
        if "://" in self.url:
            return self.url.partition("://")[2].partition("/")[0].rpartition("@")[2]
        return self.url.partition(":")[0].rpartition("@")[2]

    @property
    def standard_url(self) -> str:
        """As PEP 610 wants it, which has no ``git@host:path``."""
        if "://" in self.url:
            return self.url
        host, _, path = self.url.partition(":")
        return f"ssh://{host}/{path.lstrip('/')}"

    @property
    def label(self) -> str:
        """For people, short: the last part of its path."""
        return re.split("[/:]", self.url.rstrip("/"))[-1].removesuffix(".git") or self.url


class ReferenceKind(StrEnum):
    """What a name means; the value is the manifest's key."""

    BRANCH = "branch"
    TAG = "tag"
    REV = "rev"
    """A commit, or else a tag or a branch: whatever the repository has of this name."""


class GitReference(Struct, frozen=True):
    """Which commit of a repository is meant.

    Args:
        kind: what the name means; None for the branch that the repository calls its own (``HEAD``).
        name: of it.
    """

    kind: ReferenceKind | None = None
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.kind else "its default branch"

    @property
    def commit(self) -> str:
        """The commit that it names in full, ``""`` if a repository has to be asked."""
        is_full = self.kind is ReferenceKind.REV and is_commit(self.name.lower())
        return self.name.lower() if is_full else ""

    @property
    def is_short_commit(self) -> bool:
        """Whether it may be the beginning of a commit's digest."""
        return self.kind is ReferenceKind.REV and re.fullmatch(_SHORT, self.name) is not None


DEFAULT_BRANCH = GitReference()


def is_commit(text: str) -> bool:
    """Whether a text is the whole digest of a commit."""
    return re.fullmatch(_COMMIT, text) is not None


def parse_remote(text: str) -> GitRemote:
    """Read the address of a repository.

    Args:
        text: ``https://host/path``, ``ssh://user@host/path``, ``git@host:path``, ``git://``, ``file:///path``;
            ``git+`` before it is taken off.

    Raises:
        RequirementError: it is none. The message does not show the text, which may hold a password.
    """
    text = text.removeprefix("git+")
    if not text or re.search(_UNFIT, text) or text.startswith("-"):
        raise RequirementError(
            "has characters that no address of a repository has", hints=[_RIGHT + ", without ? and #"]
        )
    if "://" not in text:
        return _parse_scp(text)
    found = re.fullmatch(_URL, text, re.IGNORECASE)
    scheme = found[1].lower() if found else ""
    if found is None or scheme not in SCHEMES:
        raise RequirementError("is not the address of a git repository", hints=[_RIGHT])
    user, host, path = found[2] or "", found[3], found[4] or ""
    if host.startswith("-") or not path.strip("/") or (not host and scheme != "file"):
        raise RequirementError("names no host or no repository on it", hints=[_RIGHT])
    if scheme == "file" and host not in ("", "localhost"):
        raise RequirementError(
            "names a file on another host", hints=["write file:///path, or ssh://host/path"]
        )
    name, _, password = user.partition(":")
    if scheme in ("http", "https"):
        from urllib.parse import unquote

        return GitRemote(f"{scheme}://{host}{path}", unquote(name), unquote(password))
    if password:
        raise RequirementError(
            f"has a password, which {scheme} does not take", hints=["use a key and an agent, or https"]
        )
    return GitRemote(f"{scheme}://{f'{name}@' if name else ''}{host}{path}")


def _parse_scp(text: str) -> GitRemote:
    if "::" in text or re.fullmatch(_SCP, text) is None or (len(text) > 1 and text[1] == ":"):
        raise RequirementError("is not the address of a git repository", hints=[_RIGHT])
    return GitRemote(text)


def join_remote(parent: GitRemote, text: str) -> GitRemote:
    """The address of a submodule, which may be relative to that of the repository that has it.

    A repository of a server cannot lead to one on this host's disk; credentials stay within one host.

    Raises:
        RequirementError: it is none, or must not be followed.
    """
    if text.startswith(("./", "../")):
        base, rest = parent.url.rstrip("/"), text
        while rest.startswith(("./", "../")):
            head, _, rest = rest.partition("/")
            if head == "..":
                base = _parent_of(base)
        separator = "" if base.endswith(":") else "/"
        remote = parse_remote(f"{base}{separator}{rest}".rstrip("/"))
    else:
        # a path of the disk, as tests and mirrors have it
        remote = parse_remote(f"file://{text}" if text.startswith("/") else text)
    if remote.scheme == "file" and parent.scheme != "file":
        raise RequirementError("leads from a server to the disk of this host", hints=[_DISTRUST])
    if (remote.scheme, remote.host) == (parent.scheme, parent.host):
        return GitRemote(remote.url, parent.username, parent.password)
    return remote


def _parent_of(url: str) -> str:
    head, slash, _ = url.rpartition("/")
    if slash and not head.endswith("/") and head.partition("://")[2]:
        return head
    if slash and "://" not in url:
        return head
    before, colon, _ = url.rpartition(":")
    if colon and "://" not in url:
        return f"{before}:"
    raise RequirementError("leads out of its server", hints=[_DISTRUST])


def parse_git_reference(kind: ReferenceKind | None, name: str) -> GitReference:
    """A reference with a name that git could have.

    Raises:
        RequirementError: no branch, tag or commit can have this name.
    """
    if kind is None:
        return DEFAULT_BRANCH
    if not name or re.search(_BAD_REFERENCE, name):
        right = "write the name alone, without refs/ or origin/"
        raise RequirementError(f"{name!r} cannot be the name of a {kind}", hints=[right])
    return GitReference(kind, name)
