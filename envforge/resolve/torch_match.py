"""What wheels compiled against torch ask of it: the label of their version tells, not their metadata.

A project's versions with different labels are different candidates. Those that do not go with the torch
that the target would take are refused with a reason; the others require its release like anything else.
"""

from __future__ import annotations

from contextlib import suppress

from envforge.errors import BuildError, MetadataError, UnknownPackageError
from envforge.metadata.torch_builds import TORCH, TorchBuild, build_asked_for, build_of_torch, mismatch
from envforge.model.markers import holding_requirements
from envforge.model.requirement import Requirement
from envforge.resolve.candidates import Candidate, CandidateFinder
from envforge.struct import Struct


class TorchDemand(Struct, frozen=True):
    """What a candidate asks of torch.

    Args:
        requirement: its release.
        fault: why it cannot go with the build of that release that the target takes, ``""`` if it can.
    """

    requirement: Requirement
    fault: str


def find_torch_demand(candidate: Candidate, finder: CandidateFinder) -> TorchDemand | None:
    """What a candidate from an index asks of torch by its label, None for nothing.

    Args:
        candidate: a wheel.
        finder: of the target's candidates.
    """
    asked = build_asked_for(candidate.version)
    if not asked.release or candidate.name == TORCH:
        return None
    specifier = f"=={asked.release}.*"
    torch = _find_torch(specifier, finder)
    fault = "" if torch is None else mismatch(asked, torch)
    if torch is not None and not fault and _is_outdone(asked, torch, candidate, finder):
        fault = f"there is a build of it for exactly torch's CUDA, {torch.cuda_label}"
    return TorchDemand(Requirement(TORCH, specifier=specifier), fault)


def _find_torch(specifier: str, finder: CandidateFinder) -> TorchBuild | None:
    """The build of torch that the target would take, None where there is none to be found."""
    with suppress(UnknownPackageError, MetadataError, BuildError):
        best = finder.best(TORCH, [specifier], frozenset())
        if best is not None and best.file is not None:
            metadata = finder.rules.metadata(finder.source, TORCH, best.version, best.file)
            requires = holding_requirements(metadata.requires, finder.target, ())
            return build_of_torch(best.version, requires, finder.target.platform)
    return None


def _is_outdone(asked: TorchBuild, torch: TorchBuild, candidate: Candidate, finder: CandidateFinder) -> bool:
    """Whether the same release is there for torch's very CUDA, which another minor version is not."""
    if not asked.cuda or len(asked.cuda) < 2 or asked.cuda == torch.cuda:
        return False
    public = candidate.version.partition("+")[0]
    siblings = [
        version
        for version in finder.source.page(candidate.name).versions
        if version.startswith(f"{public}+")
        and (build := build_asked_for(version)).release == asked.release
        and build.cuda == torch.cuda
        and not mismatch(build, torch)
    ]
    return any(finder.best(candidate.name, [f"=={version}"], frozenset()) for version in siblings)
