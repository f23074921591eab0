"""Why there is no resolution: which requirements clash, through which chain, and what would help.

The search says only where it stuck last. From there the clash is narrowed to a smallest set of the
user's own requirements that cannot be met together (deletion-based minimal unsatisfiable subset),
each is followed to the package they disagree on, and edits are tried before they are proposed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from envforge.errors import EnvforgeError, ResolutionError, UnknownPackageError
from envforge.model.requirement import Requirement, specifier_admits
from envforge.model.target import PLATFORMS
from envforge.resolve.candidates import Candidate, CandidateFinder, Unfit
from envforge.resolve.dependencies import DependencyReader, is_unknown
from envforge.resolve.search import NoSolutionError, search
from envforge.resolve.walk import walk

_MAX_ROOTS_TO_MINIMIZE = 60
_MAX_VERSIONS_TO_NAME = 3


@dataclass(frozen=True, slots=True)
class Clash:
    """The smallest part of the problem that has no solution.

    Args:
        roots: the user's requirements that cannot be met together.
        chains: for each demand on the disputed package, the way from a root to it: texts in order.
        fixes: edits that were tried and resolve, as (old requirement, new requirement).
    """

    roots: Sequence[Requirement]
    chains: Sequence[Sequence[str]]
    fixes: Sequence[tuple[Requirement, Requirement]]


def explain_failure(
    failure: NoSolutionError,
    roots: Sequence[Requirement],
    finder: CandidateFinder,
    reader: DependencyReader,
) -> EnvforgeError:
    """The error to raise for a failed search, ready for the user."""
    for root in roots:
        if is_unknown(finder.source, root.name):
            return _unknown_root(root, finder)
    for root in roots:
        if finder.best(root.name, [root.specifier], frozenset()) is None:
            return _unfit_root(root, finder)
    clashing = _minimize(roots, finder, reader)
    final = _search_failure(clashing, finder, reader) or failure
    clash = Clash(
        roots=clashing,
        chains=list(_chains(final, clashing, finder, reader)),
        fixes=list(_tried_fixes(clashing, roots, finder, reader)),
    )
    return _clash_error(clash, final, finder)


def _unknown_root(root: Requirement, finder: CandidateFinder) -> EnvforgeError:
    try:
        finder.source.page(root.name)
    except UnknownPackageError as error:
        return error
    raise AssertionError("asked only for a project that is unknown")


def _unfit_root(root: Requirement, finder: CandidateFinder) -> ResolutionError:
    """No release meets one requirement on its own: too narrow a specifier, or nothing for the target."""
    label = finder.target.label
    unfit = list(finder.unfit_versions(root.name, [root.specifier]))
    if not unfit:
        return _no_such_version(root, finder)
    return ResolutionError(
        f"no version of {root.name}{' that meets ' + root.specifier if root.specifier else ''} fits {label}",
        context=_unfit_facts(root.name, unfit, finder),
        hints=_unfit_hints(root.name, unfit, finder),
    )


def _no_such_version(root: Requirement, finder: CandidateFinder) -> ResolutionError:
    """The specifier admits nothing that was ever released."""
    usable = finder.matches(root.name, (), frozenset())
    versions = [candidate.version for candidate in islice(usable, _MAX_VERSIONS_TO_NAME)]
    if not versions:
        return ResolutionError(
            f"no version of {root.name} meets {root.specifier}",
            context=[f"and none at all fits {finder.target.label}"],
        )
    return ResolutionError(
        f"no version of {root.name} meets {root.specifier}",
        context=[f"the newest versions that fit {finder.target.label}: {', '.join(versions)}"],
        hints=[f"admit one of them, e.g. {root.name}>={versions[-1]}"],
    )


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
    if Unfit.PYTHON in reasons or any(
        reason is Unfit.WHEEL and finder.has_platform_wheel(finder.source.page(name).files(version))
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


def _minimize(
    roots: Sequence[Requirement], finder: CandidateFinder, reader: DependencyReader
) -> list[Requirement]:
    """A smallest subset of the roots that has no solution: drop whatever is not needed for the failure."""
    kept = list(dict.fromkeys(roots))
    if len(kept) > _MAX_ROOTS_TO_MINIMIZE:
        return kept
    for root in list(kept):
        without = [other for other in kept if other is not root]
        if without and _search_failure(without, finder, reader) is not None:
            kept = without
    return kept


def _search_failure(
    roots: Sequence[Requirement], finder: CandidateFinder, reader: DependencyReader
) -> NoSolutionError | None:
    """The failure of a search for these roots, None where there is a solution."""
    try:
        if walk(roots, finder, reader) is not None:
            return None
    except UnknownPackageError:
        pass
    try:
        search(roots, finder, reader)
    except NoSolutionError as failure:
        return failure
    return None


def _chains(
    failure: NoSolutionError,
    roots: Sequence[Requirement],
    finder: CandidateFinder,
    reader: DependencyReader,
) -> Iterator[list[str]]:
    """For each demand in the last conflict, the shortest way from a root to it."""
    seen: set[tuple[str, ...]] = set()
    for requirement, parent in failure.causes:
        if requirement.name.startswith("\0"):
            continue
        chain = [*(_way_to(parent, roots, finder, reader) if parent else ["your project"]), str(requirement)]
        if tuple(chain) not in seen:
            seen.add(tuple(chain))
            yield chain


def _way_to(
    goal: Candidate, roots: Sequence[Requirement], finder: CandidateFinder, reader: DependencyReader
) -> list[str]:
    """``["your project", "a 1.0", "b 2.0"]``: the shortest way through best candidates to a release."""
    came_from: dict[str, str] = {}
    queue = deque(root.name for root in roots)
    versions = {root.name: root.specifier for root in roots}
    while queue:
        name = queue.popleft()
        if name == goal.name:
            break
        if is_unknown(finder.source, name):
            continue
        candidate = finder.best(name, [versions[name]], frozenset())
        if candidate is None:
            continue
        for requirement in _safe_dependencies(candidate, reader):
            if requirement.name not in versions:
                versions[requirement.name] = requirement.specifier
                came_from[requirement.name] = f"{candidate.name} {candidate.version}"
                queue.append(requirement.name)
    way = [f"{goal.name} {goal.version}"]
    name = goal.name
    while name in came_from:
        way.append(came_from[name])
        name = came_from[name].split()[0]
    return ["your project", *reversed(way)]


def _safe_dependencies(candidate: Candidate, reader: DependencyReader) -> Iterable[Requirement]:
    from envforge.resolve.dependencies import UnusableCandidateError

    try:
        return reader.dependencies(candidate)
    except UnusableCandidateError:
        return ()


def _tried_fixes(
    clashing: Sequence[Requirement],
    roots: Sequence[Requirement],
    finder: CandidateFinder,
    reader: DependencyReader,
) -> Iterator[tuple[Requirement, Requirement]]:
    """Edits of one clashing requirement after which everything resolves."""
    for root in clashing:
        if not root.specifier:
            continue
        freed = replace(root, specifier="")
        edited = [freed if other == root else other for other in roots]
        if _search_failure(edited, finder, reader) is not None:
            continue
        solved = walk(edited, finder, reader) or search(edited, finder, reader)
        version = solved[root.name].version
        if not specifier_admits(root.specifier, version):
            yield root, replace(root, specifier=f"=={version}", marker="")


def _clash_error(clash: Clash, failure: NoSolutionError, finder: CandidateFinder) -> ResolutionError:
    names = [str(replace(root, marker="")) for root in clash.roots]
    context = [_sentence(chain) for chain in clash.chains]
    context += [
        f"{name} {version} cannot be used: {reason}"
        for (name, version), reason in islice(failure.unusable.items(), _MAX_VERSIONS_TO_NAME)
    ]
    for requirement, _parent in failure.causes:
        context += _why_nothing_fits(requirement, finder)
    hints = [
        f"{old.name} {new.specifier.removeprefix('==')} would fit:"
        f' change "{replace(old, marker="")}" to "{new}", or widen it to include that'
        for old, new in clash.fixes
    ]
    sdists = [name for name, version in failure.unusable if _is_built(name, version, finder)]
    if sdists:
        hints.append(
            f"{sdists[0]} has no wheel for {finder.target.label} in these versions:"
            " allow newer ones, or choose another Python (tool.envforge.python)"
        )
    if not hints:
        hints = [f"loosen or remove one of: {', '.join(names)}"]
    together = "cannot be met" if len(names) == 1 else "cannot be met together"
    return ResolutionError(
        f"{_listing(names)} {together} on {finder.target.label}", context=dict.fromkeys(context), hints=hints
    )


def _is_built(name: str, version: str, finder: CandidateFinder) -> bool:
    """Whether the target would have to build a release."""
    candidate = finder.best(name, [f"=={version}"], frozenset())
    return candidate is not None and not candidate.file.is_wheel


def _why_nothing_fits(requirement: Requirement, finder: CandidateFinder) -> list[str]:
    """Facts about a demanded package of which no release at all can be used."""
    if requirement.name.startswith("\0"):
        return []
    if is_unknown(finder.source, requirement.name):
        return [f"{requirement.name} is on no index"]
    if finder.best(requirement.name, [requirement.specifier], frozenset()) is not None:
        return []
    unfit = list(finder.unfit_versions(requirement.name, [requirement.specifier]))
    if not unfit:
        return [f"no version of {requirement.name} meets {requirement.specifier}"]
    return _unfit_facts(requirement.name, unfit, finder)


def _sentence(chain: Sequence[str]) -> str:
    """``your project needs a>=1`` or ``your project → a 1.0 → b 2.0 needs c<3``."""
    return f"{' → '.join(chain[:-1])} needs {chain[-1]}"


def _listing(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
