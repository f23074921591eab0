"""The error tree. Every failure that a user can meet is one of these; anything else is a bug.

An error says what happened (``message``), where and why (``context``, one fact a line) and what the
user can do (``hints``). ``code`` is stable and short, for scripts and for ``--json``. Nothing here
prints: :mod:`envforge.cli` renders.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self


class EnvforgeError(Exception):
    """A failure with a message for the user.

    Args:
        message: one sentence, no trailing full stop, names the thing that failed.
        context: facts that locate and explain it, one a line (file, dotted path, URL, chain).
        hints: what the user can do, one a line, imperative.
    """

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, context: Iterable[str] = (), hints: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.context = tuple(context)
        self.hints = tuple(hints)

    def with_context(self, context: Iterable[str]) -> Self:
        """The same error with other facts."""
        from copy import copy

        error = copy(self)
        error.context = tuple(context)
        return error

    def with_hint(self, hint: str) -> Self:
        """The same error with one more thing that the user can do."""
        from copy import copy

        error = copy(self)
        error.hints = (*self.hints, hint)
        return error


class UsageError(EnvforgeError):
    """The command line itself is wrong."""

    code = "usage"
    exit_code = 2


class ManifestError(EnvforgeError):
    """pyproject.toml is missing, broken, or says something that cannot be meant."""

    code = "manifest"


class RequirementError(EnvforgeError):
    """A PEP 508 requirement, version, specifier or marker cannot be read."""

    code = "requirement"


class LockError(EnvforgeError):
    """envforge.lock is missing, broken, too new, or does not fit the manifest."""

    code = "lock"


class NetworkError(EnvforgeError):
    """A server could not be reached or gave an answer that cannot be used."""

    code = "network"


class OfflineError(NetworkError):
    """The network is needed and ``--offline`` forbids it."""

    code = "offline"


class PackageIndexError(EnvforgeError):
    """An index answered, but its answer for a package cannot be used."""

    code = "index"


class UnknownPackageError(PackageIndexError):
    """No index knows the package.

    Args:
        message, context, hints: see :class:`EnvforgeError`.
        package: its name.
    """

    code = "unknown-package"

    def __init__(
        self, message: str, *, context: Iterable[str] = (), hints: Iterable[str] = (), package: str = ""
    ) -> None:
        super().__init__(message, context=context, hints=hints)
        self.package = package


class MetadataError(EnvforgeError):
    """A distribution's own metadata is missing or invalid."""

    code = "metadata"


class ResolutionError(EnvforgeError):
    """No set of versions meets all requirements."""

    code = "no-solution"


class CondaUnsolvableError(ResolutionError):
    """No set of records answers a question; the context is the solver's own report, line by line."""


class ImpossibleOnCondaError(CondaUnsolvableError):
    """What is wanted from conda does not go together on a platform, with any Python."""


class HostError(EnvforgeError):
    """This machine, or a place on it, cannot be used as it is (musl, no home folder, a bad setting)."""

    code = "host"


class InterpreterError(EnvforgeError):
    """No Python on this host fits, or one does not work."""

    code = "python"


class ArchiveError(EnvforgeError):
    """A wheel or sdist is damaged, lies about its content, or tries to leave its tree."""

    code = "archive"


class HashError(ArchiveError):
    """A downloaded file is not the one that was locked."""

    code = "hash"


class StoreError(EnvforgeError):
    """The store cannot be read or written (full, read-only, damaged)."""

    code = "store"


class BuildError(EnvforgeError):
    """A build backend failed."""

    code = "build"


class GenerationError(EnvforgeError):
    """A generation cannot be made, is damaged, or is not envforge's."""

    code = "environment"
