"""From a reading of a machine to facts: pure, so that recorded machines can be its tests.

Sources: NVML's and CUDA's return codes, the kernel's ``gfx_target_version`` (major × 10000 + minor × 100 +
step), CEP 30 for the variables ``CONDA_OVERRIDE_…``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from envforge.errors import HostError
from envforge.host.machine import MachineReading
from envforge.model.accelerators import AppleChip, Gpu, HostFacts, NvidiaDriver, Rocm, Version

OVERRIDES = ("CONDA_OVERRIDE_ARCHSPEC", "CONDA_OVERRIDE_CUDA", "CONDA_OVERRIDE_GLIBC", "CONDA_OVERRIDE_OSX")

_KERNEL_MODULE = r"NVRM version:.*?\s(\d+(?:\.\d+)+)\s"
_VERSION = re.compile(r"(\d+)(?:\.(\d+))?(?:[.\-+].*)?")

_START_CONTAINER = "start the container with its GPUs: docker run --gpus all, apptainer --nv"
_NOT_IN_CONTAINER = ("the machine has it, this container does not", _START_CONTAINER)
_NO_DEVICES = ("its library is here, its devices (/dev/nvidia*) are not", _START_CONTAINER)
_UPDATED = "reboot, or load the kernel module nvidia again: the driver was updated while it ran"
_NO_LIBCUDA = (
    "install the driver's compute part (libcuda1, libnvidia-compute, or nvidia-driver-cuda-libs); "
    "in a container: NVIDIA_DRIVER_CAPABILITIES=compute,utility"
)
_NVML_FAULTS = {
    4: ("this user may not use the GPUs", "ask the administrator for access to /dev/nvidia*"),
    9: ("its library is here, but its kernel module is not loaded", "load it (modprobe nvidia), or reboot"),
    12: ("its library misses a part of itself", "install the driver again"),
    15: ("a GPU is lost: it has fallen off the bus", "reboot"),
    16: ("a GPU has to be reset", "ask the administrator to reset it (nvidia-smi --gpu-reset)"),
    17: (
        "the operating system keeps its devices from this process",
        "ask for a GPU in this job or container",
    ),
    18: ("its library and its kernel module are of two versions", _UPDATED),
}
_CUDA_FAULTS = {
    34: ("the libcuda that is found first is a stub for compiling", "take its folder out of LD_LIBRARY_PATH"),
    100: ("the driver sees no GPU", "ask for a GPU in this job or container"),
    802: ("the GPUs are not ready: NVIDIA's fabric manager does not run", "start nvidia-fabricmanager"),
    803: ("its library and its kernel module are of two versions", _UPDATED),
    804: ("CUDA's forward compatibility is not supported on this GPU", "take cuda-compat out of the way"),
    999: ("the driver is in an unknown state", "reboot, or load the kernel module nvidia_uvm again"),
}

_NO_GPU_HERE = (_NOT_IN_CONTAINER, _NO_DEVICES, _NVML_FAULTS[9], _NVML_FAULTS[17], _CUDA_FAULTS[100])
"""What is no fault of the driver: a container, a job or a login node without a GPU."""


def recognize(reading: MachineReading, environ: Mapping[str, str]) -> HostFacts:
    """What a machine has.

    Args:
        reading: of the machine.
        environ: the variables ``CONDA_OVERRIDE_…`` win; empty ones say that it has none.

    Raises:
        HostError: such a variable holds what is no version.
    """
    return HostFacts(
        platform=reading.platform,
        glibc=_overridden("CONDA_OVERRIDE_GLIBC", reading.glibc, environ),
        macos=_overridden("CONDA_OVERRIDE_OSX", parse_version(reading.macos), environ),
        nvidia=_nvidia(reading, environ),
        rocm=_rocm(reading),
        apple=_apple(reading),
        archspec=reading.archspec,
        is_wsl="microsoft" in reading.kernel.lower(),
        container=reading.containers[0] if reading.containers else "",
        emulated=_emulated(reading),
        overridden=tuple(name for name in OVERRIDES if name in environ),
    )


def parse_version(text: str) -> Version | None:
    """``12.8`` and ``12.8.1-83`` are (12, 8), ``14`` is (14, 0); None for what is no version."""
    found = _VERSION.fullmatch(text.strip())
    return (int(found[1]), int(found[2] or 0)) if found else None


def _overridden(name: str, own: Version | None, environ: Mapping[str, str]) -> Version | None:
    text = environ.get(name)
    if text is None:
        return own
    if not text.strip():
        return None
    version = parse_version(text)
    if version is None:
        raise HostError(
            f"{name} holds what is no version: {text!r}",
            hints=["write a version such as 12.8, or nothing for a host without it"],
        )
    return version


def _nvidia(reading: MachineReading, environ: Mapping[str, str]) -> NvidiaDriver | None:
    if "CONDA_OVERRIDE_CUDA" in environ:
        cuda = _overridden("CONDA_OVERRIDE_CUDA", None, environ)
        return NvidiaDriver(cuda=cuda, told_by="CONDA_OVERRIDE_CUDA") if cuda is not None else None
    if not reading.has_driver_signs:
        return None
    answer = reading.driver or {}
    nvml, libcuda = _part(answer, "nvml"), _part(answer, "libcuda")
    if reading.nvidia_devices == ("dxg",) and "missing" in nvml and "missing" in libcuda:
        return None  # WSL has it for every GPU
    if nvml.get("init") == 0:
        return _told_by_nvml(nvml, libcuda)
    if libcuda.get("init") == 0 and libcuda.get("devices"):
        gpus = _gpus(libcuda)
        module = _kernel_module(reading)
        return NvidiaDriver(version=module, cuda=_cuda(libcuda), gpus=gpus, told_by="libcuda")
    fault, remedy = _fault(reading, answer, nvml, libcuda)
    return NvidiaDriver(
        version=_kernel_module(reading),
        fault=fault,
        remedy=remedy,
        is_broken=(fault, remedy) not in _NO_GPU_HERE,
        told_by="nvml",
    )


def _told_by_nvml(nvml: Mapping[str, Any], libcuda: Mapping[str, Any]) -> NvidiaDriver:
    gpus = _gpus(nvml)
    own, loaded = _cuda(nvml), _cuda(libcuda)
    # Programs use the libcuda that the loader finds, which cuda-compat may have put before the driver's own.
    cuda = loaded or own
    version = str(nvml.get("driver", ""))
    compat = own is not None and loaded is not None and loaded > own
    fault, remedy = "", ""
    if not gpus:
        fault, remedy = _CUDA_FAULTS[100]
    elif loaded is None:
        missing = libcuda.get("missing")
        fault = f"libcuda cannot be loaded: {missing}" if missing else "libcuda does not tell its version"
        remedy = _NO_LIBCUDA
    return NvidiaDriver(
        version=version,
        cuda=None if fault else cuda,
        gpus=gpus,
        fault=fault,
        remedy=remedy,
        is_broken=bool(fault) and (fault, remedy) not in _NO_GPU_HERE,
        told_by="nvml",
        compat=compat,
    )


def _fault(
    reading: MachineReading,
    answer: Mapping[str, Any],
    nvml: Mapping[str, Any],
    libcuda: Mapping[str, Any],
) -> tuple[str, str]:
    """Why a driver of which there are signs cannot be used, and what to do."""
    if "fault" in answer:
        return str(answer["fault"]), "see whether nvidia-smi answers; a driver that hangs needs a reboot"
    if reading.containers and reading.nvidia_version and "missing" in nvml and "missing" in libcuda:
        return _NOT_IN_CONTAINER
    if not reading.nvidia_devices and not reading.platform.startswith("win"):  # there it has no such files
        if reading.containers:
            return _NO_DEVICES
        if not reading.nvidia_version:
            return _NVML_FAULTS[9]
    if "missing" in nvml and "missing" in libcuda:
        why = f"its libraries cannot be loaded: {libcuda['missing']}"
        return why, "install the driver's libraries, of the same version as the kernel module"
    for said, faults in ((nvml, _NVML_FAULTS), (libcuda, _CUDA_FAULTS)):
        if said.get("init") in faults:
            return faults[said["init"]]
    code = nvml.get("init", libcuda.get("init", "?"))
    return f"it does not start (code {code})", "see what nvidia-smi says; often a reboot helps"


def _part(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = answer.get(name)
    return part if isinstance(part, dict) else {}


def _cuda(said: Mapping[str, Any]) -> Version | None:
    """12080 is (12, 8)."""
    number = said.get("cuda")
    return (number // 1000, number % 1000 // 10) if isinstance(number, int) and number >= 1000 else None


def _gpus(said: Mapping[str, Any]) -> tuple[Gpu, ...]:
    devices = said.get("devices")
    told = [device for device in devices if device.get("code") == 0] if isinstance(devices, list) else []
    return tuple(_gpu(device) for device in told)


def _gpu(device: Mapping[str, Any]) -> Gpu:
    capability, memory = device.get("capability"), device.get("memory")
    slices = [re.search(r"MIG \S+$", str(name)) for name in device.get("slices", ())]
    return Gpu(
        name=str(device.get("name") or "GPU"),
        capability=(int(capability[0]), int(capability[1])) if capability else None,
        memory_bytes=int(memory) if memory else None,
        is_mig=device.get("mig") == 1,
        mig_slices=tuple(found[0] if found else "MIG" for found in slices),
    )


def _kernel_module(reading: MachineReading) -> str:
    found = re.search(_KERNEL_MODULE, reading.nvidia_version)
    return found[1] if found else ""


def _rocm(reading: MachineReading) -> Rocm | None:
    architectures = tuple(dict.fromkeys(gfx_name(target) for target in reading.kfd_targets if target))
    version = parse_version(reading.rocm_version)
    return Rocm(version=version, architectures=architectures) if architectures or version else None


def gfx_name(target: int) -> str:
    """90010 is ``gfx90a``, 110000 is ``gfx1100``."""
    major, minor, step = target // 10000, target // 100 % 100, target % 100
    return f"gfx{major}{minor:x}{step:x}"


def _apple(reading: MachineReading) -> AppleChip | None:
    if not reading.platform.startswith("osx"):
        return None
    name = "Apple processor, translated" if reading.translated else reading.cpu.strip() or "unknown"
    return AppleChip(name=name, has_metal=reading.platform == "osx-arm64")


def _emulated(reading: MachineReading) -> str:
    """Programs for x86-64 on an ARM machine, and the other way round, as far as the kernel gives it away."""
    if reading.translated:
        return "Rosetta"
    if reading.platform == "linux-64" and "VirtualApple" in reading.cpu:
        return "Rosetta for Linux"
    if reading.platform == "linux-64" and "CPU implementer" in reading.cpu:
        return "QEMU"
    if reading.platform == "linux-aarch64" and re.search(r"GenuineIntel|AuthenticAMD", reading.cpu):
        return "QEMU"
    if reading.platform == "win-64" and reading.cpu.startswith("ARM"):
        return "Windows' emulation of x64"
    return ""
