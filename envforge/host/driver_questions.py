"""A program of its own: asks NVIDIA's driver what it is, and prints the answer as one line of JSON.

It is run in a process that may be killed (:mod:`envforge.host.machine`), because a driver's library can block
in the kernel, crash, or write on stdout. Nothing is understood here: return codes are told as they are. NVML
is asked first, libcuda for its version always (a compatibility package may have replaced it), and for devices
where NVML is not there or does not work (embedded systems).

Sources: NVML and CUDA driver API references. It imports nothing of envforge, and needs no site-packages.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Sequence
from ctypes import byref, c_int, c_size_t, c_uint, c_ulonglong, c_void_p, create_string_buffer
from typing import Any

MARK = "envforge-driver:"
FOLDERS = (
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
    "/usr/local/nvidia/lib64",
    "/usr/lib64-nvidia",
)
"""Where drivers put their libraries without telling the loader: WSL, NixOS, Kubernetes, hosted notebooks."""
_NAMES = {
    "nvml": ("nvml.dll",) if sys.platform == "win32" else ("libnvidia-ml.so.1",),
    "libcuda": ("nvcuda.dll",) if sys.platform == "win32" else ("libcuda.so.1",),
}
_TEXT_BYTES = 256
_NOT_SUPPORTED = 3
_CAPABILITY_ATTRIBUTES = (75, 76)
_MOST_DEVICES = 64


class _Memory(ctypes.Structure):
    _fields_ = [("total", c_ulonglong), ("free", c_ulonglong), ("used", c_ulonglong)]


def answer(folders: Sequence[str] = FOLDERS) -> dict[str, Any]:
    """What NVML and libcuda say, each with its return codes: ``{"nvml": …, "libcuda": …}``."""
    nvml = _ask(_ask_nvml, "nvml", folders)
    has_devices = nvml.get("init") == 0
    libcuda = _ask(lambda library: _ask_libcuda(library, devices=not has_devices), "libcuda", folders)
    return {"nvml": nvml, "libcuda": libcuda}


def _ask(question: Any, what: str, folders: Sequence[str]) -> dict[str, Any]:
    library, missing = _load(_NAMES[what], folders)
    if library is None:
        return {"missing": missing}
    return {"library": library._name, **question(library)}


def _load(names: Sequence[str], folders: Sequence[str]) -> tuple[ctypes.CDLL | None, str]:
    reason = ""
    for name in names:
        for path in (name, *(f"{folder}/{name}" for folder in folders)):
            try:
                return ctypes.CDLL(path), ""
            except OSError as error:
                # what the loader says of a library that is there is worth more than of one that is not
                if not reason or "No such file" not in str(error):
                    reason = str(error)
    return None, reason


def _ask_nvml(library: ctypes.CDLL) -> dict[str, Any]:
    init = _call(library, ("nvmlInit_v2", "nvmlInit"))
    if init != 0:
        return {"init": init}
    said: dict[str, Any] = {"init": init}
    said["driver"] = _text(library, "nvmlSystemGetDriverVersion")
    version = c_int()
    names = ("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion")
    if _call(library, names, byref(version)) == 0:
        said["cuda"] = version.value
    count = c_uint()
    said["count_code"] = _call(library, ("nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"), byref(count))
    said["devices"] = [_nvml_device(library, index) for index in range(min(count.value, _MOST_DEVICES))]
    _call(library, ("nvmlShutdown",))
    return said


def _nvml_device(library: ctypes.CDLL, index: int) -> dict[str, Any]:
    handle = c_void_p()
    names = ("nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex")
    code = _call(library, names, c_uint(index), byref(handle))
    if code != 0:
        return {"code": code}
    major, minor, memory = c_int(), c_int(), _Memory()
    current, pending = c_uint(), c_uint()
    told: dict[str, Any] = {"code": 0, "name": _text(library, "nvmlDeviceGetName", handle)}
    if _call(library, ("nvmlDeviceGetCudaComputeCapability",), handle, byref(major), byref(minor)) == 0:
        told["capability"] = [major.value, minor.value]
    if _call(library, ("nvmlDeviceGetMemoryInfo",), handle, byref(memory)) == 0:
        told["memory"] = memory.total
    if _call(library, ("nvmlDeviceGetMigMode",), handle, byref(current), byref(pending)) == 0:
        told["mig"] = current.value
        told["slices"] = _slices(library, handle) if current.value else []
    return told


def _slices(library: ctypes.CDLL, device: c_void_p) -> list[str]:
    most = c_uint()
    if _call(library, ("nvmlDeviceGetMaxMigDeviceCount",), device, byref(most)) != 0:
        return []
    found = []
    for index in range(min(most.value, _MOST_DEVICES)):
        handle = c_void_p()
        if (
            _call(library, ("nvmlDeviceGetMigDeviceHandleByIndex",), device, c_uint(index), byref(handle))
            == 0
        ):
            found.append(_text(library, "nvmlDeviceGetName", handle))
    return found


def _ask_libcuda(library: ctypes.CDLL, *, devices: bool) -> dict[str, Any]:
    version = c_int()
    said: dict[str, Any] = {"version_code": _call(library, ("cuDriverGetVersion",), byref(version))}
    said["cuda"] = version.value
    if not devices:
        return said
    said["init"] = _call(library, ("cuInit",), c_uint(0))
    count = c_int()
    if said["init"] == 0:
        said["count_code"] = _call(library, ("cuDeviceGetCount",), byref(count))
    said["devices"] = [_cuda_device(library, index) for index in range(min(count.value, _MOST_DEVICES))]
    return said


def _cuda_device(library: ctypes.CDLL, index: int) -> dict[str, Any]:
    device = c_int()
    code = _call(library, ("cuDeviceGet",), byref(device), c_int(index))
    if code != 0:
        return {"code": code}
    told: dict[str, Any] = {"code": 0}
    name = create_string_buffer(_TEXT_BYTES)
    if _call(library, ("cuDeviceGetName",), name, c_int(_TEXT_BYTES), device) == 0:
        told["name"] = name.value.decode("utf-8", "replace")
    numbers = [c_int(), c_int()]
    codes = [
        _call(library, ("cuDeviceGetAttribute",), byref(number), c_int(attribute), device)
        for number, attribute in zip(numbers, _CAPABILITY_ATTRIBUTES, strict=True)
    ]
    if not any(codes):
        told["capability"] = [number.value for number in numbers]
    size = c_size_t()
    if _call(library, ("cuDeviceTotalMem_v2", "cuDeviceTotalMem"), byref(size), device) == 0:
        told["memory"] = size.value
    return told


def _text(library: ctypes.CDLL, name: str, *before: Any) -> str:
    text = create_string_buffer(_TEXT_BYTES)
    if _call(library, (name,), *before, text, c_uint(_TEXT_BYTES)) != 0:
        return ""
    return text.value.decode("utf-8", "replace")


def _call(library: ctypes.CDLL, names: Sequence[str], *arguments: Any) -> int:
    """The return code of the first of the functions that the library has; "not supported" for none."""
    for name in names:
        function = getattr(library, name, None)
        if function is not None:
            function.restype = c_int
            return int(function(*arguments))
    return _NOT_SUPPORTED


if __name__ == "__main__":
    sys.stdout.write(f"\n{MARK}{json.dumps(answer())}\n")
