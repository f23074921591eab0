"""What a manifest wants from conda, target by target."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from envforge.errors import CondaUnsolvableError, EnvforgeError, ImpossibleOnCondaError, UnknownPackageError
from envforge.events import Reporter, Warned
from envforge.lock.folders import with_folders_placed
from envforge.manifest.manifest import CondaDependency, Manifest
from envforge.manifest.rules import manifest_rules
from envforge.manifest.targets import manifest_targets
from envforge.model.conda import CondaRecord
from envforge.model.requirement import Requirement
from envforge.model.resolution import TargetResolution
from envforge.model.target import Target
from envforge.resolve.conda import CondaLayer, CondaPart
from envforge.resolve.conda_solution import admits
from envforge.resolve.dependencies import active_requirements
from envforge.struct import replace
from envforge.workflows.channels import channel_folders
from envforge.workflows.project import FormerLock
from envforge.workflows.session import Session
from envforge.workflows.upgrades import Upgrades

if TYPE_CHECKING:
    from envforge.index.conda_source import CondaChannels


@contextmanager
def open_conda_wishes(
    manifest: Manifest, exclude_newer: str, former: FormerLock, upgrades: Upgrades, session: Session
) -> Iterator[CondaWishes]:
    """The manifest's conda dependencies with the channels that answer them.

    Raises:
        UnknownPackageError: no channel has a package on any platform.
        NetworkError: a channel that had to be asked did not answer.
    """
    from envforge.workflows.sources import open_channels

    with open_channels(manifest, exclude_newer, session) as channels:
        folders = channel_folders(manifest, session.root)
        wishes = CondaWishes(manifest, channels, former, upgrades, session.reporter, folders)
        wishes.check_names()
        yield wishes


_MOST_VERSIONS = 3


class CondaWishes:
    """What is wanted from conda.

    A package that some platforms do not have (CUDA on a Mac) is left out there, and that is said, unless
    the manifest names its platforms.

    Args:
        manifest: its conda dependencies; there is at least one.
        channels: where they come from.
        former: what was locked; its records are kept where they can be.
        upgrades: what need not be kept.
        reporter: hears what is left out.
        folders: channels that are folders, as the lock has them → where they are.
    """

    def __init__(
        self,
        manifest: Manifest,
        channels: CondaChannels,
        former: FormerLock,
        upgrades: Upgrades,
        reporter: Reporter,
        folders: Mapping[str, str],
    ) -> None:
        self.manifest = manifest
        self.channels = channels
        self.former = former
        self.upgrades = upgrades
        self.reporter = reporter
        self.folders = folders
        self._left_out: set[tuple[str, str]] = set()
        self._targets = manifest_targets(manifest.settings, "3")
        self._rules = manifest_rules(manifest)

    def part_of(self, target: Target) -> CondaPart | None:
        """What a target asks of conda, None for nothing."""
        wanted = self._wanted_on(target)
        if not wanted:
            return None
        return CondaPart(
            source=self.channels,
            specs=tuple(sorted(dependency.match_spec for dependency in wanted)),
            constraints=self._python_constraints(target.platform),
            preferred=self._locked_records(target),
            demands=self._rules.demands(target),
        )

    def ask_ahead(self, targets: Sequence[Target]) -> None:
        """Have the best solutions of all targets, which are looked for at once."""
        parts = [(self.part_of(target), target) for target in targets]
        layers = [CondaLayer(part, target) for part, target in parts if part is not None]
        self.channels.solve_ahead([layer.first_question for layer in layers])

    def aligned_part(self, target: Target, earlier: Sequence[TargetResolution]) -> CondaPart | None:
        """The same, with Python and what the user names in the versions that earlier targets have.

        None where that goes not, or where they are the best ones anyway. A version that no channel has for
        the target is not asked for.
        """
        part = self.part_of(target)
        named = _named_versions(self._wanted_on(target), earlier)
        if part is None or not named:
            return None
        best = CondaLayer(part, target).solve({})
        if best is None:
            return None
        own = {record.name: record.version for record in best.records}
        differing = {name for name, version in named.items() if own.get(name, version) != version}
        absent = {name for name in differing if not self.channels.has_version(name, named[name], target)}
        if differing == absent:
            return None
        versions = {name: version for name, version in named.items() if name not in absent}
        constraints = (f"{name} =={version}" for name, version in sorted(versions.items()))
        aligned = replace(part, constraints=(*part.constraints, *constraints))
        return aligned if CondaLayer(aligned, target).solve({}) is not None else None

    def best_python(self, target: Target) -> str:
        """The minor version of Python that conda would choose for a target by itself, "" for none.

        Raises:
            ImpossibleOnCondaError: what is wanted does not go together with any Python.
        """
        part = self.part_of(target)
        if part is None:
            return ""
        try:
            python = CondaLayer(part, replace(target, python="3")).require_solution().python
        except CondaUnsolvableError as error:
            if self.leave_out_absent(target):
                return self.best_python(target)
            raise ImpossibleOnCondaError(
                f"the conda dependencies cannot be met together on {target.id}",
                context=error.context,
                hints=[*error.hints, *self._platform_hints(target)],
            ) from None
        return ".".join(python.split(".")[:2])

    def _platform_hints(self, target: Target) -> Iterator[str]:
        """What cannot be installed on a target even alone: the versions there are, or to leave it out."""
        platform = target.platform
        others = [other for other in self.manifest.settings.platforms if other != platform]
        for dependency in self._wanted_on(target):
            if self._can_be_installed(dependency.match_spec, target):
                continue
            name = dependency.name
            admitted = self.channels.admitted_versions(name, platform)
            if there := admitted or self.channels.versions(name, platform):
                yield f"the newest versions of {name} for {platform}: {', '.join(_newest(there))}"
            if days := self.channels.left_out(name, dependency.match_spec, platform):
                left_out = f"exclude-newer leaves out {name} {', '.join(_newest(days))}"
                yield f"{left_out}: move exclude-newer past {min(days.values())}"
            if others:
                yield (
                    f"if {dependency.name} is not needed on {platform}: {dependency.name} ="
                    f' {{ version = "{dependency.spec}", platforms = {json.dumps(others)} }}'
                )

    def leave_out_absent(self, target: Target) -> bool:
        """Leave out what cannot be installed on a target even alone; whether that was anything.

        Asked when the conda part has no solution: some packages are in ``noarch`` and need ``__linux``.
        """
        absent = [
            dependency
            for dependency in self._wanted_on(target)
            if not dependency.platforms
            and not self._can_be_installed(dependency.name, target)
            and any(
                self._can_be_installed(dependency.name, other)
                for other in self._targets
                if other.platform != target.platform and dependency in self._wanted_on(other)
            )
        ]
        for dependency in absent:
            self._leave_out(dependency.name, [target])
        return bool(absent)

    def check_names(self) -> None:
        """Leave out what the channels do not have for some platforms.

        Raises:
            UnknownPackageError: no channel has a package on any platform it is wanted on, or on one that
                the manifest names for it.
        """
        wanted_on = {target: self._wanted_on(target) for target in self._targets}
        dependencies = list(dict.fromkeys(each for wanted in wanted_on.values() for each in wanted))
        names = [*(dependency.name for dependency in dependencies), "python"]
        self.channels.load(names, self.manifest.settings.platforms)
        for dependency in dependencies:
            wanted = [target for target in self._targets if dependency in wanted_on[target]]
            absent = [
                target for target in wanted if not self.channels.versions(dependency.name, target.platform)
            ]
            if absent and (dependency.platforms or absent == wanted):
                raise self._unknown(dependency, list(dict.fromkeys(each.platform for each in absent)))
            if absent:
                self._leave_out(dependency.name, absent)

    def _leave_out(self, name: str, targets: Sequence[Target]) -> None:
        self._left_out.update((name, target.id) for target in targets)
        self.reporter.report(
            Warned(
                message=f"{name} is left out on {', '.join(each.id for each in targets)}:"
                " no channel has it there",
                hint=f'to be told no more: {name} = {{ version = "…", platforms = [...] }}',
            )
        )

    def _unknown(self, dependency: CondaDependency, platforms: Sequence[str]) -> UnknownPackageError:
        channels = ", ".join(channel.name for channel in self.manifest.settings.channels)
        similar = self.channels.similar_names(dependency.name, platforms[0])
        return UnknownPackageError(
            f"no conda channel has a package named {dependency.name!r} for {', '.join(platforms)}",
            context=[f"{self.manifest.path}: {dependency.where}", f"channels: {channels}"],
            hints=[
                *(f"did you mean {close}?" for close in similar),
                f"if it is on PyPI: envforge add {dependency.name}",
            ],
        )

    def _wanted_on(self, target: Target) -> list[CondaDependency]:
        return [
            dependency
            for dependency in conda_dependencies_on(self.manifest, target)
            if (dependency.name, target.id) not in self._left_out
        ]

    def _can_be_installed(self, spec: str, target: Target) -> bool:
        layer = CondaLayer(CondaPart(source=self.channels, specs=(spec,)), replace(target, python="3"))
        return layer.solve({}) is not None

    def _python_constraints(self, platform: str) -> tuple[str, ...]:
        """What the project's ``requires-python`` leaves of the channel's Pythons."""
        required = self.manifest.requires_python
        refused = [
            version
            for version in sorted(self.channels.versions("python", platform))
            if not admits(required, version)
        ]
        return (f"python {','.join(f'!={version}' for version in refused)}",) if refused else ()

    def _locked_records(self, target: Target) -> tuple[CondaRecord, ...]:
        if self.upgrades.everything:
            return ()
        records: dict[str, CondaRecord] = {}
        for side in self.former.sides:
            placed = with_folders_placed(side, self.folders)
            own = placed.target_for(target.id)
            # a variant that is new begins with what the platform has anyway
            for locked in [own] if own else placed.targets_on(target.platform):
                for record in placed.conda_records(locked):
                    records.setdefault(record.name, record)
        released = self.upgrades.conda_names
        return tuple(record for name, record in sorted(records.items()) if name not in released)


def _newest(versions: Iterable[str]) -> list[str]:
    """A few of them, newest first."""
    from rattler import Version

    return sorted(versions, key=Version, reverse=True)[:_MOST_VERSIONS]


def conda_dependencies_on(manifest: Manifest, target: Target) -> list[CondaDependency]:
    """What a manifest wants from conda on a target."""
    settings = manifest.settings
    wanted = settings.conda_dependencies_of(settings.variant(target.variant))
    return [dependency for dependency in wanted if dependency.is_wanted_on(target.platform)]


def offer_conda(error: UnknownPackageError, manifest: Manifest, session: Session) -> UnknownPackageError:
    """The same error, told that conda has the package; asked only where the project uses conda already.

    A look at a channel that nobody has asked for yet would cost a misspelt name seconds. For Python it is
    told how Python is chosen.
    """
    name = error.package
    if name == "python":
        hints = [
            "choose Python with tool.envforge.python, and bound it with project.requires-python",
            "to have it from conda: envforge add conda:python",
        ]
        return UnknownPackageError(error.message, context=error.context, hints=hints, package=name)
    hint = f"if it is a conda package: envforge add conda:{name}"
    if manifest.settings.uses_conda:
        from envforge.workflows.sources import open_channels

        with suppress(EnvforgeError), open_channels(manifest, "", session) as channels:
            if not channels.versions(name, manifest.settings.platforms[0]):
                return error
            hint = f"conda has it: envforge add conda:{name}"
    return UnknownPackageError(
        error.message, context=error.context, hints=[*error.hints, hint], package=error.package
    )


def _named_versions(wanted: Sequence[CondaDependency], earlier: Sequence[TargetResolution]) -> dict[str, str]:
    """The versions that earlier targets have of Python and of what the user names."""
    names = {"python", *(dependency.name for dependency in wanted)}
    versions: dict[str, str] = {}
    for resolution in earlier:
        for record in resolution.conda:
            if record.name in names:
                versions.setdefault(record.name, record.version)
    return versions


def extras_beside_conda(
    resolution: TargetResolution, groups: Mapping[str, Sequence[Requirement]]
) -> list[str]:
    """``fsspec[http]``: extras that somebody asks of a project that conda brings; sorted."""
    brought = {name for record in resolution.conda for name in record.pypi_names}
    asked = [requirement for requirements in groups.values() for requirement in requirements]
    asked += [
        requirement
        for pin in resolution.pins.values()
        for requirement in active_requirements(pin.metadata, pin.extras, resolution.target)
    ]
    return sorted(
        {f"{item.name}[{','.join(item.extras)}]" for item in asked if item.extras and item.name in brought}
    )


def cuda_stacks(resolution: TargetResolution) -> tuple[list[str], list[str]]:
    """Packages of CUDA itself that come from conda, and those that come from PyPI; sorted."""
    from_conda = [record.name for record in resolution.conda if record.name in _CUDA_ON_CONDA]
    from_pypi = [name for name in resolution.pins if name.startswith("nvidia-")]
    return sorted(from_conda), sorted(from_pypi)


_CUDA_ON_CONDA = frozenset(
    [
        "cuda-cudart",
        "cuda-nvrtc",
        "cudatoolkit",
        "cudnn",
        "libcublas",
        "libcudnn",
        "libcufft",
        "libcusparse",
        "nccl",
    ]
)
