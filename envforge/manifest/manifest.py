"""The manifest as a value: what the user asks for, as pyproject.toml says it.

Standards: PEP 621 (``[project]``), PEP 735 (``[dependency-groups]``), PEP 508 (requirements).
Texts of requirements stay texts here, because reading them needs :mod:`packaging`, which costs more
than all the rest of an unchanged sync; :mod:`envforge.manifest.requirements` reads them for who resolves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from envforge.model.sources import IndexSource, PathSource, Source
from envforge.model.target import DEFAULT_PLATFORMS, SystemAssumptions
from envforge.model.variant import ALWAYS, Condition
from envforge.struct import Struct, field

if TYPE_CHECKING:
    from envforge.manifest.build_settings import BuildSettings
    from envforge.manifest.folders import FolderManifest
    from envforge.manifest.rules import DeclaredRules

DEFAULT_INDEX_NAME = "pypi"
DEFAULT_INDEX_URL = "https://pypi.org/simple"

_TOKEN = re.compile(r"(https?://[^/]+)/t/[^/]+(?=/)")
_USER_INFO = re.compile(r"(?<=://)[^/?#]*@")


def without_credentials(url: str) -> str:
    """A URL without user and password: ``https://me:secret@host/simple`` is ``https://host/simple``."""
    return _USER_INFO.sub("", url, count=1)


class Declared(Struct, frozen=True):
    """A requirement's text, and where it stands.

    Args:
        text: PEP 508, as written.
        where: dotted path, ``project.dependencies[2]``.
    """

    text: str
    where: str


class Index(Struct, frozen=True, kw_only=True):
    """A place to find distributions.

    Args:
        name: what ``sources`` and credentials call it.
        url: of its simple API, as written: it may hold credentials and ``${VARIABLES}``, so it is never
            shown; ``public_url`` may be.
        explicit: used only for the projects that ``sources`` sends there.
        default: asked after all others; PyPI unless the manifest says otherwise.
        is_flat: one page of links to files of any project, or a folder of files, instead of a simple API.
            A folder's URL may be a path, which is from the project's folder: ``./wheels``, ``../wheels``.
    """

    name: str
    url: str
    explicit: bool = False
    default: bool = False
    is_flat: bool = False

    def __repr__(self) -> str:
        return f"Index({self.name!r})"  # the URL may hold credentials

    @property
    def public_url(self) -> str:
        """The URL without credentials, for locks and messages."""
        return without_credentials(self.url)


DEFAULT_INDEX = Index(name=DEFAULT_INDEX_NAME, url=DEFAULT_INDEX_URL, default=True)


DEFAULT_CHANNEL_NAME = "conda-forge"
DEFAULT_CHANNEL_ALIAS = "https://conda.anaconda.org"


class Channel(Struct, frozen=True, kw_only=True):
    """A source of conda packages.

    Args:
        name: as written, without credentials: ``conda-forge``, a URL, or a folder.
        url: where its subdirs are, ``https://conda.anaconda.org/conda-forge`` or ``file:///…``; it may hold
            credentials and ``${VARIABLES}``, so it is never shown; ``public_url`` may be.
    """

    name: str
    url: str

    def __repr__(self) -> str:
        return f"Channel({self.name!r})"  # the URL may hold credentials

    @property
    def public_url(self) -> str:
        """The URL without credentials, also without a token in its path, for locks and messages."""
        return _TOKEN.sub(r"\1", without_credentials(self.url), count=1)


DEFAULT_CHANNEL = Channel(name=DEFAULT_CHANNEL_NAME, url=f"{DEFAULT_CHANNEL_ALIAS}/{DEFAULT_CHANNEL_NAME}")


class CondaDependency(Struct, frozen=True, kw_only=True):
    """A package that the user wants from conda.

    Args:
        name: conda's, lower case.
        spec: the rest of the match spec (CEP 29): ``>=7.1``, ``2.12.* cuda*``; ``*`` for any.
        platforms: subdirs it is wanted on, empty for all of the manifest's.
        where: dotted path, ``tool.envforge.conda-dependencies.ffmpeg``.
    """

    name: str
    spec: str = "*"
    platforms: tuple[str, ...] = ()
    where: str = ""

    @property
    def match_spec(self) -> str:
        """``ffmpeg >=7.1``."""
        return self.name if self.spec == "*" else f"{self.name} {self.spec}"

    def is_wanted_on(self, platform: str) -> bool:
        """Whether it is for a subdir at all."""
        return not self.platforms or platform in self.platforms


class Variant(NamedTuple):
    """A hardware alternative: what it asks for beside, or instead of, what the project asks for anyway.

    Args:
        name: normalized.
        condition: the hosts that it is meant for.
        dependencies: PyPI requirements, added to those of the project.
        conda_dependencies: added likewise.
        sources: normalized project name → where it comes from, before the manifest's own ``sources``.
        removed: normalized names of projects that the manifest requires and this variant does without.
        conda_removed: likewise names of conda packages.
    """

    name: str
    condition: Condition = ALWAYS
    dependencies: tuple[Declared, ...] = ()
    conda_dependencies: tuple[CondaDependency, ...] = ()
    sources: Mapping[str, Source] = MappingProxyType({})
    removed: frozenset[str] = frozenset()
    conda_removed: frozenset[str] = frozenset()


class Workspace(Struct, frozen=True, kw_only=True):
    """Which folders below this one are members of its workspace: patterns of paths, ``packages/*``."""

    members: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


NO_VARIANT = Variant(name="")
"""What a project without variants has on every host."""


def index_names(sources: Mapping[str, Source]) -> dict[str, str]:
    """Normalized project name → name of its index, of those that come from one."""
    return {name: source.index for name, source in sources.items() if isinstance(source, IndexSource)}


class Settings(Struct, frozen=True, kw_only=True):
    """``[tool.envforge]``.

    Args:
        platforms: conda subdirs to lock for, in the order written.
        python: ``3.12`` or ``3.12.4``, ``""`` for any that fits.
        exclude_newer: files had to be uploaded before it (``2026-11-01T00:00:00Z``), or this long before a
            resolution (``P7D``, see :mod:`envforge.model.cutoff`); ``""`` for any time.
        exclude_newer_package: normalized project name → the same for it alone.
        indexes: in the order to ask: declared ones, the default, then explicit ones (never asked unless
            ``sources`` says so). The first that knows a project is the only one used for it.
        sources: normalized project name → where it comes from.
        system: what targets may assume.
        unshare: normalized names of projects whose files are copied, not linked.
        default_groups: normalized names of the groups that are synced unless the user says otherwise.
        channels: conda channels; of two that have a package, the first one is the only one used for it.
        conda_dependencies: what is wanted from conda, in the order written; empty for none, and then
            Python comes from the host.
        conda_pypi_map: conda name → normalized PyPI name that it stands for, "" for none; before all else
            that is known of names.
        link_scripts: names of conda packages whose link scripts may run.
        variants: the first whose condition holds on a host is what it gets; empty for a project without.
        accelerator_mirror: base URL of torch's indexes for ``add --torch``, "" for PyTorch's own.
        rules: what it says over the heads of packages, None for nothing.
        build: normalized project name → how it is built.
        workspace: its members, None for a project alone.
    """

    platforms: tuple[str, ...] = DEFAULT_PLATFORMS
    python: str = ""
    exclude_newer: str = ""
    exclude_newer_package: Mapping[str, str] = field(default_factory=dict)
    indexes: tuple[Index, ...] = (DEFAULT_INDEX,)
    sources: Mapping[str, Source] = field(default_factory=dict)
    system: SystemAssumptions = field(default_factory=SystemAssumptions)
    unshare: tuple[str, ...] = ()
    default_groups: tuple[str, ...] = ()
    channels: tuple[Channel, ...] = (DEFAULT_CHANNEL,)
    conda_dependencies: tuple[CondaDependency, ...] = ()
    conda_pypi_map: Mapping[str, str] = field(default_factory=dict)
    link_scripts: tuple[str, ...] = ()
    variants: tuple[Variant, ...] = ()
    accelerator_mirror: str = ""
    rules: DeclaredRules | None = None
    build: Mapping[str, BuildSettings] = field(default_factory=dict)
    workspace: Workspace | None = None

    @property
    def all_conda_dependencies(self) -> list[CondaDependency]:
        """Those of the project, then those of each variant."""
        return [
            *self.conda_dependencies,
            *(wanted for each in self.variants for wanted in each.conda_dependencies),
        ]

    @property
    def uses_conda(self) -> bool:
        """Whether anything is wanted from conda, if only by a variant."""
        return bool(self.all_conda_dependencies)

    def variant(self, name: str) -> Variant:
        """The variant of a name, :data:`NO_VARIANT` for ``""``; KeyError for an unknown one."""
        if not name:
            return NO_VARIANT
        found = next((each for each in self.variants if each.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def sources_of(self, variant: Variant) -> Mapping[str, Source]:
        """Normalized project name → where it comes from for a variant."""
        return {**self.sources, **variant.sources} if variant.sources else self.sources

    @property
    def all_sources(self) -> Iterator[tuple[str, Source]]:
        """(normalized project name, where it comes from) of all variants; names may repeat."""
        yield from self.sources.items()
        for variant in self.variants:
            yield from variant.sources.items()

    def conda_dependencies_of(self, variant: Variant) -> tuple[CondaDependency, ...]:
        """What a variant wants from conda: the manifest's without what it removes, then its own."""
        kept = (each for each in self.conda_dependencies if each.name not in variant.conda_removed)
        return (*kept, *variant.conda_dependencies)


class Manifest(Struct, frozen=True, kw_only=True):
    """What pyproject.toml asks for.

    Args:
        path: the file's name for messages.
        name: the project's, as written.
        version: as written, ``""`` where it is dynamic or missing.
        requires_python: specifier, ``""`` for any.
        dependencies: ``project.dependencies``.
        optional_dependencies: normalized extra → requirements.
        groups: normalized dependency group → requirements, includes expanded.
        settings: ``[tool.envforge]``.
        has_build_system: the project is a package and can be installed.
        text: the file's content, to find lines in.
        members: of a workspace, folder (``./packages/a``) → what its pyproject.toml says, once looked for.
    """

    path: str
    name: str
    version: str = ""
    requires_python: str = ""
    dependencies: tuple[Declared, ...] = ()
    optional_dependencies: Mapping[str, tuple[Declared, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[Declared, ...]] = field(default_factory=dict)
    settings: Settings = Settings()
    has_build_system: bool = False
    text: str = ""
    members: Mapping[str, FolderManifest] = field(default_factory=dict)

    @property
    def member_names(self) -> dict[str, str]:
        """Of a workspace, the normalized name of each member → its folder."""
        sources = self.settings.sources.items()
        return {
            name: source.path
            for name, source in sources
            if isinstance(source, PathSource) and source.path in self.members
        }
