"""Which variant a host gets: the first whose condition holds. Pure: the host's facts are arguments.

Where none holds, the error says what the host has and what each one needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from envforge.errors import HostError
from envforge.model.accelerators import HostFacts, Version
from envforge.model.variant import Condition
from envforge.model.version_range import range_admits
from envforge.struct import Struct


class Conditional(Protocol):
    """A variant, as far as choosing goes."""

    @property
    def name(self) -> str: ...

    @property
    def condition(self) -> Condition: ...


class VariantChoice(Struct, frozen=True, kw_only=True):
    """The variant that a host gets.

    Args:
        name: of the variant.
        reason: why, for people: ``cuda >=12.8 holds: CUDA 13.0``.
        passed_over: the variants before it, with what the host has not; a sentence each.
    """

    name: str
    reason: str
    passed_over: tuple[str, ...] = ()


def choose_variant(variants: Sequence[Conditional], host: HostFacts) -> VariantChoice:
    """The first variant whose condition a host meets.

    Args:
        variants: at least one, in the order of the manifest.
        host: what it has.

    Raises:
        HostError: it meets none.
    """
    passed_over: list[str] = []
    for variant in variants:
        unmet = list(unmet_conditions(variant.condition, host))
        if not unmet:
            reason = _reason(variant.condition, host)
            return VariantChoice(name=variant.name, reason=reason, passed_over=tuple(passed_over))
        passed_over.append(f"{variant.name} needs {variant.condition}: {', '.join(dict.fromkeys(unmet))}")
    raise HostError(
        f"no variant of the project is for this host, {host.platform}",
        context=[f"this host: {describe_host(host)}", *passed_over],
        hints=[
            f"to use one all the same: --variant {variants[0].name}, or ENVFORGE_VARIANT={variants[0].name}",
            "to serve every host: add a variant without `when` at the end of [tool.envforge.variants]",
        ],
    )


def unmet_conditions(condition: Condition, host: HostFacts) -> Iterator[str]:
    """What a condition asks for and a host has not, a few words each; nothing where it holds."""
    if condition.platforms and host.platform not in condition.platforms:
        yield f"this is {host.platform}"
    if condition.cuda and not _is_in(condition.cuda, host.cuda):
        yield _cuda(host)
    if condition.cuda_arch:
        capabilities = host.cuda_architectures
        refused = [each for each in capabilities if not range_admits(condition.cuda_arch, each)]
        if not capabilities:
            yield "no compute capability of a GPU is known" if host.cuda else _cuda(host)
        elif refused:
            yield f"a GPU has compute capability {_dotted(refused[0])}"
    if condition.rocm and not _is_in(condition.rocm, host.rocm_version):
        yield _told("ROCm", host.rocm_version)
    if condition.glibc and not _is_in(condition.glibc, host.glibc):
        yield _told("glibc", host.glibc)
    if condition.macos and not _is_in(condition.macos, host.macos):
        yield _told("macOS", host.macos)
    if condition.archspec and condition.archspec not in host.archspec:
        yield f"the processor is {host.archspec[0]}" if host.archspec else "the processor is not known"


def describe_host(host: HostFacts) -> str:
    """``linux-64, no NVIDIA driver, glibc 2.36, processor zen3``."""
    parts = [host.platform, _cuda(host)]
    if host.cuda_architectures:
        parts.append(f"compute capability {', '.join(map(_dotted, host.cuda_architectures))}")
    for name, version in (("ROCm", host.rocm_version), ("glibc", host.glibc), ("macOS", host.macos)):
        if version is not None:
            parts.append(_told(name, version))
    if host.archspec:
        parts.append(f"processor {host.archspec[0]}")
    if host.overridden:
        parts.append(f"as {', '.join(host.overridden)} say")
    return ", ".join(parts)


def _reason(condition: Condition, host: HostFacts) -> str:
    """What of the host made the condition hold."""
    facts = [
        fact
        for asked, fact in (
            (condition.cuda or condition.cuda_arch, _cuda(host)),
            (condition.cuda_arch, f"compute capability {', '.join(map(_dotted, host.cuda_architectures))}"),
            (condition.rocm, _told("ROCm", host.rocm_version)),
            (condition.glibc, _told("glibc", host.glibc)),
            (condition.macos, _told("macOS", host.macos)),
            (condition.archspec, f"processor {host.archspec[0] if host.archspec else ''}"),
        )
        if asked
    ]
    parts = [f"is {host.platform}"] if condition.platforms else []
    parts += [f"has {', '.join(facts)}"] if facts else []
    return f"this host {' and '.join(parts)}" if parts else "no other variant is for this host"


def _is_in(wanted: str, version: Version | None) -> bool:
    return version is not None and range_admits(wanted, version)


def _cuda(host: HostFacts) -> str:
    if host.cuda is not None:
        return f"CUDA {_dotted(host.cuda)}"
    if host.nvidia is None:
        return "no NVIDIA driver"
    return f"an NVIDIA driver that cannot be used ({host.nvidia.fault or 'it runs no CUDA'})"


def _told(name: str, version: Version | None) -> str:
    return f"no {name}" if version is None else f"{name} {_dotted(version)}"


def _dotted(version: Version) -> str:
    return "{}.{}".format(*version)
