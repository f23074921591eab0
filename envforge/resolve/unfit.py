"""Why a project on its own has nothing for a target: facts and hints for one requirement."""

from __future__ import annotations

from collections.abc import Sequence

from envforge.errors import EnvforgeError, ResolutionError, UnknownPackageError
from envforge.model.release import LimitedPage
from envforge.model.requirement import Requirement, parse_version, specifier_admits
from envforge.model.target import PLATFORMS
from envforge.resolve.candidates import CandidateFinder, Unfit
from envforge.resolve.dependencies import is_unknown

_MAX_VERSIONS_TO_NAME = 3


def unknown_project(root: Requirement, finder: CandidateFinder) -> EnvforgeError:
    """No index has a project that the user asks for."""
    try:
        finder.source.page(root.name)
    except UnknownPackageError as error:
        return error
    raise AssertionError("asked only for a project that is unknown")


def no_release_fits(root: Requirement, finder: CandidateFinder) -> ResolutionError:
    """No release meets one requirement on its own: too narrow a specifier, or nothing for the target."""
    label = finder.target.label
    unfit = list(finder.unfit_versions(root.name, [root.specifier]))
    if not unfit:
        return _no_such_version(root, finder)
    late, hints = _left_out(root, finder)
    return ResolutionError(
        f"no version of {root.name}{' that meets ' + root.specifier if root.specifier else ''} fits {label}",
        context=[*late, *_unfit_facts(root.name, unfit, finder)],
        hints=[*hints, *_unfit_hints(root.name, unfit, finder)],
    )


def _no_such_version(root: Requirement, finder: CandidateFinder) -> ResolutionError:
    """The specifier admits nothing that was ever released, or only what ``exclude-newer`` leaves out."""
    late, hints = _left_out(root, finder)
    usable = [candidate.version for candidate in finder.matches(root.name, (), frozenset())]
    # matches come best first, which is not newest first: what has wheels, or is locked, is better
    versions = sorted(usable, key=parse_version, reverse=True)[:_MAX_VERSIONS_TO_NAME]
    label = finder.target.label
    if versions:
        facts = [f"the newest versions that fit {label}: {', '.join(versions)}"]
        hints = [*hints, f"admit one of them, e.g. {root.name}>={versions[-1]}"]
    elif root.specifier:
        facts = [f"and none at all fits {label}"]
    else:
        facts = [] if late else ["its page lists nothing that can be installed"]
    return ResolutionError(_no_version(root), context=[*late, *facts], hints=hints)


def _no_version(requirement: Requirement) -> str:
    """``no version of torch meets >=99``."""
    if not requirement.specifier:
        return f"there is no version of {requirement.name}"
    return f"no version of {requirement.name} meets {requirement.specifier}"


def _left_out(requirement: Requirement, finder: CandidateFinder) -> tuple[list[str], list[str]]:
    """Which versions that would meet a requirement ``exclude-newer`` leaves out, and what to do about it."""
    page = finder.source.page(requirement.name)
    if not isinstance(page, LimitedPage):
        return [], []
    meeting = [
        (version, time)
        for version, time in page.left_out()
        if specifier_admits(requirement.specifier, version)
    ]
    final = [(version, time) for version, time in meeting if not parse_version(version).is_prerelease]
    limit = page.limit.removesuffix("T00:00:00Z")
    facts = [
        f"{page.name} {version} was uploaded {f'on {time[:10]}' if time else 'at an unknown time'},"
        f" and exclude-newer admits only what is from before {limit}"
        for version, time in (final or meeting)[:_MAX_VERSIONS_TO_NAME]
    ]
    except_it = f"exclude-newer-package = {{ {page.name} = false }}"
    return facts, [f"move exclude-newer on, or except the package: {except_it}"] if facts else []


def _unfit_facts(name: str, unfit: Sequence[tuple[str, Unfit]], finder: CandidateFinder) -> list[str]:
    page = finder.source.page(name)
    facts = []
    for version, reason in unfit[:_MAX_VERSIONS_TO_NAME]:
        files = page.files(version)
        if reason is Unfit.PYTHON:
            wanted = sorted({file.requires_python for file in files})
            facts.append(f"{name} {version} needs Python {' or '.join(wanted)}")
        elif reason is Unfit.YANKED:
            why = next((file.yanked for file in files if file.yanked), "")
            facts.append(f"{name} {version} was yanked{': ' + why if why else ''}")
        elif reason in (Unfit.ONLY_SDIST, Unfit.NO_SDIST):
            facts.append(f"{name} {version} {reason}")
        else:
            tags = sorted({"-".join(file.filename[:-4].split("-")[-3:]) for file in files if file.is_wheel})
            shown = ", ".join(tags[:4]) + (f" and {len(tags) - 4} more" if len(tags) > 4 else "")
            facts.append(f"{name} {version} has wheels only for {shown or 'nothing'}, and no sdist")
    if len(unfit) > _MAX_VERSIONS_TO_NAME:
        facts.append(f"… and {len(unfit) - _MAX_VERSIONS_TO_NAME} older versions")
    return facts


def _unfit_hints(name: str, unfit: Sequence[tuple[str, Unfit]], finder: CandidateFinder) -> list[str]:
    target = finder.target
    reasons = {reason for _, reason in unfit}
    hints = []
    if Unfit.YANKED in reasons:
        hints.append(f"to use a yanked release all the same, name it exactly: {name}=={unfit[0][0]}")
    if Unfit.ONLY_SDIST in reasons:
        hints.append(f"to build it, take {name} out of tool.envforge.only-binary, or name it in no-binary")
    if Unfit.NO_SDIST in reasons:
        hints.append(
            f"to take its wheel, take {name} out of tool.envforge.no-binary, or name it in only-binary"
        )
    if Unfit.PYTHON in reasons or any(
        reason in (Unfit.WHEEL, Unfit.ONLY_SDIST)
        and finder.has_platform_wheel(finder.source.page(name).files(version))
        for version, reason in unfit
    ):
        hints.append(f"choose another Python: tool.envforge.python (now {target.python})")
    if Unfit.WHEEL in reasons:
        system = PLATFORMS[target.platform].sys_platform
        hints.append(
            f"if {target.platform} is not needed, remove it from tool.envforge.platforms, or exclude the"
            f" package there: \"{name}; sys_platform != '{system}'\""
        )
    return hints


def why_nothing_fits(requirement: Requirement, finder: CandidateFinder) -> tuple[list[str], list[str]]:
    """Facts about a demanded package of which no release at all can be used, and hints."""
    if is_unknown(finder.source, requirement.name):
        return [f"{requirement.name} is on no index"], []
    if finder.best(requirement.name, [requirement.specifier], frozenset()) is not None:
        return [], []
    late, hints = _left_out(requirement, finder)
    unfit = list(finder.unfit_versions(requirement.name, [requirement.specifier]))
    if not unfit:
        return [_no_version(requirement), *late], hints
    return [*late, *_unfit_facts(requirement.name, unfit, finder)], hints
