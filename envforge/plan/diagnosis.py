"""What is wrong with a host, a shell and an environment, from facts that others have gathered. Pure.

Each finding says what to do. *Broken* is what does not work; a *warning* is what will surprise; a *note* is
what is as it is meant to be, but not what somebody may expect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from envforge.model.accelerators import HostFacts, Version
from envforge.plan.accelerator_check import CudaNeed, WheelProblem
from envforge.struct import Struct, field

_SHOWN = 4


class Severity(StrEnum):
    """How bad it is."""

    BROKEN = "broken"
    WARNING = "warning"
    NOTE = "note"


class Finding(Struct, frozen=True):
    """Something to know.

    Args:
        code: stable and short, for scripts: ``driver``, ``torch-cuda`` …
        severity: how bad it is.
        message: a sentence without full stop.
        hint: what to do, an imperative; "" where there is nothing to do.
    """

    code: str
    severity: Severity
    message: str
    hint: str = ""


class ShellFacts(Struct, frozen=True, kw_only=True):
    """What the shell sets that reaches into environments.

    Args:
        cuda_libraries: folder of ``LD_LIBRARY_PATH`` → names of CUDA's libraries in it.
        python_path: folders of ``PYTHONPATH``.
        shadowing: folder of ``PYTHONPATH`` → names of the environment's modules that it hides.
        python_home: ``PYTHONHOME``.
        conda_name: of the active conda environment, "" for none.
        conda_python_first: whether ``python`` on ``PATH`` is that one's.
        virtual_env: of another virtual environment that is active.
    """

    cuda_libraries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    python_path: tuple[str, ...] = ()
    shadowing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    python_home: str = ""
    conda_name: str = ""
    conda_python_first: bool = False
    virtual_env: str = ""


class EnvironmentFacts(Struct, frozen=True, kw_only=True):
    """What an environment holds, and what its own Python says.

    Args:
        path: of ``.venv``.
        python: version of its interpreter.
        platform: conda subdir that it is for.
        packages: PyPI project → version.
        conda: conda package → version.
        cuda: what its wheels bring.
        by_hand: distributions in it that envforge did not install.
        answer: of its own Python: ``torch``, ``user_site``; empty where it was not asked.
        fault: why it did not answer, "" if it did.
        is_lost: it, or what it stands on, is not there any more.
        network_place: file system of another machine that it is on, "" for a local one.
    """

    path: str
    python: str = ""
    platform: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    conda: Mapping[str, str] = field(default_factory=dict)
    cuda: tuple[CudaNeed, ...] = ()
    by_hand: tuple[str, ...] = ()
    answer: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""
    is_lost: bool = False
    network_place: str = ""


def diagnose(
    facts: HostFacts,
    shell: ShellFacts,
    environment: EnvironmentFacts | None,
    problems: Sequence[WheelProblem] = (),
) -> tuple[Finding, ...]:
    """All findings, the worst first.

    Args:
        facts: of the host.
        shell: of the shell.
        environment: None outside a project, and where nothing was synced yet.
        problems: of the environment's wheels with this host.
    """
    found = [*_host(facts), *_shell(shell, environment)]
    if environment is not None:
        found += _environment(environment, facts)
        found += _torch(environment, facts)
        found += _stacks(environment, shell)
        # a driver that cannot be used is the host's own finding
        found += [
            Finding(
                "wheels",
                Severity.BROKEN if problem.refuses else Severity.WARNING,
                problem.message,
                problem.hint,
            )
            for problem in problems
            if facts.cuda is not None or problem.refuses
        ]
    order = list(Severity)
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def _host(facts: HostFacts) -> Iterator[Finding]:
    driver = facts.nvidia
    if driver is not None and driver.fault:
        severity = Severity.BROKEN if driver.is_broken else Severity.WARNING
        yield Finding("driver", severity, f"the NVIDIA driver cannot be used: {driver.fault}", driver.remedy)
    for gpu in driver.gpus if driver is not None else ():
        if gpu.is_mig and not gpu.mig_slices:
            yield Finding(
                "mig",
                Severity.BROKEN,
                f"{gpu.name} is in MIG mode and has no slices: no program can use it",
                "ask the administrator to divide it (nvidia-smi mig), or to switch MIG off",
            )
    if driver is not None and driver.compat:
        yield Finding(
            "compat",
            Severity.NOTE,
            f"the libcuda that programs find is that of CUDA's compatibility package: {_told(driver.cuda)}",
        )
    if facts.rocm is not None and facts.rocm.architectures and facts.rocm.version is None:
        yield Finding(
            "rocm",
            Severity.NOTE,
            f"there are AMD GPUs ({', '.join(facts.rocm.architectures)}), but no ROCm that tells its version,"
            " so that no variant is chosen for them",
            "choose it: --variant, or ENVFORGE_VARIANT",
        )
    if facts.emulated:
        yield Finding(
            "emulated",
            Severity.WARNING,
            f"programs for {facts.platform} run here by way of {facts.emulated}: slow, and without the GPU",
            "use a Python, or a container image, for this machine's own processor",
        )
    if facts.overridden:
        yield Finding(
            "overridden", Severity.NOTE, f"this host is told otherwise by {', '.join(facts.overridden)}"
        )


def _shell(shell: ShellFacts, environment: EnvironmentFacts | None) -> Iterator[Finding]:
    if shell.python_home:
        yield Finding(
            "python-home",
            Severity.BROKEN,
            f"PYTHONHOME is {shell.python_home}: every Python takes its standard library from there",
            "unset PYTHONHOME",
        )
    for folder, names in shell.shadowing.items():
        yield Finding(
            "python-path",
            Severity.WARNING,
            f"PYTHONPATH has {folder}, which hides {_some(names)} of the environment",
            "unset PYTHONPATH, or take the folder out",
        )
    if shell.python_path and not shell.shadowing:
        yield Finding(
            "python-path",
            Severity.NOTE,
            f"PYTHONPATH adds {_some(shell.python_path)} to every Python",
        )
    if shell.conda_name and shell.conda_python_first:
        yield Finding(
            "conda-active",
            Severity.WARNING,
            f"conda's environment {shell.conda_name!r} is active: `python` is its Python, not the project's",
            "use `envforge run python …`, or: conda deactivate",
        )
    if shell.virtual_env and environment is not None and shell.virtual_env != environment.path:
        yield Finding(
            "virtual-env",
            Severity.WARNING,
            f"another virtual environment is active: {shell.virtual_env}",
            "use `envforge run …`, or: deactivate",
        )


def _environment(environment: EnvironmentFacts, facts: HostFacts) -> Iterator[Finding]:
    if environment.is_lost:
        yield Finding(
            "environment",
            Severity.BROKEN,
            "the environment, or what it stands on, is gone",
            "run: envforge sync",
        )
        return
    if environment.platform and environment.platform != facts.platform:
        yield Finding(
            "architecture",
            Severity.BROKEN,
            f"the environment is for {environment.platform}, this host is {facts.platform}",
            "run: envforge sync",
        )
    if environment.fault:
        yield Finding(
            "environment",
            Severity.BROKEN,
            f"its Python does not work: {environment.fault}",
            "run: envforge verify",
        )
    if environment.by_hand:
        yield Finding(
            "by-hand",
            Severity.WARNING,
            f"{_some(environment.by_hand)} was put into the environment by something else than envforge"
            " and is gone with the next change",
            f"add it to the project: envforge add {environment.by_hand[0].partition(' ')[0]};"
            " or run: envforge verify --repair",
        )
    if environment.network_place:
        yield Finding(
            "tier",
            Severity.WARNING,
            f"the environment is on a network file system ({environment.network_place}): imports are slow",
            "see: envforge tiers",
        )
    site = environment.answer.get("user_site")
    if isinstance(site, Mapping) and site.get("names"):
        yield Finding(
            "user-site",
            Severity.WARNING,
            f"packages of {site.get('path')} are seen in the environment, too: {_some(site['names'])}",
            "set PYTHONNOUSERSITE=1",
        )


def _torch(environment: EnvironmentFacts, facts: HostFacts) -> Iterator[Finding]:
    said = environment.answer.get("torch")
    if not isinstance(said, Mapping):
        return
    if said.get("fault"):
        yield Finding(
            "torch",
            Severity.BROKEN,
            f"torch cannot be imported: {said['fault']}",
            "run: envforge verify --repair",
        )
    elif said.get("available"):
        return
    elif said.get("cuda") and facts.cuda is not None:
        reason = f": {said['reason']}" if said.get("reason") else ""
        yield Finding(
            "torch-cuda",
            Severity.BROKEN,
            f"torch {said.get('version')} for CUDA {said['cuda']} does not find the GPU{reason}",
            _visible_hint(said),
        )
    elif said.get("cuda"):
        yield Finding(
            "torch-cuda",
            Severity.NOTE,
            f"torch {said.get('version')} is for CUDA {said['cuda']}; there is no GPU for it here,"
            " it works on the processor",
        )
    elif said.get("hip"):
        yield Finding(
            "torch-rocm",
            Severity.BROKEN if facts.rocm is not None and facts.rocm.architectures else Severity.NOTE,
            f"torch {said.get('version')} for ROCm {said['hip']} does not find a GPU",
            "see whether this user may use /dev/kfd and /dev/dri (groups render and video)",
        )
    elif facts.cuda is not None:
        yield Finding(
            "torch-cpu",
            Severity.WARNING,
            f"torch {said.get('version')} is a build for the processor, and this host has a GPU",
            "choose the variant for it (envforge sync --variant), or: envforge add torch --torch auto",
        )


def _visible_hint(said: Mapping[str, Any]) -> str:
    visible = said.get("visible")
    if visible is not None:
        return f"CUDA_VISIBLE_DEVICES is {visible!r}: unset it, or name a GPU"
    return "compare the driver with the CUDA that torch was built for, above"


def _stacks(environment: EnvironmentFacts, shell: ShellFacts) -> Iterator[Finding]:
    """More than one CUDA in one environment."""
    if len(environment.cuda) > 1:
        told = "; ".join(f"{_told(need.cuda)} by {_some(need.packages)}" for need in environment.cuda)
        yield Finding(
            "mixed-cuda",
            Severity.WARNING,
            f"the environment has CUDA more than once: {told}",
            "use builds for one CUDA: envforge why NAME says who asks for each",
        )
    conda = [
        f"{name} {environment.conda[name]}"
        for name in ("cuda-cudart", "cudatoolkit", "cuda-version")
        if name in environment.conda
    ]
    if conda and environment.cuda:
        yield Finding(
            "mixed-cuda",
            Severity.WARNING,
            f"CUDA comes from conda ({conda[0]}) and from PyPI ({environment.cuda[0].packages[0]})",
            "take torch from conda, too, or leave CUDA to PyPI",
        )
    if environment.cuda:
        for folder, names in shell.cuda_libraries.items():
            yield Finding(
                "library-path",
                Severity.WARNING,
                f"LD_LIBRARY_PATH has {folder} with {_some(names)},"
                " which programs may load in place of the environment's",
                "take it out of LD_LIBRARY_PATH: module unload cuda, unset LD_LIBRARY_PATH",
            )


def _told(version: Version | None) -> str:
    return f"CUDA {version[0]}.{version[1]}" if version is not None else "no CUDA"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
