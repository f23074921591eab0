"""The requirements of a manifest, read: by group, for each variant, with all faults at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from envforge.errors import EnvforgeError
from envforge.manifest.faults import Fault, manifest_error, suggestion
from envforge.model.lock import PROJECT_GROUP
from envforge.model.markers import python_admitted
from envforge.model.names import normalize_name
from envforge.model.requirement import Requirement, check_specifier, parse_requirement
from envforge.model.target import DEFAULT_PLATFORMS, Target

if TYPE_CHECKING:
    pass

from envforge.manifest.manifest import NO_VARIANT, Declared, Manifest, Variant


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
    faults = [*reader.faults.values(), *python_faults(manifest, manifest.settings.python)]
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


def python_faults(manifest: Manifest, python: str) -> Iterator[Fault]:
    """What stands in a manifest's way of a Python: its other demands on Python that do not admit it.

    Args:
        manifest: ``requires-python`` and conda dependencies are looked at.
        python: to stand in ``tool.envforge.python``, ``""`` for none.
    """
    requires = manifest.requires_python
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
    for wanted in manifest.settings.all_conda_dependencies:
        if python and wanted.name == "python" and not _spec_admits_python(wanted.match_spec, python):
            problem = f"{wanted.spec} does not admit tool.envforge.python, which is {python}"
            yield Fault(wanted.where, problem, "change one of the two")


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
