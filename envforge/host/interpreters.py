"""Which Python of this host to use: the choice among what is found, and what to say where none fits.

Only final CPython releases with the global interpreter lock are chosen: wheels of other builds are
other wheels, and no target of a lock describes them. Installing one is :mod:`envforge.host.standalone`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from envforge.errors import InterpreterError
from envforge.host.candidates import (
    EXPLICIT,
    Candidate,
    explicit_interpreter,
    find_candidates,
    find_interpreters,
)
from envforge.host.probe import Report
from envforge.host.query import InterpreterCache, cache_file_for_host, query_reports
from envforge.model.host import Interpreter
from envforge.struct import Struct

__all__ = [
    "cache_file_for_host",
    "choose_interpreter",
    "find_interpreters",
    "list_interpreters",
    "query_interpreter",
]

_SHOWN = 20


def query_interpreter(
    executable: str, cache_file: Path, environ: Mapping[str, str] | None = None, *, timeout_s: float = 5.0
) -> Interpreter:
    """What the Python behind a path is; asked once, then remembered until the file changes.

    Args:
        executable: an interpreter, a venv's Python or a shim; the answer is about the base.
        cache_file: see :func:`cache_file_for_host`.
        environ: environment of the process, if one has to be started.
        timeout_s: for that process.

    Raises:
        InterpreterError: it does not work, or is of a kind that envforge does not use.
    """
    environ = os.environ if environ is None else environ
    [report] = query_reports([executable], InterpreterCache(cache_file), environ, timeout_s=timeout_s)
    if reason := _kind_refused(report):
        raise InterpreterError(f"{executable} cannot be used as Python", context=[reason])
    return _interpreter(report)


def choose_interpreter(
    wanted: str,
    requires_python: str,
    platform: str,
    *,
    cache_file: Path,
    environ: Mapping[str, str] | None = None,
    pythons: str = "",
    prereleases: bool = False,
) -> Interpreter:
    """The Python to build an environment on: the newest patch that fits, the first found among equals.

    Where ENVFORGE_PYTHON is set, it is that one or none.

    Args:
        wanted: ``3.12``, ``3.12.4``, ``3.15.0rc1`` or ``""`` for the newest of all.
        requires_python: specifier that it has to meet, ``""`` for any.
        platform: conda subdir.
        cache_file: see :func:`cache_file_for_host`.
        environ: the process environment.
        pythons: folder of the standalone builds that envforge installed, ``""`` for none.
        prereleases: take alphas, betas and release candidates too; one that ``wanted`` spells out in
            full is taken anyway.

    Raises:
        InterpreterError: none fits; the context says what was found and why each does not.
        RequirementError: ``requires_python`` is no specifier.
    """
    environ = os.environ if environ is None else environ
    demand = _parse_demand(wanted, requires_python, platform, prereleases)
    cache = InterpreterCache(cache_file)
    candidates = _candidates(environ, demand.minor, pythons)
    reports = query_reports([candidate.path for candidate in candidates], cache, environ)
    chosen = _newest(report for report in reports if not demand.refuses(report, cache.admits))
    cache.save()
    if chosen is None:
        raise _none_fits(demand, cache, environ, pythons)
    return _interpreter(chosen)


def list_interpreters(
    cache_file: Path, environ: Mapping[str, str] | None = None, *, pythons: str = ""
) -> list[Interpreter]:
    """Every usable final CPython of this host, newest first; the first found among equals comes first."""
    environ = os.environ if environ is None else environ
    candidates = list(find_candidates(environ, pythons=pythons))
    reports = query_reports(
        [candidate.path for candidate in candidates], InterpreterCache(cache_file), environ
    )
    usable = {report.executable: report for report in reports if not _kind_refused(report) and report.final}
    return [_interpreter(report) for report in sorted(usable.values(), key=_rank, reverse=True)]


class _Demand(Struct, frozen=True, kw_only=True):
    """What a Python has to be. ``release`` is a prefix of its version numbers, ``exact`` a whole version."""

    wanted: str
    release: tuple[int, ...]
    exact: str
    requires_python: str
    platform: str
    prereleases: bool

    @property
    def minor(self) -> str:
        return f"{self.release[0]}.{self.release[1]}" if len(self.release) > 1 else ""

    def refuses(self, report: Report, admits: Callable[[str, str], bool]) -> str:
        """Why a Python does not fit, ``""`` if it does."""
        if reason := _kind_refused(report):
            return reason
        if report.release[: len(self.release)] != self.release:
            return f"it is Python {report.version}"
        if not report.final and not self.prereleases and report.version != self.exact:
            return f"it is Python {report.version}, a pre-release"
        if self.exact and report.version != self.exact:
            return f"it is Python {report.version}"
        if report.platform != self.platform:
            return f"it is Python {report.version} for {report.platform}"
        if self.requires_python and not admits(self.requires_python, report.version):
            return f"it is Python {report.version}, and requires-python is {self.requires_python}"
        return ""


def _parse_demand(wanted: str, requires_python: str, platform: str, prereleases: bool) -> _Demand:
    parts = wanted.split(".") if wanted else []
    exact = ""
    if not (len(parts) <= 3 and all(part.isascii() and part.isdecimal() for part in parts)):
        from envforge.model.requirement import parse_version

        version = parse_version(wanted)
        if not version.is_prerelease or version.local or len(version.release) != 3:
            raise InterpreterError(f"{wanted!r} names no Python", hints=["write e.g. 3.12 or 3.12.4"])
        parts, exact = [str(number) for number in version.release], str(version)
    return _Demand(
        wanted=wanted,
        release=tuple(int(part) for part in parts),
        exact=exact,
        requires_python=requires_python,
        platform=platform,
        prereleases=prereleases,
    )


def _kind_refused(report: Report) -> str:
    """Why no environment is built on this kind of Python, ``""`` if one is."""
    if report.fault:
        return report.fault
    if report.implementation != "cpython":
        return f"it is {report.implementation}, not CPython: most compiled packages have no wheels for it"
    if report.free_threaded:
        return f"it is Python {report.version}, a free-threaded build, which needs wheels of its own"
    if report.debug:
        return f"it is Python {report.version}, a debug build, which needs wheels of its own"
    if not report.platform:
        return (
            f"it is Python {report.version} built for {report.built_for}, which envforge has no packages for"
        )
    if report.platform.startswith("linux") and report.glibc is None:
        return f"it is Python {report.version} on another C library than glibc (musl?)"
    return ""


def _candidates(environ: Mapping[str, str], minor: str, pythons: str) -> list[Candidate]:
    """What is worth asking for a minor. A file's own name is believed, except of the one the user names."""
    found = list(find_candidates(environ, minor=minor, pythons=pythons))
    if explicit_interpreter(environ):
        named = [candidate for candidate in found if candidate.source == EXPLICIT]
        if not named:
            raise InterpreterError(
                f"{EXPLICIT} names no program: {environ[EXPLICIT]}",
                hints=[f"unset {EXPLICIT}, or set it to the path of a Python"],
            )
        return named
    return [candidate for candidate in found if not minor or candidate.minor in ("", minor)]


def _rank(report: Report) -> tuple[tuple[int, int, int], bool, str]:
    return report.release, report.final, report.version


def _newest(reports: Iterable[Report]) -> Report | None:
    return max(reports, key=_rank, default=None)  # max keeps the first of equals


def _interpreter(report: Report) -> Interpreter:
    return Interpreter(
        executable=report.executable,
        version=report.version,
        platform=report.platform,
        implementation=report.implementation,
        base_prefix=report.base_prefix,
        glibc=report.glibc,
    )


def _none_fits(
    demand: _Demand, cache: InterpreterCache, environ: Mapping[str, str], pythons: str
) -> InterpreterError:
    """The error, with all Pythons of the host in it, also those that their names had ruled out."""
    candidates = _candidates(environ, "", pythons)
    reports = query_reports([candidate.path for candidate in candidates], cache, environ)
    refusals = [demand.refuses(report, cache.admits) for report in reports]
    lines = [
        f"{candidate.path} ({candidate.source}): {reason}"
        for candidate, reason in zip(candidates, refusals, strict=True)
    ]
    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"and {len(lines) - _SHOWN} more"]
    what = f"Python {demand.wanted}" if demand.wanted else "Python"
    admitted = f" that {demand.requires_python} admits" if demand.requires_python else ""
    return InterpreterError(
        f"no {what}{admitted} for {demand.platform} on this machine",
        context=lines or ["no Python was found at all"],
        hints=_hints(demand, reports, cache, environ),
    )


def _hints(
    demand: _Demand, reports: Sequence[Report], cache: InterpreterCache, environ: Mapping[str, str]
) -> list[str]:
    what = f"Python {demand.wanted}" if demand.wanted else "Python"
    if explicit_interpreter(environ):
        return [f"unset {EXPLICIT}, or set it to the path of a {what}"]
    hints = [
        f"install {what} and put it on PATH, or set {EXPLICIT} to its path",
        "install envforge with its extra, envforge[standalone-python], and it fetches Pythons by itself",
    ]
    other = _parse_demand("", demand.requires_python, demand.platform, False)
    usable = _newest(report for report in reports if not other.refuses(report, cache.admits))
    if usable is not None and demand.wanted:
        minor = f"{usable.release[0]}.{usable.release[1]}"
        hints.append(f'or use what is here: python = "{minor}" under [tool.envforge] in pyproject.toml')
    return hints
