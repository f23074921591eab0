"""What a conda channel knows, and what a target may assume: records, virtual packages, solver questions.

Standards: CEP 36 and the repodata of conda (records), CEP 29 (match specs), CEP 30 (virtual packages).
The records are read and the questions answered in :mod:`envforge.index`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol

from envforge.model.target import PLATFORMS, Target
from envforge.struct import Struct

CONDA_MARK = "conda:"
"""Before a name: conda's package, where PyPI may have one of that name."""


class CondaRecord(Struct, frozen=True, kw_only=True):
    """One archive of a channel with its metadata, whole: enough to install it without repodata.

    Args:
        name: conda's own name, lower case.
        version: conda's text, not always PEP 440.
        build: build string, ``py312h1234567_0``.
        build_number: rank between builds of one version.
        subdir: ``linux-64``, ``noarch`` …
        url: of the archive, absolute, without credentials.
        channel: URL of the channel, without credentials and without the subdir.
        sha256, md5: lower-case hex; ``""`` where the channel gives none.
        size_bytes: of the archive, None where the channel does not tell.
        depends: match specs that have to be installed beside it.
        constrains: match specs that hold for what is installed beside it.
        noarch: ``""``, ``"python"`` or ``"generic"``. Any of them occurs in any subdir.
        python_site_packages_path: of a Python, where it has its site-packages (CEP 17), else ``""``.
        pypi_names: normalized names of the PyPI projects that it is, mostly none or one.
    """

    name: str
    version: str
    build: str
    build_number: int
    subdir: str
    url: str
    channel: str
    sha256: str = ""
    md5: str = ""
    size_bytes: int | None = None
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    noarch: str = ""
    license: str = ""
    license_family: str = ""
    timestamp_ms: int | None = None
    track_features: tuple[str, ...] = ()
    features: str = ""
    python_site_packages_path: str = ""
    purls: tuple[str, ...] = ()
    pypi_names: tuple[str, ...] = ()

    @property
    def filename(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def id(self) -> str:
        """``linux-64/numpy-2.1.0-py312h1234567_0.conda``."""
        return f"{self.subdir}/{self.filename}"

    def __str__(self) -> str:
        return f"{self.name} {self.version} {self.build}"


class VirtualPackage(Struct, frozen=True, order=True):
    """A fact about a system in the form of a package: ``__cuda 12.8 0``."""

    name: str
    version: str
    build: str = "0"

    def __str__(self) -> str:
        return f"{self.name}={self.version}={self.build}"


def target_virtual_packages(target: Target) -> tuple[VirtualPackage, ...]:
    """What a target may assume, sorted by name; never what this machine happens to have.

    The same defaults as pixi's, where the manifest's ``system`` says nothing else.
    """
    return tuple(sorted(_virtual_packages(target)))


def _virtual_packages(target: Target) -> Iterator[VirtualPackage]:
    platform, system = PLATFORMS[target.platform], target.system
    if platform.sys_platform == "win32":
        yield VirtualPackage("__win", "0")
    else:
        yield VirtualPackage("__unix", "0")
    if platform.sys_platform == "linux":
        yield VirtualPackage("__linux", _dotted(system.linux))
        yield VirtualPackage("__glibc", _dotted(system.glibc))
    if platform.sys_platform == "darwin":
        yield VirtualPackage("__osx", _dotted(system.macos))
    if system.cuda is not None and platform.sys_platform != "darwin":
        yield VirtualPackage("__cuda", _dotted(system.cuda))
    yield VirtualPackage("__archspec", "1", system.archspec or _DEFAULT_ARCHSPEC[target.platform])


_DEFAULT_ARCHSPEC = {
    "linux-64": "x86_64",
    "linux-aarch64": "aarch64",
    "linux-ppc64le": "ppc64le",
    "osx-64": "x86_64",
    "osx-arm64": "m1",
    "win-64": "x86_64",
    "win-arm64": "aarch64",
}


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


class CondaQuestion(Struct, frozen=True, kw_only=True):
    """What a conda solver is asked.

    Args:
        platform: subdir; ``noarch`` is always looked at too.
        specs: match specs that have to be met, sorted.
        constraints: match specs that hold for what is installed, and do not ask for it; sorted.
        virtual_packages: what the target may assume.
        preferred: records to keep where they can be kept (of the lock).
    """

    platform: str
    specs: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    virtual_packages: tuple[VirtualPackage, ...] = ()
    preferred: tuple[CondaRecord, ...] = ()


class CondaSource(Protocol):
    """Where the resolver gets conda's side from. Calls may block on the network; all remember."""

    def solve(self, question: CondaQuestion) -> tuple[CondaRecord, ...]:
        """The best set of records, sorted by name.

        Raises:
            CondaUnsolvableError: there is none.
            NetworkError: a channel that had to be asked did not answer.
        """
        ...

    def records(self, name: str, platform: str) -> Sequence[CondaRecord]:
        """All records of a package for a platform, of every channel."""
        ...

    def versions(self, name: str, platform: str) -> Sequence[str]:
        """All versions of a package for a platform (``noarch`` included), in no order; empty for unknown."""
        ...

    def pypi_names(self, name: str, platform: str) -> Sequence[str]:
        """The PyPI projects that some record of a package is; empty for none or unknown."""
        ...

    def conda_names(self, pypi_name: str, platform: str) -> Sequence[str]:
        """The packages that may stand for a PyPI project on a platform, sorted; empty for none."""
        ...

    def other_names(self, pypi_name: str, platform: str) -> Collection[str]:
        """The packages that may stand for a PyPI project though PyPI spells their names otherwise.

        Reads no record, and tells nothing about packages whose names PyPI would spell like the project's.
        """
        ...


def total_size_bytes(records: Iterable[CondaRecord]) -> int:
    """What the archives of some records have together, as far as it is known."""
    return sum(record.size_bytes or 0 for record in records)
