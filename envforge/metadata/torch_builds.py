"""Which torch a compiled package was built for, as far as versions and requirements tell.

Extensions of torch work with one minor release of it, one major version of CUDA and, on Linux, one ABI of
the C++ library. Their wheels say so in the local label of their version, for which there is no standard:
``flash_attn-2.8.3+cu12torch2.8cxx11abiTRUE``, ``torch_scatter-2.1.2+pt28cu128``,
``natten-0.21.0+torch280cu128``. Nothing in their metadata does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from envforge.model.requirement import Requirement
from envforge.struct import Struct

TORCH = "torch"
_TORCH = re.compile(r"(?<![a-z])(pt|torch)([0-9]+(?:\.[0-9]+)+|[0-9]{2,4}(?![0-9]))")
_CUDA = re.compile(r"(?<![a-z])cu([0-9]{2})([0-9]*)")
_CPU = re.compile(r"(?:^|[0-9.])cpu")
_ABI = re.compile(r"cxx11abi(true|false)")
_PINNED = re.compile(r"[=~]=([0-9]+)\.([0-9]+)")
_RUNTIME = re.compile(r"nvidia-cuda-runtime(?:-cu([0-9]+))?")
_FIRST_WITH_NEW_ABI = (2, 7)


class TorchBuild(Struct, frozen=True, kw_only=True):
    """A build of torch, or what an extension asks of one.

    Args:
        release: ``2.8``; ``""`` where nothing is said.
        cuda: ``(12,)`` or ``(12, 8)``, ``()`` for processors only, None where nothing is said.
        new_abi: whether it is compiled with the C++11 ABI, None where nothing is said.
    """

    release: str = ""
    cuda: tuple[int, ...] | None = None
    new_abi: bool | None = None

    @property
    def cuda_label(self) -> str:
        """``cu128``, ``cpu`` without CUDA, ``""`` where nothing is known."""
        if self.cuda is None:
            return ""
        return "cu" + "".join(map(str, self.cuda)) if self.cuda else "cpu"


def build_asked_for(version: str) -> TorchBuild:
    """The build of torch that an extension of some version is for.

    Args:
        version: canonical.
    """
    local = version.partition("+")[2]
    torch, abi = _TORCH.search(local), _ABI.search(local)
    return TorchBuild(
        release=_release(torch[1], torch[2]) if torch else "",
        cuda=_labelled_cuda(local),
        new_abi=abi[1] == "true" if abi else None,
    )


def build_of_torch(version: str, requires: Iterable[Requirement], platform: str) -> TorchBuild:
    """Which build a release of torch is.

    Args:
        version: canonical.
        requires: what it requires on the target: the CUDA of a release without a label stands there.
        platform: conda subdir.
    """
    release = ".".join(version.partition("+")[0].split(".")[:2])
    cuda = _labelled_cuda(version.partition("+")[2])
    if cuda is None:
        cuda = _required_cuda(requires)
    return TorchBuild(release=release, cuda=cuda, new_abi=_new_abi(release, cuda, platform))


def mismatch(asked: TorchBuild, torch: TorchBuild) -> str:
    """Why an extension does not go with a build of torch of its release, ``""`` if it does."""
    if asked.cuda is not None and torch.cuda is not None and asked.cuda[:1] != torch.cuda[:1]:
        return f"is built for {_told(asked.cuda)}, and torch here for {_told(torch.cuda)}"
    if asked.new_abi is not None and torch.new_abi is not None and asked.new_abi != torch.new_abi:
        return "is built with another C++ ABI than torch here"
    return ""


def _release(prefix: str, digits: str) -> str:
    """``2.8`` of what is written 2.8, 2.8.0, 28 or, after ``torch``, 280."""
    if "." in digits:
        return ".".join(digits.split(".")[:2])
    if prefix == "torch" and len(digits) > 2:
        digits = digits[:-1]
    return f"{digits[0]}.{digits[1:]}"


def _labelled_cuda(local: str) -> tuple[int, ...] | None:
    found = _CUDA.search(local)
    if found:
        return (int(found[1]), int(found[2])) if found[2] else (int(found[1]),)
    return () if _CPU.search(local) else None


def _required_cuda(requires: Iterable[Requirement]) -> tuple[int, ...]:
    """The CUDA whose runtime is required; that in the name where no version is."""
    for requirement in requires:
        runtime = _RUNTIME.fullmatch(requirement.name)
        if runtime is None and requirement.name != "cuda-toolkit":
            continue
        pinned = _PINNED.search(requirement.specifier)
        if pinned:
            return int(pinned[1]), int(pinned[2])
        if runtime and runtime[1]:
            return (int(runtime[1]),)
    return ()


def _new_abi(release: str, cuda: tuple[int, ...], platform: str) -> bool | None:
    """As PyTorch's release notes have it; known for Linux on x86 only.

    2.7 is the first release whose wheels all have it, of 2.6 those for CUDA 12.6 do.
    """
    if platform != "linux-64":
        return None
    numbers = tuple(map(int, re.findall(r"[0-9]+", release)))
    return numbers >= _FIRST_WITH_NEW_ABI or (numbers == (2, 6) and cuda == (12, 6))


def _told(cuda: tuple[int, ...]) -> str:
    return f"CUDA {'.'.join(map(str, cuda))}" if cuda else "processors"
