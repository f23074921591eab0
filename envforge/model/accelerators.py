"""What a host has that a variant may ask for: accelerators, C library, processor, system, as values.

:mod:`envforge.host.accelerators` finds them; choosing a variant, and the preflight of a sync, are pure
questions on them. Versions are (major, minor). Nothing here knows what a package needs.
"""

from __future__ import annotations

from envforge.struct import Struct

Version = tuple[int, int]

ARCHITECTURES_VARIABLE = "TORCH_CUDA_ARCH_LIST"
"""Says for which GPUs PyTorch's extension builder compiles."""


class Gpu(Struct, frozen=True, kw_only=True):
    """One device of an NVIDIA driver.

    Args:
        name: ``NVIDIA H100 80GB HBM3``.
        capability: compute capability, (9, 0); None where the driver does not tell.
        memory_bytes: its own memory, None where the driver does not tell (memory shared with the processor).
        mig_slices: names of the parts that it is divided into (``MIG 1g.10gb``), empty where it is whole.
        is_mig: it is in MIG mode; without slices no program can use it.
    """

    name: str
    capability: Version | None = None
    memory_bytes: int | None = None
    mig_slices: tuple[str, ...] = ()
    is_mig: bool = False


class NvidiaDriver(Struct, frozen=True, kw_only=True):
    """An NVIDIA driver, as it answered; one that does not work is there, too.

    Args:
        version: ``570.124.06``, "" where it is not told (overridden, an embedded system).
        cuda: the newest CUDA that it runs, (12, 8); None where it cannot be used.
        gpus: in the driver's order; empty on a host whose driver sees none.
        fault: why it cannot be used, a sentence without full stop; "" for one that works.
        remedy: what to do about it, an imperative; "" for nothing known.
        is_broken: the fault is one; False where this process just has no GPU (a container, a job without).
        told_by: ``nvml``, ``libcuda``, or the variable that overrides them.
        compat: forward compatibility: the libcuda that programs load is newer than the driver.
    """

    version: str = ""
    cuda: Version | None = None
    gpus: tuple[Gpu, ...] = ()
    fault: str = ""
    remedy: str = ""
    is_broken: bool = False
    told_by: str = ""
    compat: bool = False

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers to compare, () for none: ``570.124.06`` is (570, 124, 6)."""
        parts = self.version.split(".")
        return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


class Rocm(Struct, frozen=True, kw_only=True):
    """AMD's stack.

    Args:
        version: of ROCm as installed, (6, 4); None where only the kernel's driver is there.
        architectures: of the GPUs, ``gfx90a``, in the kernel's order, each once; empty for no GPU.
    """

    version: Version | None = None
    architectures: tuple[str, ...] = ()


class AppleChip(Struct, frozen=True, kw_only=True):
    """A Mac's processor: ``Apple M2``, ``Intel(R) Core(TM) i7``; Metal serves the former to torch."""

    name: str
    has_metal: bool


class HostFacts(Struct, frozen=True, kw_only=True):
    """All that a variant's ``when`` can ask of a host.

    Args:
        platform: conda subdir, ``linux-64``.
        glibc: of Linux, None elsewhere.
        macos: version of macOS, None elsewhere.
        nvidia: None for no driver at all.
        rocm: None for none.
        apple: None for no Mac.
        archspec: the processor's name, then those of the older ones that it can stand for
            (``zen3``, ``zen2``, ``x86_64_v3`` …); empty where it is not known.
        is_wsl: Linux on Windows: the driver is Windows', its library in ``/usr/lib/wsl/lib``.
        container: ``docker``, ``podman``, ``apptainer``, ``kubernetes``, ``container`` …, "" for none known.
        emulated: a program for another processor is what runs this: ``Rosetta``; "" for no.
        overridden: names of the variables that say something else than the machine, sorted.
    """

    platform: str
    glibc: Version | None = None
    macos: Version | None = None
    nvidia: NvidiaDriver | None = None
    rocm: Rocm | None = None
    apple: AppleChip | None = None
    archspec: tuple[str, ...] = ()
    is_wsl: bool = False
    container: str = ""
    emulated: str = ""
    overridden: tuple[str, ...] = ()

    @property
    def cuda(self) -> Version | None:
        """The newest CUDA that programs here can use, None for none: no driver, or one that does not work."""
        return self.nvidia.cuda if self.nvidia is not None else None

    @property
    def cuda_architectures(self) -> tuple[Version, ...]:
        """Compute capabilities of the GPUs, each once, oldest first; empty where none is known."""
        gpus = self.nvidia.gpus if self.nvidia is not None else ()
        return tuple(sorted({gpu.capability for gpu in gpus if gpu.capability is not None}))

    @property
    def rocm_version(self) -> Version | None:
        """Of ROCm, None for none or where no AMD GPU is there."""
        return self.rocm.version if self.rocm is not None and self.rocm.architectures else None
