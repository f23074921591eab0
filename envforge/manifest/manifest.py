"""The manifest as a value: what the user asks for, as pyproject.toml says it.

Standards: PEP 621 (``[project]``), PEP 735 (``[dependency-groups]``), PEP 508 (requirements).
Texts of requirements stay texts here, because reading them needs :mod:`packaging`, which costs more
than all the rest of an unchanged sync; :func:`requirements_by_group` reads them for those who resolve.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from envforge.errors import EnvforgeError
from envforge.manifest.faults import Fault, manifest_error, suggestion
from envforge.model.lock import PROJECT_GROUP
from envforge.model.requirement import Requirement, check_specifier, normalize_name, parse_requirement
from envforge.model.sources import IndexSource, Source
from envforge.model.target import DEFAULT_PLATFORMS, SystemAssumptions, Target, python_admitted
from envforge.model.variant import ALWAYS, Condition
from envforge.struct import Struct, field

if TYPE_CHECKING:
    from envforge.manifest.build_settings import BuildSettings
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
    def uses_conda(self) -> bool:
        """Whether anything is wanted from conda, if only by a variant."""
        return bool(self.conda_dependencies) or any(each.conda_dependencies for each in self.variants)

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
        member_paths: of a workspace, the folders of its members (``./packages/a``), once looked for.
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
    member_paths: tuple[str, ...] = ()


def requirements_by_group(
    manifest: Manifest, variant: Variant = NO_VARIANT
) -> dict[str, tuple[Requirement, ...]]:
    """Read every requirement of a manifest, as a variant has them.

    What the variant adds is in the project's group; what it removes is in none.

    A requirement on the project itself is replaced by what it stands for: in an extra or in the project's
    own dependencies by those of the extras it names, in a dependency group also by the project's
    dependencies. A specifier on it says nothing: there is only this version.

    Returns:
        ``project``, ``extra:NAME`` and ``group:NAME`` → requirements in the order written, none twice.

    Raises:
        ManifestError: with all faults: requirements that cannot be read, extras that do not exist, a
            ``requires-python`` that is no specifier or does not admit ``tool.envforge.python``.
    """
    reader = _RequirementReader(manifest, variant)
    found = {PROJECT_GROUP: reader.read((*manifest.dependencies, *variant.dependencies))}
    for extra, declared in manifest.optional_dependencies.items():
        found[f"extra:{extra}"] = reader.read(declared)
    for group, declared in manifest.groups.items():
        found[f"group:{group}"] = reader.read(declared, with_project=True)
    for other in manifest.settings.variants:
        reader.read(other.dependencies)  # for its faults
    faults = [*reader.faults.values(), *_python_faults(manifest)]
    if faults:
        raise manifest_error(manifest.path, manifest.text, faults)
    return found


def requirements_by_variant(manifest: Manifest) -> dict[str, dict[str, tuple[Requirement, ...]]]:
    """The name of each variant → what :func:`requirements_by_group` reads for it; ``""`` where there is none.

    Raises:
        ManifestError: as there.
    """
    variants = manifest.settings.variants or (NO_VARIANT,)
    return {variant.name: requirements_by_group(manifest, variant) for variant in variants}


class _RequirementReader:
    """Reads declared requirements and expands those on the project itself."""

    def __init__(self, manifest: Manifest, variant: Variant) -> None:
        self.manifest = manifest
        self.variant = variant
        self.own_name = normalize_name(manifest.name)
        # by place: a group's requirements are met again in every group that includes it
        self.faults: dict[str, Fault] = {}

    def read(self, declared: tuple[Declared, ...], *, with_project: bool = False) -> tuple[Requirement, ...]:
        return tuple(dict.fromkeys(self._expand(declared, "", with_project, frozenset())))

    def _expand(
        self, declared: tuple[Declared, ...], marker: str, with_project: bool, seen: frozenset[str]
    ) -> Iterator[Requirement]:
        for entry in declared:
            requirement = self._parse(entry)
            if requirement is None or self._is_removed(requirement, entry):
                continue
            if requirement.name != self.own_name:
                yield _under_marker(requirement, marker)
                continue
            inner = _both(marker, requirement.marker)
            if with_project:
                yield from self._expand(self.manifest.dependencies, inner, False, seen)
            elif not requirement.extras:
                self._refuse_itself(entry)
            for extra in requirement.extras:
                if extra not in self.manifest.optional_dependencies:
                    self._refuse_extra(entry, extra)
                elif extra not in seen:
                    wanted = self.manifest.optional_dependencies[extra]
                    yield from self._expand(wanted, inner, False, seen | {extra})

    def _is_removed(self, requirement: Requirement, entry: Declared) -> bool:
        """Whether the variant does without it; what it asks for itself it does not remove."""
        return requirement.name in self.variant.removed and entry not in self.variant.dependencies

    def _parse(self, entry: Declared) -> Requirement | None:
        try:
            return parse_requirement(entry.text)
        except EnvforgeError as error:
            self.faults[entry.where] = declared_fault(entry, error)
            return None

    def _refuse_extra(self, entry: Declared, extra: str) -> None:
        right = suggestion(extra, self.manifest.optional_dependencies) or "add it to optional-dependencies"
        problem = f"the project has no extra {extra!r}"
        self.faults[entry.where] = Fault(entry.where, problem, right)

    def _refuse_itself(self, entry: Declared) -> None:
        self.faults[entry.where] = Fault(
            entry.where,
            f"the project {self.manifest.name!r} requires itself",
            "rename the project (project.name) if the package of that name on the index is meant",
        )


def declared_fault(entry: Declared, error: EnvforgeError) -> Fault:
    """The fault of a text that is no requirement."""
    # packaging's first line is what was expected, the others the text and the caret
    expected, *caret = error.context or ("",)
    detail = (*caret, expected) if caret else (expected,)
    right = "write e.g. torch>=2.4 or torch[extra]>=2.4,<3; python_version < '3.13'"
    return Fault(entry.where, error.message, right, detail)


def _both(marker: str, other: str) -> str:
    return f"({marker}) and ({other})" if marker and other else marker or other


def _under_marker(requirement: Requirement, marker: str) -> Requirement:
    """The requirement, only where ``marker`` holds too; parsed again so that its text is canonical."""
    if not marker:
        return requirement
    return parse_requirement(
        str(
            Requirement(
                requirement.name,
                requirement.extras,
                requirement.specifier,
                _both(requirement.marker, marker),
                requirement.url,
            )
        )
    )


def _python_faults(manifest: Manifest) -> Iterator[Fault]:
    """A Python of the manifest that its other demands on Python do not admit."""
    requires, python = manifest.requires_python, manifest.settings.python
    if requires:
        try:
            check_specifier(requires)
        except EnvforgeError as error:
            yield Fault("project.requires-python", error.message, "write e.g. >=3.11")
            return
    if python and requires and not python_admitted(requires, _any_target(python)):
        yield Fault(
            "tool.envforge.python",
            f"{python} is not admitted by project.requires-python, which is {requires!r}",
            "change one of the two",
        )
    settings = manifest.settings
    for wanted in chain(
        settings.conda_dependencies, *(each.conda_dependencies for each in settings.variants)
    ):
        if python and wanted.name == "python" and not _spec_admits_python(wanted.match_spec, python):
            problem = f"{wanted.spec} does not admit tool.envforge.python, which is {python}"
            yield Fault(wanted.where, problem, "change one of the two")


def _any_target(python: str) -> Target:
    return Target(platform=DEFAULT_PLATFORMS[0], python=python)


def _spec_admits_python(match_spec: str, python: str) -> bool:
    """Whether a match spec admits a patch version of Python, or any of a minor one; builds aside."""
    from rattler import BuildString, MatchSpec, PackageRecord

    versions = MatchSpec(match_spec).version
    if versions is None:
        return True
    spec = MatchSpec(f"python {versions}")
    patches = [""] if python.count(".") == 2 else [f".{patch}" for patch in range(100)]
    build = BuildString("0")
    return any(spec.matches(PackageRecord("python", python + patch, build, 0, "noarch")) for patch in patches)
