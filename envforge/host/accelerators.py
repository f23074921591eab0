"""What accelerators this host has: read, recognised, and remembered until it is booted again.

Asking a driver takes from 30 ms to ten seconds. To name the processor needs py-rattler, 60 ms: that is done
for those who ask for it. Both answers are kept below the cache root, per host, boot, driver, and what the
loader finds first. A driver that hung is asked again after ten minutes, one without a GPU each time: the next
job on a node may have one. Facts are made anew each time: variables that override them hold at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from envforge.host.facts import host_platform
from envforge.host.machine import MachineReading, ask_driver, processor_names, read_machine
from envforge.host.memory_file import write_memory
from envforge.host.recognition import recognize
from envforge.model.accelerators import HostFacts
from envforge.struct import replace

_FORMAT = 1
_FAULT_LIFETIME_S = 600.0
_LIFETIME_S = 30 * 24 * 3600.0
_LIFETIME_WITHOUT_BOOT_S = 3600.0
"""For systems that do not tell when they were booted."""


def detect_host_facts(
    environ: Mapping[str, str],
    cache: Path,
    *,
    now_s: float,
    refresh: bool = False,
    names_processor: bool = True,
) -> HostFacts:
    """What this host has that a variant may ask for.

    Args:
        environ: the process environment; ``CONDA_OVERRIDE_CUDA``, ``…_GLIBC``, ``…_OSX``, ``…_ARCHSPEC`` win.
        cache: root of what is remembered.
        now_s: seconds since the epoch.
        refresh: ask again, whatever is remembered.
        names_processor: False for those who do not ask for ``archspec``: it may be empty then.

    Raises:
        HostError: envforge knows no packages for this machine; a variable holds what is no version.
    """
    return recognize(
        read_host(environ, cache, now_s=now_s, refresh=refresh, names_processor=names_processor), environ
    )


def read_host(
    environ: Mapping[str, str],
    cache: Path,
    *,
    now_s: float,
    refresh: bool = False,
    names_processor: bool = True,
) -> MachineReading:
    """The reading that :func:`detect_host_facts` understands."""
    reading = read_machine(host_platform(), environ)
    file = _memory_file(cache)
    key = _key(reading, environ)
    remembered = None if refresh else _remembered(file, key, now_s, bool(reading.boot))
    known = remembered
    if known is None:
        asked = reading.has_driver_signs and "CONDA_OVERRIDE_CUDA" not in environ
        known = _Known(now_s, ask_driver(environ) if asked else None)
    if names_processor and known.archspec is None:
        known = known._replace(archspec=processor_names())
    if known != remembered:
        write_memory(file, {"format": _FORMAT, "key": key, **known._asdict()})
    return replace(reading, driver=known.driver, archspec=known.archspec or ())


class _Known(NamedTuple):
    """What is remembered: when the driver was asked (s since the epoch), its answer, the processor's names.

    ``archspec`` is None where nobody has asked for it yet.
    """

    asked_at: float
    driver: dict[str, Any] | None
    archspec: tuple[str, ...] | None = None


def _key(reading: MachineReading, environ: Mapping[str, str]) -> list[Any]:
    """What has to be the same for an answer to hold."""
    return [
        reading.platform,
        reading.boot,
        reading.nvidia_version,
        list(reading.nvidia_devices),
        [list(library) for library in reading.nvidia_libraries],
        environ.get("LD_LIBRARY_PATH", ""),
        environ.get("CONDA_OVERRIDE_ARCHSPEC"),
        "CONDA_OVERRIDE_CUDA" in environ,
    ]


def _memory_file(cache: Path) -> Path:
    node = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return cache / "hosts" / f"{node or 'host'}.json"


def _remembered(file: Path, key: list[Any], now_s: float, has_boot: bool) -> _Known | None:
    try:
        content = json.loads(file.read_bytes())
        if content["format"] != _FORMAT or content["key"] != key:
            return None
        driver, archspec = content["driver"], content["archspec"]
        if archspec is not None:
            archspec = tuple(str(name) for name in archspec)
        asked_at = float(content["asked_at"])
        if driver is not None and not isinstance(driver, dict):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    lifetime_s = _LIFETIME_S if has_boot else _LIFETIME_WITHOUT_BOOT_S
    if driver is not None and not _works(driver):
        lifetime_s = _FAULT_LIFETIME_S if "fault" in driver else 0.0
    return _Known(asked_at, driver, archspec) if 0 <= now_s - asked_at < lifetime_s else None


def _works(driver: Mapping[str, Any]) -> bool:
    parts = [driver.get("nvml"), driver.get("libcuda")]
    return any(isinstance(part, dict) and part.get("init") == 0 and part.get("devices") for part in parts)
