"""What ``add`` and ``remove`` are given: requirements for PyPI, and packages of conda."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from envforge.errors import ManifestError, RequirementError, UsageError
from envforge.manifest.edit import add_requirements, remove_requirements
from envforge.manifest.edit_conda import add_conda_dependencies, remove_conda_dependencies
from envforge.manifest.edit_sources import SourceTable, put_source, without_unused_source
from envforge.manifest.manifest import without_credentials
from envforge.manifest.parse import parse_manifest
from envforge.manifest.references import is_archive_name
from envforge.model.conda import CONDA_MARK
from envforge.model.lock import Lock
from envforge.model.match_spec import MatchSpecParts, parse_match_spec
from envforge.model.names import normalize_name
from envforge.model.requirement import Requirement, parse_requirement, parse_version
from envforge.struct import Struct, replace
from envforge.workflows.git_additions import GitAddition
from envforge.workflows.local_additions import LocalAddition, is_path, read_local, refuse_requirements_file

Check = Callable[[str, str], object]
"""Raises ManifestError for the text of a manifest with faults, which it is told the path of."""
_WORKSPACE: SourceTable = {"workspace": True}


class Place(Struct, frozen=True, kw_only=True):
    """Where in the manifest requirements go; conda's are in no group and no extra. At most one is named.

    Args:
        group: dependency group.
        extra: optional dependency.
        variant: hardware alternative.
    """

    group: str | None = None
    extra: str | None = None
    variant: str | None = None

    @property
    def conda(self) -> str:
        """The dotted path of the table for conda packages."""
        if self.variant is not None:
            return f"tool.envforge.variants.{self.variant}.conda-dependencies"
        return "tool.envforge.conda-dependencies"

    def __str__(self) -> str:
        if self.variant is not None:
            return f"tool.envforge.variants.{self.variant}.dependencies"
        if self.group is not None:
            return f"dependency-groups.{self.group}"
        if self.extra is not None:
            return f"project.optional-dependencies.{self.extra}"
        return "project.dependencies"


class Additions(Struct, frozen=True, kw_only=True):
    """What is added.

    Args:
        requirements: for PyPI.
        conda: match specs.
        place: where the requirements go.
        local: what comes from a path or from git, and is among the requirements too.
        members: names of those that come from the workspace.
    """

    requirements: tuple[Requirement, ...]
    conda: tuple[MatchSpecParts, ...]
    place: Place
    local: tuple[LocalAddition | GitAddition, ...] = ()
    members: tuple[str, ...] = ()

    @property
    def recorded(self) -> tuple[str, ...]:
        """What is written, for people: ``torch>=2.15``, ``conda:ffmpeg >=7.1``."""
        return (
            *map(str, self.requirements),
            *(f"{CONDA_MARK}{_plain(part)}" for part in self.conda),
        )

    @property
    def where(self) -> str:
        """The dotted paths of what is written."""
        places = [str(self.place)] if self.requirements else []
        return " and ".join([*places, *([self.place.conda] if self.conda else [])])

    def write(self, manifest_text: str, path: str, check: Check) -> str:
        """The manifest with the additions.

        Args:
            manifest_text: what it says.
            path: what errors call it.
            check: refuses one with faults.

        Raises:
            ManifestError: it cannot be edited.
        """
        text = manifest_text
        if self.requirements:
            texts = [str(item) for item in self.requirements]
            place = self.place
            text = add_requirements(
                text,
                texts,
                group=place.group,
                extra=place.extra,
                variant=place.variant,
                path=path,
                check=check,
            )
        sources: dict[str, SourceTable] = {each.name: each.table for each in self.local}
        for name, table in {**dict.fromkeys(self.members, _WORKSPACE), **sources}.items():
            text = put_source(text, name, table, path)
        if self.conda:
            wishes = {part.name: part.spec for part in self.conda}
            text = add_conda_dependencies(text, wishes, path, variant=self.place.variant)
        return text

    def with_lower_bounds(self, lock: Lock) -> Additions:
        """The same, with the oldest version that any target resolved to where no version was asked for."""
        return replace(
            self,
            requirements=tuple(_bounded_requirement(item, lock) for item in self.requirements),
            conda=tuple(_bounded_spec(part, lock) for part in self.conda),
        )


def parse_additions(
    texts: Sequence[str],
    place: Place,
    *,
    conda: bool,
    editable: Sequence[str] = (),
    git: Sequence[GitAddition] = (),
    base: Path = Path(),
    root: Path = Path(),
) -> Additions:
    """Read what the command line names.

    Args:
        texts: PEP 508 requirements, paths, or match specs after ``conda:``.
        place: where the requirements go.
        conda: all are match specs.
        editable: paths of folders to be used where they stand.
        git: what comes from git.
        base: folder that paths are from.
        root: folder of the manifest.

    Raises:
        RequirementError: one of them cannot be read, or is a URL alone.
        UsageError: a place is named for conda packages only, which have their own; there is nothing at a
            path, or a file of requirements.
        ManifestError: what is at a path is no project.
    """
    specs = [text.removeprefix(CONDA_MARK) for text in texts if conda or text.startswith(CONDA_MARK)]
    others = [] if conda else [text for text in texts if not text.startswith(CONDA_MARK)]
    if specs and not others and (place.group or place.extra):
        raise UsageError(
            f"conda packages stand in {place.conda}, not in a group or an extra",
            hints=["leave --group, --dev and --extra out"],
        )
    paths = [text for text in others if is_path(text)]
    local: list[LocalAddition | GitAddition]
    local = [read_local(text, base, root, editable=False) for text in paths]
    local += [read_local(text, base, root, editable=True) for text in editable]
    local += git
    named = [_parse_named(text, base) for text in others if text not in paths]
    known = {requirement.name for requirement in named}
    named += [Requirement(each.name) for each in local if each.name not in known]
    return Additions(
        requirements=tuple(dict.fromkeys(named)),
        conda=tuple(dict.fromkeys(parse_match_spec(text) for text in specs)),
        place=place,
        local=tuple(local),
    )


def _parse_named(text: str, base: Path) -> Requirement:
    """A requirement by its name; what is often written in place of one is told apart."""
    if "://" in text.partition("@")[0]:
        raise _nameless_url(text)
    refuse_requirements_file(text, base)
    return parse_requirement(text)


def _nameless_url(url: str) -> RequirementError:
    shown = without_credentials(url)
    file = shown.partition("#")[0].partition("?")[0].rpartition("/")[2]
    name = file.partition("-")[0] if file.endswith(".whl") else "NAME"
    hints = [f"name the project: envforge add '{name} @ {shown}'"]
    if not is_archive_name(file):
        hints = [f"for a git repository: envforge add git+{shown}", "for a wheel or an sdist: 'NAME @ URL'"]
    return RequirementError(f"{shown} does not say which project it is", hints=hints)


def remove_from(
    manifest_text: str, names: Sequence[str], place: Place, *, conda: bool, path: str, check: Check
) -> tuple[str, str]:
    """The manifest without some packages, and where they stood.

    Args:
        manifest_text: what pyproject.toml says.
        names: project names, or those of conda packages after ``conda:``.
        place: where requirements are removed from.
        conda: all are conda packages.
        path: what errors call the manifest.
        check: refuses one with faults.

    Raises:
        ManifestError: it does not have them.
    """
    specs = [name.removeprefix(CONDA_MARK) for name in names if conda or name.startswith(CONDA_MARK)]
    others = [] if conda else [name for name in names if not name.startswith(CONDA_MARK)]
    text = manifest_text
    if others:
        text = _without_requirements(text, others, place, path, check)
    for name in others:
        text = without_unused_source(text, normalize_name(name), path)
    if specs:
        text = remove_conda_dependencies(text, specs, path, variant=place.variant)
    places = [str(place)] if others else []
    return text, " and ".join([*places, *([place.conda] if specs else [])])


def _without_requirements(
    manifest_text: str, names: Sequence[str], place: Place, path: str, check: Check
) -> str:
    try:
        return remove_requirements(
            manifest_text,
            names,
            group=place.group,
            extra=place.extra,
            variant=place.variant,
            path=path,
            check=check,
        )
    except ManifestError as error:
        wanted = _names_on_conda(manifest_text, place)
        on_conda = [name for name in names if name.lower() in wanted]
        if not on_conda:
            raise
        marked = " ".join(f"{CONDA_MARK}{name}" for name in on_conda)
        raise ManifestError(
            error.message, context=error.context, hints=[f"it is from conda: envforge remove {marked}"]
        ) from None


def _names_on_conda(manifest_text: str, place: Place) -> set[str]:
    """Names of the conda packages of a manifest; none of one that cannot be read, or has no such variant."""
    with suppress(ManifestError, KeyError):
        settings = parse_manifest(manifest_text).settings
        variant = settings.variant(normalize_name(place.variant or ""))
        wanted = variant.conda_dependencies if variant.name else settings.conda_dependencies
        return {dependency.name for dependency in wanted}
    return set()


def _bounded_requirement(requirement: Requirement, lock: Lock) -> Requirement:
    if requirement.specifier or requirement.url:
        return requirement
    packages = [package for package in lock.packages.values() if package.name == requirement.name]
    if any(package.origin is not None for package in packages):
        return requirement  # there is this version only
    versions = [package.version for package in packages]
    versions += [
        record.version for record in lock.conda_packages.values() if requirement.name in record.pypi_names
    ]
    if not versions:  # its marker holds for no target
        return requirement
    return replace(requirement, specifier=f">={_short(min(versions, key=parse_version))}")


def _bounded_spec(part: MatchSpecParts, lock: Lock) -> MatchSpecParts:
    versions = [record.version for record in lock.conda_packages.values() if record.name == part.name]
    if part.spec != "*" or not versions:
        return part
    from rattler import Version

    return replace(part, spec=f">={min(versions, key=Version)}")


def _short(version: str) -> str:
    """``2.15.0`` as ``2.15``: a bound as a person would write it. Local parts cannot stand in bounds."""
    parsed = parse_version(version)
    if parsed.is_prerelease:
        return parsed.public
    release = list(parsed.release)
    while len(release) > 2 and release[-1] == 0:
        release.pop()
    epoch = f"{parsed.epoch}!" if parsed.epoch else ""
    return epoch + ".".join(str(part) for part in release)


def _plain(part: MatchSpecParts) -> str:
    return part.name if part.spec == "*" else f"{part.name} {part.spec}"
