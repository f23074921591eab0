"""What ``add`` is given of git: ``git+https://…@rev``, or a name and ``--git URL``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from envforge.errors import ManifestError, UsageError
from envforge.git.references import resolve_reference
from envforge.manifest.references import (
    ReferenceFaultError,
    checked_subdirectory,
    parse_git,
    parse_reference,
)
from envforge.model.git import ReferenceKind, parse_remote
from envforge.model.requirement import parse_requirement
from envforge.model.sources import GitSource
from envforge.store.store import Store
from envforge.struct import Struct, replace
from envforge.workflows.folders import read_folder
from envforge.workflows.repositories import git_cache, open_remote, put_commit
from envforge.workflows.session import Session

PREFIX = "git+"
_Read = TypeVar("_Read")


class GitWish(Struct, frozen=True, kw_only=True):
    """What options of the command line say; ``""`` and False for nothing."""

    url: str
    branch: str = ""
    tag: str = ""
    rev: str = ""
    subdirectory: str = ""
    lfs: bool = False


class GitAddition(Struct, frozen=True):
    """A project that comes from git.

    Args:
        name: of the project, normalized.
        source: where it is.
    """

    name: str
    source: GitSource

    @property
    def table(self) -> dict[str, str | bool]:
        """Its entry in ``tool.envforge.sources``."""
        source = self.source
        table: dict[str, str | bool] = {"git": source.url}
        if source.reference.kind:
            table[source.reference.kind.value] = source.reference.name
        if source.subdirectory:
            table["subdirectory"] = source.subdirectory
        return {**table, **({"lfs": True} if source.lfs else {})}


def read_git_additions(
    texts: Sequence[str], wish: GitWish | None, session: Session
) -> tuple[list[str], list[GitAddition]]:
    """Take out of the command line what comes from git.

    Args:
        texts: requirements.
        wish: repository of the one project that is named, or of the one that is there.
        session: cache and network, to look which project a repository has.

    Returns:
        The other requirements, and what comes from git. The requirement that ``wish`` is for is in both.

    Raises:
        UsageError: the address cannot be meant, or it is not clear for which project.
        EnvforgeError: the repository cannot be read.
    """
    others = [text for text in texts if not text.startswith(PREFIX)]
    sources = [_checked(partial(parse_reference, text)) for text in texts if text.startswith(PREFIX)]
    found = [GitAddition(_project_name(source, session), source) for source in sources]
    if wish is None:
        return others, found
    if len(texts) > 1 or sources:
        raise UsageError("--git is for one project", hints=["add one after the other"])
    source = _wished(wish)
    name = parse_requirement(others[0]).name if others else _project_name(source, session)
    return others, [GitAddition(name, source)]


def _wished(wish: GitWish) -> GitSource:
    named = {kind: getattr(wish, kind.value) for kind in ReferenceKind if getattr(wish, kind.value)}
    if len(named) > 1:
        options = " and ".join(f"--{kind}" for kind in named)
        raise UsageError(f"{options} name two commits", hints=["keep one of them"])
    kind, name = next(iter(named.items()), (None, ""))
    source = _checked(lambda: parse_git(wish.url, kind, name))
    inside = _in_words(lambda: checked_subdirectory(wish.subdirectory)) if wish.subdirectory else ""
    return replace(source, subdirectory=inside, lfs=True if wish.lfs else None)


def _in_words(read: Callable[[], _Read]) -> _Read:
    try:
        return read()
    except ReferenceFaultError as fault:
        raise UsageError(f"the address or the name of a commit {fault}", hints=[fault.right]) from None


def _checked(read: Callable[[], object]) -> GitSource:
    source = _in_words(read)
    assert isinstance(source, GitSource)
    remote = parse_remote(source.url)
    if (remote.username or remote.password) and "${" not in source.url:
        raise UsageError(
            f"the address of {remote.label} has credentials, which would stand in pyproject.toml",
            hints=[
                "leave them out and use git's credential helpers, or write a variable: https://${TOKEN}@host/path"
            ],
        )
    return source


def _project_name(source: GitSource, session: Session) -> str:
    """The name of the project that a commit has."""
    remote = open_remote(source, "the repository", session)
    commit = resolve_reference(remote, source.reference, git_cache(session))
    origin = source.at_commit(remote.url, commit)
    with Store(session.places.tier, session.places.site).staging() as folder:
        path = put_commit(origin, remote, "project", folder, session)
        found = read_folder(path, remote.label)
    name = found.project.get("name") if found is not None else None
    if not isinstance(name, str):
        raise ManifestError(
            f"{remote.url} does not say the name of a project",
            context=[f"commit: {commit}"],
            hints=[
                f"name it: envforge add NAME --git {remote.url}",
                "if the project is in a folder of it: --subdirectory FOLDER",
            ],
        )
    return parse_requirement(name).name
