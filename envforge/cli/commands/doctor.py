"""``envforge doctor``."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from envforge.cli.formats import count, format_size
from envforge.cli.surroundings import start_folder
from envforge.struct import to_builtins

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from envforge.cli.options import Parser
    from envforge.cli.output import Output
    from envforge.model.accelerators import HostFacts
    from envforge.plan.diagnosis import Finding
    from envforge.workflows.doctor import DoctorReport, ProjectState

_STYLES = {"broken": "red", "warning": "yellow", "note": "cyan"}
_NAME_WIDTH = 12


def add_arguments(parser: Parser) -> None:
    """Declare options and arguments."""
    parser.usage = "%(prog)s [options]"


def execute(arguments: Namespace, output: Output) -> int:
    """Look at the host and the project; 1 if something is broken."""
    from envforge.errors import ManifestError
    from envforge.host.paths import find_cache_root
    from envforge.workflows.doctor import examine
    from envforge.workflows.project_root import find_project_root

    environ = dict(os.environ)
    root = None
    with suppress(ManifestError):
        root = find_project_root(start_folder(arguments))
    report = examine(environ, find_cache_root(environ), root, now_s=time.time(), refresh=arguments.refresh)
    if output.json:
        output.document(_document(report))
    else:
        output.data("".join(f"{line}\n" for line in _lines(report, output)))
    return 1 if report.is_broken else 0


def _lines(report: DoctorReport, output: Output) -> Iterator[str]:
    yield output.paint("Host", "bold", data=True)
    yield from (f"  {name:<{_NAME_WIDTH}}{value}" for name, value in _host_rows(report.facts))
    if report.project is not None:
        title = f"Project {report.project.name}".rstrip()
        yield ""
        yield output.paint(title, "bold", data=True)
        yield from (f"  {name:<{_NAME_WIDTH}}{value}" for name, value in _project_rows(report.project))
    yield ""
    for finding in report.findings:
        yield from _finding_lines(finding, output)
    yield _summary(report.findings)


def _host_rows(facts: HostFacts) -> Iterator[tuple[str, str]]:
    system = [facts.platform]
    system += [f"glibc {_dotted(facts.glibc)}"] if facts.glibc else []
    system += [f"macOS {_dotted(facts.macos)}"] if facts.macos else []
    system += ["WSL"] if facts.is_wsl else []
    system += [f"in a container ({facts.container})"] if facts.container else []
    yield "system", ", ".join(system)
    if facts.archspec:
        yield "processor", facts.archspec[0]
    if facts.apple is not None:
        yield "chip", f"{facts.apple.name}{', Metal' if facts.apple.has_metal else ''}"
    driver = facts.nvidia
    if driver is None:
        yield "NVIDIA", "no driver"
    else:
        version = f"driver {driver.version}" if driver.version else f"as {driver.told_by} says"
        state = f"runs CUDA {_dotted(driver.cuda)}" if driver.cuda else "cannot be used"
        yield "NVIDIA", f"{version}, {state}"
        for gpu in driver.gpus:
            parts = [gpu.name]
            parts += [f"compute capability {_dotted(gpu.capability)}"] if gpu.capability else []
            parts += [format_size(gpu.memory_bytes)] if gpu.memory_bytes else []
            parts += [f"MIG: {', '.join(gpu.mig_slices) or 'no slices'}"] if gpu.is_mig else []
            yield "GPU", ", ".join(parts)
    if facts.rocm is not None:
        version = f"ROCm {_dotted(facts.rocm.version)}" if facts.rocm.version else "ROCm not found"
        yield "AMD", ", ".join([version, *facts.rocm.architectures])


def _project_rows(project: ProjectState) -> Iterator[tuple[str, str]]:
    yield "folder", str(project.root)
    if project.variant:
        yield "variant", project.variant
    if project.choice is not None:
        yield "by the host", f"{project.choice.name}: {project.choice.reason}"
        for passed in project.choice.passed_over:
            yield "", passed
    environment = project.environment
    if environment is None:
        return
    yield "python", f"{environment.python} for {environment.platform}"
    for need in environment.cuda:
        yield "CUDA", f"{_dotted(need.cuda)}, brought by {', '.join(need.packages[:3])}"
    torch = environment.answer.get("torch")
    if isinstance(torch, dict) and torch.get("version"):
        yield "torch", _torch_row(torch)


def _torch_row(torch: dict[str, Any]) -> str:
    built = (
        f"CUDA {torch['cuda']}" if torch.get("cuda") else f"ROCm {torch['hip']}" if torch.get("hip") else ""
    )
    devices = torch.get("devices") or []
    sees = f"sees {count(len(devices), 'GPU')}" if torch.get("available") else "sees no GPU"
    sees = "uses Metal" if torch.get("metal") else sees
    return ", ".join([str(torch["version"]), *([f"built for {built}"] if built else []), sees])


def _finding_lines(finding: Finding, output: Output) -> Iterator[str]:
    first, *rest = finding.message.splitlines()
    mark = output.paint(f"{finding.severity.value}:", _STYLES[finding.severity.value], data=True)
    yield f"{mark} {first}"
    yield from (f"  {line}" for line in rest)
    if finding.hint:
        yield f"  {output.paint('hint:', 'cyan', data=True)} {finding.hint}"


def _summary(findings: tuple[Finding, ...]) -> str:
    from collections import Counter

    counts = Counter(finding.severity.value for finding in findings)
    if not counts["broken"] and not counts["warning"]:
        return "Nothing is wrong."
    told = [f"{count(counts['broken'], 'thing')} broken"] if counts["broken"] else []
    told += [count(counts["warning"], "warning")] if counts["warning"] else []
    return f"Found {' and '.join(told)}."


def _document(report: DoctorReport) -> dict[str, Any]:
    project = report.project
    return {
        "broken": report.is_broken,
        "findings": [
            {**to_builtins(finding), "severity": finding.severity.value, "hint": finding.hint or None}
            for finding in report.findings
        ],
        "host": to_builtins(report.facts),
        "project": _project_document(project) if project is not None else None,
        "reading": to_builtins(report.reading),
    }


def _project_document(project: ProjectState) -> dict[str, Any]:
    environment = project.environment
    return {
        "root": str(project.root),
        "name": project.name,
        "variant": project.variant or None,
        "choice": to_builtins(project.choice) if project.choice is not None else None,
        "environment": None
        if environment is None
        else {
            "path": environment.path,
            "python": environment.python,
            "platform": environment.platform,
            "cuda": [to_builtins(need) for need in environment.cuda],
            "torch": environment.answer.get("torch"),
            "installed_by_hand": list(environment.by_hand),
        },
    }


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
