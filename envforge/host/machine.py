"""Reads what a machine tells about itself and its accelerators, and understands nothing of it.

Files of ``/proc``, ``/sys``, ``/dev`` and ``/opt/rocm``, some variables, sysctl on a Mac, and a process that
asks NVIDIA's driver (:mod:`envforge.host.driver_questions`) where there are signs of one. A reading is a
value that can be written down: those of other machines are the tests of :mod:`envforge.host.recognition`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envforge.host.facts import glibc_version
from envforge.struct import Struct

if TYPE_CHECKING:
    import subprocess

DRIVER_TIMEOUT_S = 30.0
"""Eight GPUs that no daemon keeps awake take ten seconds and more to answer."""

_LIBRARIES = ("libcuda.so.1", "libnvidia-ml.so.1")
_LIBRARY_FOLDERS = (
    "usr/lib/wsl/lib",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib64",
    "usr/lib",
    "usr/local/nvidia/lib64",
    "usr/lib64-nvidia",
    "run/opengl-driver/lib",
    "usr/local/cuda/compat",
)
_DEVICES = ("dxg", "nvidiactl", "nvhost-gpu", "nvgpu")
_CONTAINER_FILES = {".dockerenv": "docker", "run/.containerenv": "podman"}
_CONTAINER_VARIABLES = {
    "APPTAINER_CONTAINER": "apptainer",
    "SINGULARITY_CONTAINER": "singularity",
    "KUBERNETES_SERVICE_HOST": "kubernetes",
}
_CPU_BYTES = 4096


class MachineReading(Struct, frozen=True, kw_only=True):
    """What was read, as it was written there; "" and empty for what is not there.

    Args:
        platform: conda subdir of the Python that runs.
        boot: of Linux, changes with every boot.
        glibc: (major, minor), None for another C library.
        macos: ``14.5``.
        kernel: ``6.6.87.2-microsoft-standard-WSL2``.
        cpu: the first processor in ``/proc/cpuinfo``; its name on other systems.
        translated: a Mac with Apple's processor runs this for Intel's.
        nvidia_version: ``/proc/driver/nvidia/version``.
        nvidia_devices: names below ``/dev``, sorted.
        nvidia_libraries: real path, mtime and size in bytes of each that was found.
        driver: the answer of :mod:`envforge.host.driver_questions`, or ``{"fault": why}``; None if not asked.
        rocm_version: ``/opt/rocm/.info/version``.
        kfd_targets: ``gfx_target_version`` of each node of AMD's driver, in its order; 0 is a processor.
        containers: signs of containers.
        archspec: the processor's name and those of the older ones it can stand for.
    """

    platform: str
    boot: str = ""
    glibc: tuple[int, int] | None = None
    macos: str = ""
    kernel: str = ""
    cpu: str = ""
    translated: bool = False
    nvidia_version: str = ""
    nvidia_devices: tuple[str, ...] = ()
    nvidia_libraries: tuple[tuple[str, int, int], ...] = ()
    driver: Mapping[str, Any] | None = None
    rocm_version: str = ""
    kfd_targets: tuple[int, ...] = ()
    containers: tuple[str, ...] = ()
    archspec: tuple[str, ...] = ()

    @property
    def has_driver_signs(self) -> bool:
        """Whether asking NVIDIA's driver can lead to anything."""
        return bool(self.nvidia_version or self.nvidia_devices or self.nvidia_libraries)


def read_machine(platform: str, environ: Mapping[str, str], *, root: Path = Path("/")) -> MachineReading:
    """All that costs next to nothing: without the driver's answer, and without the processor's name.

    Args:
        platform: conda subdir of the host.
        environ: the process environment.
        root: below which the files are, for machines that were recorded.
    """
    if sys.platform == "win32":
        return _read_windows(platform, environ)
    is_mac = platform.startswith("osx")
    mac_name, translated = _read_mac() if is_mac else ("", False)
    return MachineReading(
        platform=platform,
        boot=_text(root / "proc/sys/kernel/random/boot_id").strip(),
        glibc=glibc_version(),
        macos=_macos_version() if is_mac else "",
        kernel=_text(root / "proc/sys/kernel/osrelease").strip(),
        cpu=mac_name or _text(root / "proc/cpuinfo").partition("\n\n")[0],
        translated=translated,
        nvidia_version=_text(root / "proc/driver/nvidia/version"),
        nvidia_devices=tuple(sorted(_nvidia_devices(root / "dev"))),
        nvidia_libraries=tuple(dict.fromkeys(_nvidia_libraries(root, environ))),
        rocm_version=_rocm_version(root, environ),
        kfd_targets=tuple(_kfd_targets(root / "sys/class/kfd/kfd/topology/nodes")),
        containers=tuple(_containers(root, environ)),
    )


def ask_driver(environ: Mapping[str, str], *, timeout_s: float = DRIVER_TIMEOUT_S) -> dict[str, Any]:
    """Ask NVIDIA's driver in a process of its own.

    Args:
        environ: of that process; which GPUs a job may see is left out, as the answer is about the host.
        timeout_s: after which nobody waits any more.

    Returns:
        Its answer, or ``{"fault": why}`` where there is none.
    """
    import subprocess

    from envforge.host import driver_questions

    command = [sys.executable, "-I", "-S", str(driver_questions.__file__)]
    clean = {name: value for name, value in environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=clean,
            start_new_session=True,
        )
    except OSError as error:
        return {"fault": f"the question could not be asked: {error.strerror or error}"}
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _abandon(process)
        return {"fault": f"it gave no answer in {timeout_s:g} s"}
    except BaseException:
        _abandon(process)
        raise
    return _parse_answer(output, process.returncode, driver_questions.MARK)


def processor_names() -> tuple[str, ...]:
    """The processor's archspec name, then those of the older ones; CONDA_OVERRIDE_ARCHSPEC holds.

    Raises:
        HostError: a variable ``CONDA_OVERRIDE_…`` holds what is no version.
    """
    from envforge.host.virtual_packages import host_virtual_packages

    packages = host_virtual_packages()
    return tuple(package.build for package in packages if package.name == "__archspec")


def _parse_answer(output: bytes, status: int, mark: str) -> dict[str, Any]:
    _, found, text = output.decode("utf-8", "replace").rpartition(mark)
    if not found:
        from envforge.host.exit_status import describe_end

        return {"fault": f"the process that asked it {describe_end(status)}"}
    try:
        answer = json.loads(text)
    except ValueError:
        return {"fault": "its answer is garbled"}
    return answer if isinstance(answer, dict) else {"fault": "its answer is garbled"}


def _abandon(process: subprocess.Popen[bytes]) -> None:
    """Kill it; one that the kernel does not let die is left behind, so that nobody waits for it."""
    import signal
    import subprocess

    with suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    try:
        process.communicate(timeout=1.0)
    except subprocess.TimeoutExpired:
        process.returncode = -signal.SIGKILL  # or subprocess would wait for it when this process ends
        if process.stdout is not None:
            process.stdout.close()


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_CPU_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _nvidia_devices(folder: Path) -> Iterator[str]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - of /dev only names are wanted
    except OSError:
        return
    for name in names:
        if name in _DEVICES or (name.startswith("nvidia") and name[len("nvidia") :].isdecimal()):
            yield name


def _nvidia_libraries(root: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, int, int]]:
    own = [folder for folder in environ.get("LD_LIBRARY_PATH", "").split(":") if folder.startswith("/")]
    for folder in (*(Path(path) for path in own), *(root / path for path in _LIBRARY_FOLDERS)):
        for name in _LIBRARIES:
            try:
                real = (folder / name).resolve(strict=True)
                status = real.stat()
            except (OSError, RuntimeError):
                continue
            yield str(real), status.st_mtime_ns, status.st_size


def _rocm_version(root: Path, environ: Mapping[str, str]) -> str:
    own = environ.get("ROCM_PATH", "")
    folders = [*([Path(own)] if own.startswith("/") else []), root / "opt/rocm"]
    with suppress(OSError):
        folders += sorted((root / "opt").glob("rocm-*"), reverse=True)
    return next(filter(None, (_text(folder / ".info/version").strip() for folder in folders)), "")


def _kfd_targets(nodes: Path) -> Iterator[int]:
    try:
        names = sorted((name for name in os.listdir(nodes) if name.isdecimal()), key=int)  # noqa: PTH208
    except OSError:
        return
    for name in names:
        for line in _text(nodes / name / "properties").splitlines():
            key, _, value = line.partition(" ")
            if key == "gfx_target_version" and value.strip().isdecimal():
                yield int(value)


def _containers(root: Path, environ: Mapping[str, str]) -> Iterator[str]:
    for variable, name in _CONTAINER_VARIABLES.items():
        if environ.get(variable):
            yield name
    for path, name in _CONTAINER_FILES.items():
        if (root / path).exists():
            yield name
    if environ.get("container"):  # systemd's and LXC's word for it
        yield environ["container"]


def _macos_version() -> str:
    import platform

    return platform.mac_ver()[0]


def _read_mac() -> tuple[str, bool]:
    """The processor's name, and whether Rosetta translates what runs here."""
    return _sysctl("machdep.cpu.brand_string"), _sysctl("sysctl.proc_translated") == "1"


def _sysctl(name: str) -> str:
    import subprocess

    try:
        finished = subprocess.run(
            ["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, check=False, timeout=5
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return finished.stdout.strip()


def _read_windows(platform: str, environ: Mapping[str, str]) -> MachineReading:
    folder = Path(environ.get("SYSTEMROOT", "C:\\Windows"), "System32")
    libraries = []
    for name in ("nvcuda.dll", "nvml.dll"):
        try:
            status = (folder / name).stat()
        except OSError:
            continue
        libraries.append((str(folder / name), status.st_mtime_ns, status.st_size))
    return MachineReading(
        platform=platform,
        cpu=environ.get("PROCESSOR_IDENTIFIER", ""),
        nvidia_libraries=tuple(libraries),
    )
