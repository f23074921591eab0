"""Installs a Python of its own where the host has none that fits: python-build-standalone's builds.

The list of builds with their sha256 comes with the ``pbs-installer`` package (envforge's extra
``standalone-python``), which unpacks them too. The download is ours: pbs-installer would install a
build that has no checksum, and would send GITHUB_TOKEN along.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from envforge.errors import ArchiveError, HashError, InterpreterError, NetworkError, OfflineError, StoreError
from envforge.events import DownloadFinished, DownloadProgressed, DownloadStarted, Reporter, SilentReporter
from envforge.host.interpreters import query_interpreter
from envforge.host.paths import make_folder
from envforge.host.probe import Probe
from envforge.model.host import Interpreter
from envforge.model.requirement import specifier_admits
from envforge.model.target import PLATFORMS
from envforge.struct import Struct

if TYPE_CHECKING:
    import httpx

_ATTEMPTS = 3
_BACKOFF_S = 0.8
_STALE_AFTER_S = 24 * 3600.0
_FIRST_START_TIMEOUT_S = 60.0
_OPERATING_SYSTEMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}
_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


class StandaloneBuild(Struct, frozen=True, kw_only=True):
    """A Python that can be downloaded.

    Args:
        version: ``3.12.4``.
        platform: conda subdir.
        url: of a tar or zip archive with one top folder.
        sha256: lower-case hex.
    """

    version: str
    platform: str
    url: str
    sha256: str

    @property
    def filename(self) -> str:
        from urllib.parse import unquote

        return unquote(self.url.rsplit("/", 1)[-1])

    @property
    def folder_name(self) -> str:
        """``3.12.4-linux-64``: where it is installed."""
        return f"{self.version}-{self.platform}"


def is_available() -> bool:
    """Whether the extra is installed."""
    from importlib.util import find_spec

    return find_spec("pbs_installer") is not None


def find_standalone(wanted: str, requires_python: str, platform: str) -> StandaloneBuild:
    """The newest build that fits.

    Args:
        wanted: ``3.12``, ``3.12.4`` or ``""`` for any Python 3.
        requires_python: specifier that it has to meet, ``""`` for any.
        platform: conda subdir.

    Raises:
        InterpreterError: none fits, or the extra is not installed.
    """
    if not is_available():
        raise InterpreterError(
            "envforge cannot install Pythons without its extra",
            hints=["install envforge[standalone-python]", "or install Python yourself"],
        )
    for build in _builds(wanted, platform):
        if specifier_admits(requires_python, build.version):
            return build
    admitted = f" that {requires_python} admits" if requires_python else ""
    raise InterpreterError(
        f"there is no standalone build of Python {wanted or '3'}{admitted} for {platform}",
        hints=["a newer pbs-installer may know one: upgrade it", "or install Python yourself"],
    )


def install_standalone(
    build: StandaloneBuild,
    pythons: Path,
    *,
    cache_file: Path,
    offline: bool = False,
    environ: Mapping[str, str] | None = None,
    reporter: Reporter | None = None,
) -> Interpreter:
    """Install a build as ``<pythons>/<version>-<platform>``, unless it is there; whole or not at all.

    Args:
        build: what to install.
        pythons: folder of all of them.
        cache_file: of the interpreters, see :func:`envforge.host.query.cache_file_for_host`.
        offline: forbids the download.
        environ: the process environment.
        reporter: hears of the download.

    Raises:
        OfflineError: it would have to be downloaded.
        NetworkError: it cannot be downloaded.
        HashError: the download is not the build that was announced.
        ArchiveError: it cannot be unpacked.
        InterpreterError: it does not run here.
        StoreError: ``pythons`` cannot be written.
    """
    environ = os.environ if environ is None else environ
    installed = pythons / build.folder_name
    program = "python.exe" if PLATFORMS[build.platform].sys_platform == "win32" else "bin/python3"
    if not (installed / program).is_file():
        if offline:
            raise OfflineError(
                f"Python {build.version} would have to be downloaded, and envforge is offline",
                context=[build.url],
                hints=["run once without --offline, or install it yourself"],
            )
        _install_aside(build, installed, program, environ, reporter or SilentReporter())
    return query_interpreter(str(installed / program), cache_file, environ)


def _builds(wanted: str, platform: str) -> Iterator[StandaloneBuild]:
    """The builds of a version for a platform that carry a checksum, newest first."""
    known = PLATFORMS[platform]
    system = _OPERATING_SYSTEMS[known.sys_platform]
    architecture = _ARCHITECTURES.get(known.platform_machine.lower(), "")
    for request in _requests(wanted or "3", architecture, system):
        listed = _listed(request, architecture, system)
        # The others are build trees, several times as large and laid out differently.
        if listed and listed[2] and "install_only" in listed[1]:
            (major, minor, micro), url, sha256 = listed
            yield StandaloneBuild(
                version=f"{major}.{minor}.{micro}", platform=platform, url=url, sha256=sha256
            )


def _requests(wanted: str, architecture: str, system: str) -> Iterator[str]:
    """Every full version from the newest of ``wanted`` down; it lists the newest only."""
    parts = wanted.split(".")
    if not all(part.isascii() and part.isdecimal() for part in parts) or len(parts) > 3:
        raise InterpreterError(f"{wanted!r} names no Python", hints=["write e.g. 3.12 or 3.12.4"])
    listed = _listed(wanted, architecture, system)
    if listed is None:
        return
    (_, newest_minor, newest_micro), _, _ = listed
    if len(parts) == 3:
        yield wanted
    elif len(parts) == 2:
        yield from (f"{wanted}.{micro}" for micro in range(newest_micro, -1, -1))
    else:
        for minor in range(newest_minor, -1, -1):
            yield from _requests(f"{wanted}.{minor}", architecture, system)


def _listed(request: str, architecture: str, system: str) -> tuple[tuple[int, int, int], str, str] | None:
    """What pbs-installer lists for a version: its numbers, URL and sha256 (``""`` for none)."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # importlib.resources, on import
            from pbs_installer import get_download_link

            version, (url, sha256) = get_download_link(request, architecture, system)
    except ValueError:  # its way to say: no such build
        return None
    return (version.major, version.minor, version.micro), url, sha256 or ""


def _install_aside(
    build: StandaloneBuild, installed: Path, program: str, environ: Mapping[str, str], reporter: Reporter
) -> None:
    import shutil
    import tempfile

    pythons = installed.parent
    make_folder(pythons, "ENVFORGE_DATA_DIR")
    _remove_stale(pythons)
    # The dot keeps it out of the search for interpreters.
    aside = Path(tempfile.mkdtemp(prefix=f".{build.folder_name}.", dir=pythons))
    try:
        archive = aside / build.filename
        _download(build, archive, reporter)
        _unpack(archive, aside / "python")
        _check_runs(build, aside / "python" / program, environ)
        _publish(aside / "python", installed, program)
    except OSError as error:
        raise StoreError(
            f"Python {build.version} cannot be installed in {pythons}",
            context=[str(error)],
            hints=["set ENVFORGE_DATA_DIR to a folder with room that you can write to"],
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _download(build: StandaloneBuild, archive: Path, reporter: Reporter) -> None:
    import httpx

    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _download_once(build, archive, reporter)
            return
        except httpx.HTTPError as error:
            status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else 500
            if attempt == _ATTEMPTS or (status < 500 and status not in (408, 429)):
                raise NetworkError(
                    f"Python {build.version} cannot be downloaded",
                    context=[build.url, str(error) or type(error).__name__],
                    hints=[
                        "install Python yourself, or try again later",
                        "PBS_INSTALLER_BASE_URL names a mirror of the builds",
                    ],
                ) from error
            time.sleep(_BACKOFF_S * 4 ** (attempt - 1))


def _download_once(build: StandaloneBuild, archive: Path, reporter: Reporter) -> None:
    import hashlib

    import httpx

    digest = hashlib.sha256()
    timeout = httpx.Timeout(30.0, connect=10.0)
    with httpx.stream("GET", build.url, follow_redirects=True, timeout=timeout) as response:
        response.raise_for_status()
        reporter.report(DownloadStarted(filename=build.filename, size_bytes=_announced_size(response)))
        with archive.open("wb") as file:
            for chunk in response.iter_raw(256 * 1024):
                digest.update(chunk)
                file.write(chunk)
                reporter.report(DownloadProgressed(filename=build.filename, received_bytes=len(chunk)))
    if digest.hexdigest() != build.sha256:
        raise HashError(
            f"the download of Python {build.version} is not the announced one",
            context=[build.url, f"expected sha256 {build.sha256}", f"received sha256 {digest.hexdigest()}"],
            hints=["try again; if it stays so, do not trust the server"],
        )
    reporter.report(DownloadFinished(filename=build.filename))


def _announced_size(response: httpx.Response) -> int | None:
    text = response.headers.get("content-length", "")
    return int(text) if text.isdecimal() else None


def _unpack(archive: Path, destination: Path) -> None:
    import gzip
    import warnings

    from pbs_installer import install_file

    try:
        with warnings.catch_warnings():
            # It calls tarfile without a filter. What is unpacked has the announced digest.
            warnings.simplefilter("ignore", DeprecationWarning)
            install_file(str(archive), str(destination), archive.name)
    except Exception as error:
        # It uses tarfile or its backport with zstd, which have errors of their own each.
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise
        raise ArchiveError(f"{archive.name} cannot be unpacked", context=[str(error)]) from error


def _check_runs(build: StandaloneBuild, program: Path, environ: Mapping[str, str]) -> None:
    report = Probe(str(program.resolve()), environ, _FIRST_START_TIMEOUT_S).answer()
    found = f"it is Python {report.version} for {report.platform or report.built_for}"
    if report.fault or (report.version, report.platform) != (build.version, build.platform):
        raise InterpreterError(
            f"the standalone build of Python {build.version} does not work here",
            context=[build.url, report.fault or found],
            hints=["install Python yourself"],
        )


def _publish(ready: Path, installed: Path, program: str) -> None:
    if installed.exists() and not (installed / program).is_file():
        installed.rename(ready.parent / "damaged")
    try:
        ready.rename(installed)
    except OSError:
        # Another process was faster: its Python is as good as ours.
        if not (installed / program).is_file():
            raise


def _remove_stale(pythons: Path) -> None:
    """Remove what killed installations left behind."""
    import shutil

    for left in pythons.glob(".*"):
        try:
            if time.time() - left.stat().st_mtime > _STALE_AFTER_S:
                shutil.rmtree(left, ignore_errors=True)
        except OSError:  # somebody else removed it
            continue
