"""Why there is no resolution: which requirements clash, through which chain, and what would help.

The search says only where it stuck last. From there the clash is narrowed to a smallest set of the
user's own requirements and conda dependencies that cannot be met together (deletion-based minimal
unsatisfiable subset), each is followed to the package they disagree on, and edits are tried before they
are proposed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from envforge.errors import EnvforgeError, ResolutionError
from envforge.model.requirement import Requirement, specifier_admits
from envforge.resolve.candidates import Candidate, CandidateFinder
from envforge.resolve.dependencies import DependencyReader, UnusableCandidateError, is_unknown
from envforge.resolve.explain_conda import CondaClash, find_conda_clash
from envforge.resolve.minimize import smallest_failing
from envforge.resolve.problem import NoSolutionError, Problem
from envforge.resolve.unfit import no_release_fits, unknown_project, why_nothing_fits
from envforge.struct import Struct, replace

_MAX_ITEMS_TO_MINIMIZE = 60
_MAX_VERSIONS_TO_NAME = 3


class Clash(Struct, frozen=True):
    """The smallest part of the problem that has no solution.

    Args:
        roots: the user's requirements that cannot be met together.
        chains: for each demand on the disputed package, the way from a root to it: texts in order.
        fixes: edits that were tried and resolve, as (old requirement, new requirement).
        conda: what conda has to do with it, None where nothing.
    """

    roots: Sequence[Requirement]
    chains: Sequence[Sequence[str]]
    fixes: Sequence[tuple[Requirement, Requirement]]
    conda: CondaClash | None = None


def explain_failure(failure: NoSolutionError, problem: Problem) -> EnvforgeError:
    """The error to raise for a failed search, ready for the user."""
    finder = problem.finder
    only_on_pypi = [root for root in problem.roots if not _is_on_conda(root.name, problem)]
    for root in only_on_pypi:
        if is_unknown(finder.source, root.name):
            return _of_variant(unknown_project(root, finder), root, problem)
    for root in only_on_pypi:
        if finder.best(root.name, [root.specifier], frozenset()) is None:
            error = _of_variant(no_release_fits(root, finder), root, problem)
            return _told_where(error, [root.name], problem)
    smallest = _minimize(problem)
    final = smallest.find_failure() or failure
    conda = find_conda_clash(final, smallest, problem)
    causes = conda.causes if conda else _causes(final)
    clash = Clash(
        roots=smallest.roots,
        chains=list(_chains(causes, smallest)),
        fixes=list(_tried_fixes(smallest.roots, problem)),
        conda=conda,
    )
    disputed = [requirement.name for requirement, _ in causes]
    return _told_where(_clash_error(clash, final, problem), disputed, problem)


def _of_variant(error: EnvforgeError, root: Requirement, problem: Problem) -> EnvforgeError:
    """The error about one of the user's requirements, which the variant asks for, or a rule has changed."""
    place = problem.rules.place_of(root)
    if root not in problem.origins.requirements and not place:
        return error
    fact = f"{root} stands in {place}" if place else f"{problem.who_asks(root)} requires it"
    return error.with_context([fact, *error.context])


def _told_where(error: EnvforgeError, names: Sequence[str], problem: Problem) -> EnvforgeError:
    """The error, with the places that these projects come from, where the user has decided that."""
    direct = list(_direct_facts(names, problem))
    if direct:
        error = error.with_context([*error.context, *direct])
    facts = problem.origins.facts_about(names)
    if not facts:
        return error
    without = f"or do without the variant: remove [tool.envforge.variants.{problem.origins.variant}]"
    return error.with_context([*error.context, *facts]).with_hint(without)


def _direct_facts(names: Sequence[str], problem: Problem) -> Iterator[str]:
    """Of which projects there is one release only, because they come from one folder or archive."""
    source = problem.finder.source
    for name in sorted({name for name in names if not is_unknown(source, name)}):
        page = source.page(name)
        origin = page.files(page.versions[0])[0].origin if len(page.versions) == 1 else None
        if origin is not None:
            yield f"{name} {page.versions[0]} comes from {origin}: there is no other"


def _is_on_conda(name: str, problem: Problem) -> bool:
    return problem.layer is not None and problem.layer.may_bring(name)


def _minimize(problem: Problem) -> Problem:
    """A smallest part of the user's wishes that has no solution: drop what is not needed for the failure."""
    specs = problem.layer.part.specs if problem.layer else ()
    if len(problem.roots) + len(specs) > _MAX_ITEMS_TO_MINIMIZE:
        return problem
    roots = smallest_failing(problem.roots, lambda part: bool(part) and _fails(problem.with_roots(part)))
    kept = problem.with_roots(roots)
    needed = smallest_failing(specs, lambda part: _fails(kept.with_specs(part)))
    return kept.with_specs(needed) if len(needed) < len(specs) else kept


def _fails(problem: Problem) -> bool:
    return problem.find_failure() is not None


def _causes(failure: NoSolutionError) -> list[tuple[Requirement, Candidate | None]]:
    """The requirements that met in the last conflict, with who has them."""
    return [
        (demand, choice)
        for demand, choice in failure.causes
        if isinstance(demand, Requirement)
        and not demand.name.startswith("\0")
        and (choice is None or isinstance(choice, Candidate))
    ]


def _chains(causes: Iterable[tuple[Requirement, Candidate | None]], problem: Problem) -> Iterator[list[str]]:
    """For each demand in the last conflict, the shortest way from a root to it."""
    seen: set[tuple[str, ...]] = set()
    for requirement, parent in causes:
        chain = [*_way_to_demand(requirement, parent, problem), _told(requirement, problem)]
        if tuple(chain) not in seen:
            seen.add(tuple(chain))
            yield chain


def _way_to_demand(requirement: Requirement, parent: Candidate | None, problem: Problem) -> list[str]:
    """From whom a demand is. A constraint is the user's, whoever needs the package."""
    if parent is None or problem.rules.is_constraint(requirement):
        return [problem.who_asks(requirement)]
    return _way_to(parent, problem)


def _told(requirement: Requirement, problem: Problem) -> str:
    place = problem.rules.place_of(requirement)
    is_override = place and not problem.rules.is_constraint(requirement)
    return f"{requirement} ({place})" if is_override else str(requirement)


def _way_to(goal: Candidate, problem: Problem) -> list[str]:
    """``["your project", "a 1.0", "b 2.0"]``: the shortest way through best candidates to a release."""
    finder = problem.finder
    came_from: dict[str, str] = {}
    queue = deque(root.name for root in problem.roots)
    versions = {root.name: root.specifier for root in problem.roots}
    while queue:
        name = queue.popleft()
        if name == goal.name:
            break
        if is_unknown(finder.source, name):
            continue
        candidate = finder.best(name, [versions[name]], frozenset())
        if candidate is None:
            continue
        for requirement in _safe_dependencies(candidate, problem.reader):
            if requirement.name not in versions:
                versions[requirement.name] = requirement.specifier
                came_from[requirement.name] = f"{candidate.name} {candidate.version}"
                queue.append(requirement.name)
    way = [f"{goal.name} {goal.version}"]
    name = goal.name
    while name in came_from:
        way.append(came_from[name])
        name = came_from[name].split()[0]
    root = next((root for root in problem.roots if root.name == name), None)
    return [problem.who_asks(root) if root else "your project", *reversed(way)]


def _safe_dependencies(candidate: Candidate, reader: DependencyReader) -> Iterable[Requirement]:
    try:
        return reader.dependencies(candidate)
    except UnusableCandidateError:
        return ()


def _tried_fixes(
    clashing: Sequence[Requirement], problem: Problem
) -> Iterator[tuple[Requirement, Requirement]]:
    """Edits of one clashing requirement after which everything resolves."""
    for root in clashing:
        if not root.specifier or not _is_written_here(root, problem):
            continue
        freed = replace(root, specifier="")
        edited = problem.with_roots([freed if other == root else other for other in problem.roots])
        try:
            version = edited.pinned_version(root.name)
        except NoSolutionError:
            continue
        if not specifier_admits(root.specifier, version):
            yield root, replace(root, specifier=f"=={version}", marker="")


def _is_written_here(root: Requirement, problem: Problem) -> bool:
    """Whether the user can edit it: not so what a build requires, and what is locked for it."""
    place = problem.rules.place_of(root)
    return place.startswith("tool.") if place else problem.origins.is_user


def _clash_error(clash: Clash, failure: NoSolutionError, problem: Problem) -> ResolutionError:
    finder = problem.finder
    names = [_name_of_root(root, problem) for root in clash.roots]
    context = [_sentence(chain) for chain in clash.chains]
    context += _unusable_facts(failure)
    left_out: list[str] = []
    for requirement, _parent in _causes(failure) if clash.conda is None else ():
        facts, edits = why_nothing_fits(requirement, finder)
        context += facts
        left_out += edits
    hints = [
        f"{old.name} {new.specifier.removeprefix('==')} would fit:"
        f' change "{replace(old, marker="")}" to "{new}", or widen it to include that'
        for old, new in clash.fixes
    ]
    hints += dict.fromkeys(left_out)
    if clash.conda is not None:
        names += [f"{spec} (conda)" for spec in clash.conda.specs]
        context += [
            f"{requirement.name} is on no index"
            for requirement, _ in clash.conda.causes
            if is_unknown(finder.source, requirement.name)
        ]
        context += clash.conda.facts
        hints += clash.conda.hints
    builds = {name: error.build for (name, _), error in failure.unusable.items() if error.build}
    for name, build in builds.items():
        other = f"allow other versions of {name}, or choose another Python (tool.envforge.python)"
        hints += [*build.hints, f"{other}: what does not build often has a wheel there"]
    sdists = [
        name for name, version in failure.unusable if name not in builds and _is_built(name, version, finder)
    ]
    if sdists:
        hints.append(
            f"{sdists[0]} has no wheel for {finder.target.label} in these versions:"
            " allow newer ones, or choose another Python (tool.envforge.python)"
        )
    if not hints:
        hints = [f"loosen or remove one of: {', '.join(names)}"]
    together = "cannot be met" if len(names) == 1 else "cannot be met together"
    return ResolutionError(
        f"{_listing(names)} {together} on {finder.target.label}",
        context=[line for fact in dict.fromkeys(context) for line in fact.split("\n")],
        hints=hints,
    )


def _unusable_facts(failure: NoSolutionError) -> Iterator[str]:
    """Which releases were ruled out, and of one that does not build, in further lines, what was said."""
    for (name, version), error in islice(failure.unusable.items(), _MAX_VERSIONS_TO_NAME):
        fact = f"{name} {version} cannot be used: {error}"
        said = error.build.context if error.build else ()
        yield "\n".join([fact, *(f"  {line}" for line in said)])


def _name_of_root(root: Requirement, problem: Problem) -> str:
    text, origins = str(replace(root, marker="")), problem.origins
    if place := problem.rules.place_of(root):
        return f"{text} ({place.rpartition('.')[2]})"
    return f"{text} (variant {origins.variant})" if root in origins.requirements else text


def _is_built(name: str, version: str, finder: CandidateFinder) -> bool:
    """Whether the target would have to build a release."""
    candidate = finder.best(name, [f"=={version}"], frozenset())
    return candidate is not None and candidate.is_built


def _sentence(chain: Sequence[str]) -> str:
    """``your project needs a>=1`` or ``your project → a 1.0 → b 2.0 needs c<3``."""
    if chain[0].startswith(("tool.", "the lock")):
        return f"{chain[0]} admits only {chain[-1]}"
    return f"{' → '.join(chain[:-1])} needs {chain[-1]}"


def _listing(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
