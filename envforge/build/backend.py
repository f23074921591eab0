"""Calls the hooks of a build backend and checks what it answers.

Standards: PEP 517 (wheels), PEP 660 (editable), through pyproject-hooks. The isolated environment, with
the build requirements in it, is made by the caller; a backend runs code of its own and is not confined.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from envforge.build.hook_process import HookProcessError, HookRunner
from envforge.build.source import read_build_system
from envforge.build.wheel_check import check_wheel
from envforge.errors import BuildError, RequirementError
from envforge.model.requirement import parse_requirement
from envforge.struct import Struct

if TYPE_CHECKING:
    from pyproject_hooks import BuildBackendHookCaller

Kind = Literal["wheel", "editable"]
ConfigSettings = Mapping[str, str | Sequence[str]]
_Answer = TypeVar("_Answer")
_MEANINGS = {
    "get_requires_for_build_wheel": "say what building a wheel needs",
    "get_requires_for_build_editable": "say what building an editable wheel needs",
    "prepare_metadata_for_build_wheel": "prepare the metadata",
    "prepare_metadata_for_build_editable": "prepare the editable metadata",
    "build_wheel": "build a wheel",
    "build_editable": "build an editable wheel",
}


class BuildEnvironment(Struct, frozen=True, kw_only=True):
    """Where a backend runs.

    Args:
        python: executable inside an isolated environment that has the build requirements.
        env: variables to inherit, usually the process's; what would lead imports astray is removed.
    """

    python: str
    env: Mapping[str, str]


class BuildJob(Struct, frozen=True, kw_only=True):
    """One source to be built, and how.

    Args:
        name: the project's, normalized.
        what: it is called: ``old-1.0.tar.gz``, ``lib (./lib)``.
        source: folder with pyproject.toml or setup.py.
        environment: where the backend runs.
        log_path: file that the backend's output is appended to.
        timeout_s: for each hook, None for no limit.
        config_settings: for the backend, as PEP 517 has them.
    """

    name: str
    what: str
    source: Path
    environment: BuildEnvironment
    log_path: Path
    timeout_s: float | None = None
    config_settings: ConfigSettings | None = None


def get_requires(kind: Kind, job: BuildJob) -> tuple[str, ...]:
    """What a backend needs beyond ``build-system.requires``, as PEP 508 texts.

    Raises:
        BuildError: the backend failed, or answers something else.
    """

    def call(caller: BuildBackendHookCaller) -> Any:
        if kind == "wheel":
            return caller.get_requires_for_build_wheel(job.config_settings)
        return caller.get_requires_for_build_editable(job.config_settings)

    hook = f"get_requires_for_build_{kind}"
    answer = _call(job, hook, call)
    if not isinstance(answer, list) or not all(isinstance(entry, str) for entry in answer):
        raise _wrong_answer(job, hook, f"a list of requirements was expected, not {answer!r}")
    for requirement in answer:
        try:
            parse_requirement(requirement)
        except RequirementError as error:
            raise _wrong_answer(job, hook, error.message) from None
    return tuple(answer)


def prepare_metadata(kind: Kind, job: BuildJob, output_dir: Path) -> Path:
    """The ``.dist-info`` folder of what would be built, made in ``output_dir``; a backend that cannot
    do only this builds the wheel for it.

    Raises:
        BuildError: the backend failed, or made none.
    """

    def call(caller: BuildBackendHookCaller) -> Any:
        output_dir.mkdir(parents=True, exist_ok=True)
        if kind == "wheel":
            return caller.prepare_metadata_for_build_wheel(str(output_dir), job.config_settings)
        return caller.prepare_metadata_for_build_editable(str(output_dir), job.config_settings)

    hook = f"prepare_metadata_for_build_{kind}"
    answer = _call(job, hook, call)
    if not _is_plain_name(answer, ".dist-info") or not (output_dir / answer / "METADATA").is_file():
        raise _wrong_answer(job, hook, f"it named {answer!r}, where there is no METADATA")
    return output_dir / str(answer)


def build_wheel(job: BuildJob, output_dir: Path, *, name: str, version: str = "") -> Path:
    """Build a wheel into ``output_dir``, where it appears whole or not at all.

    Args:
        job: what to build.
        output_dir: is created.
        name: project that the wheel has to be of, in any spelling.
        version: that it has to have, ``""`` for any.

    Raises:
        BuildError: the backend failed, or made something else.
    """
    return _build("build_wheel", job, output_dir, name, version)


def build_editable(job: BuildJob, output_dir: Path, *, name: str, version: str = "") -> Path:
    """Build an editable wheel into ``output_dir``, where it appears whole or not at all.

    Arguments and errors as for :func:`build_wheel`; a backend that knows no editable wheels is one.
    """
    return _build("build_editable", job, output_dir, name, version)


def _build(hook: str, job: BuildJob, output_dir: Path, name: str, version: str) -> Path:
    import tempfile

    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=".build-", dir=output_dir, ignore_cleanup_errors=True
        ) as aside:
            answer = _call(job, hook, lambda caller: getattr(caller, hook)(aside, job.config_settings))
            if not _is_plain_name(answer, ".whl"):
                raise _wrong_answer(job, hook, f"it named {answer!r}, which is no wheel's file name")
            wheel = Path(aside, answer)
            if fault := _missing(wheel) or check_wheel(wheel, name, version):
                raise _wrong_answer(job, hook, fault)
            return wheel.replace(output_dir / answer)
    except OSError as error:
        raise BuildError(f"{output_dir} cannot be written", context=[str(error)]) from error


def _missing(wheel: Path) -> str:
    there = sorted(entry.name for entry in wheel.parent.iterdir())
    if wheel.name in there and wheel.is_file():
        return ""
    return f"it named {wheel.name}, but made {', '.join(there) or 'nothing'}"


def _call(job: BuildJob, hook: str, call: Callable[[BuildBackendHookCaller], _Answer]) -> _Answer:
    """Call a hook; every way in which that fails becomes a BuildError."""
    import warnings

    import pyproject_hooks

    system = read_build_system(job.source)
    environment = job.environment
    runner = HookRunner(environment.python, environment.env, job.log_path, job.timeout_s)
    caller = pyproject_hooks.BuildBackendHookCaller(
        str(job.source), system.backend, system.backend_path or None, runner, environment.python
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the backend's own; they are in the log
            return call(caller)
    except HookProcessError as error:
        hints = (
            ["allow it more time, if it is only slow: tool.envforge.build.NAME has timeout-s"]
            if error.timed_out
            else _hints(runner.tail(), job.name)
        )
        raise _failure(job, hook, str(error), runner.tail(), hints) from None
    except pyproject_hooks.BackendUnavailable as error:
        reason = (error.traceback.strip() or str(error)).splitlines()[-1]
        module = _missing_module(reason)
        hints = [
            _module_hint(module, job.name)
            if module and module != re.split(r"[.:]", system.backend, maxsplit=1)[0]
            else f"is the package with {system.backend} in build-system.requires?"
        ]
        raise _failure(job, hook, f"its backend cannot be imported: {reason}", [], hints) from None
    except pyproject_hooks.HookMissing as error:
        raise _no_hook(job, system.backend, error.hook_name) from None
    except (FileNotFoundError, ValueError, KeyError) as error:  # it left before it wrote its answer
        raise _failure(job, hook, f"it gave no answer: {error}", runner.tail(), []) from error


def _failure(job: BuildJob, hook: str, reason: str, tail: Sequence[str], hints: Sequence[str]) -> BuildError:
    said = ["its last words:", *(f"  {line}" for line in tail)] if tail else []
    return BuildError(
        f"the build backend of {job.what} failed to {_MEANINGS[hook]}",
        context=[f"{hook}: {reason}", *said, f"whole output: {job.log_path}"],
        hints=hints,
    )


def _wrong_answer(job: BuildJob, hook: str, fault: str) -> BuildError:
    return BuildError(
        f"the build backend of {job.what} did not {_MEANINGS[hook]} as it should",
        context=[f"{hook}: {fault}", f"whole output: {job.log_path}"],
    )


def _no_hook(job: BuildJob, backend: str, hook: str) -> BuildError:
    hints = ["a newer version of the backend may know it: raise its bound in build-system.requires"]
    if hook == "build_editable":
        hints.append("hatchling, setuptools>=64, flit-core>=3.4, pdm-backend and poetry-core>=1.0.8 do")
    return BuildError(
        f"the build backend of {job.what} cannot {_MEANINGS.get(hook, hook)}",
        context=[f"{backend} has no hook {hook}"],
        hints=hints,
    )


_LEFT_PYTHON = (
    "aifc asynchat asyncore audioop cgi cgitb chunk crypt imghdr imp lib2to3 mailcap msilib nis nntplib"
    " ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib uu xdrlib"
)
"""Modules that Python has until 3.11 or 3.12: PEP 594 and others."""


def _hints(tail: Sequence[str], name: str) -> list[str]:
    """What the output of a failed build of a project gives away."""
    text = "\n".join(tail)
    if module := _missing_module(text):
        return [_module_hint(module, name)]
    if found := re.search(r"(?:unable to execute|command) '([^']+)'(?::| failed: )No such file", text):
        return [f"the build needs {found[1]}: install it"]
    found = re.search(r"fatal error: (\S+): No such file", text)
    if found and not found[1].endswith((".c", ".cc", ".cpp", ".cxx", ".cu")):  # else a source of its own
        return [f"the build needs the header {found[1]}: install the development files that have it"]
    return []


def _missing_module(text: str) -> str:
    """The package that an import did not find, "" for none."""
    found = re.search(r"No module named '(\w+)", text)
    return found[1] if found else ""


def _module_hint(module: str, name: str) -> str:
    """What to do about a module that the build of a project imports in vain."""
    if module == "pkg_resources":
        return (
            'setuptools has pkg_resources until 81: write build-constraints = ["setuptools<82"] in'
            " [tool.envforge]; in a project of your own, name that version in build-system.requires"
        )
    if module in _LEFT_PYTHON.split():
        return f"newer Pythons have no {module}: take a newer {name}, or an older Python"
    package = "setuptools" if module == "distutils" else "the package that has it"
    return (
        f"the build imports {module}: add {package} to build-system.requires of {name},"
        f" or to with in [tool.envforge.build.{name}]"
    )


def _is_plain_name(answer: Any, suffix: str) -> bool:
    return isinstance(answer, str) and answer.endswith(suffix) and not re.search(r"[/\\\0]", answer)
