"""What an environment's own Python says of torch and of packages from elsewhere, in a limited time.

It is started as ``envforge run`` would start it, with the user's variables: what they break is to be seen.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from envforge.host.exit_status import describe_end

if TYPE_CHECKING:
    import subprocess

TIMEOUT_S = 120.0
"""The first import of torch from a network file system takes a minute and more."""

_MARK = "envforge-environment:"
_QUESTION = f"""
import json, os, site, sys, warnings

def of_torch():
    told = {{"visible": os.environ.get("CUDA_VISIBLE_DEVICES")}}
    try:
        import torch
    except ModuleNotFoundError as error:
        return None if error.name == "torch" else {{"fault": str(error)}}
    except BaseException as error:
        return {{"fault": f"{{type(error).__name__}}: {{error}}"}}
    version = getattr(torch, "version", None)
    told.update(version=str(getattr(torch, "__version__", "")), cuda=getattr(version, "cuda", None))
    told["hip"] = getattr(version, "hip", None)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            told["available"] = bool(torch.cuda.is_available())
            if told["available"]:
                devices = range(torch.cuda.device_count())
                told["devices"] = [torch.cuda.get_device_name(each) for each in devices]
                told["compiled"] = torch.cuda.get_arch_list()
            elif told["cuda"] or told["hip"]:
                torch.cuda.init()
    except BaseException as error:
        told["reason"] = f"{{type(error).__name__}}: {{error}}"
    if caught and not told.get("available"):
        told["reason"] = str(caught[-1].message)
    mps = getattr(getattr(torch, "backends", None), "mps", None)
    told["metal"] = bool(mps and mps.is_available())
    return told

def of_user_site():
    path = site.getusersitepackages()
    names = os.listdir(path) if site.ENABLE_USER_SITE and path in sys.path else []
    names = [name.split("-")[0] for name in names if name.endswith(".dist-info")]
    return {{"path": path, "names": sorted(names)}}

told = {{"torch": of_torch(), "user_site": of_user_site()}}
print("\\n{_MARK}" + json.dumps(told))
"""


def ask_own_python(
    python: str, environ: Mapping[str, str], *, timeout_s: float = TIMEOUT_S
) -> tuple[dict[str, Any], str]:
    """Ask an environment's Python.

    Args:
        python: its path.
        environ: of the process.
        timeout_s: after which it is killed.

    Returns:
        The answer: ``torch`` (None where it is not installed) and ``user_site``; why there is none, or "".
    """
    import subprocess

    try:
        process = subprocess.Popen(
            [python, "-c", _QUESTION],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environ),
            start_new_session=True,
        )
    except OSError as error:
        return {}, f"it cannot be started: {error.strerror or error}"
    try:
        output, errors = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _end(process)
        return {}, f"it gave no answer in {timeout_s:g} s"
    except BaseException:
        _end(process)
        raise
    _, found, text = output.decode("utf-8", "replace").rpartition(_MARK)
    try:
        answer = json.loads(text) if found else None
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer, ""
    last = errors.decode("utf-8", "replace").strip().splitlines()[-1:]
    return {}, ": ".join([f"it {describe_end(process.returncode)}", *last])


def _end(process: subprocess.Popen[bytes]) -> None:
    import subprocess
    from contextlib import suppress

    with suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=5.0)
