"""The tools under test: where they come from, what they are called with, and what is unfair about it.

Each is installed from PyPI into an environment of its own (envforge from this checkout), and runs with its
own defaults. What a tool cannot do is left out of its commands; the page says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stacks import MARKERS

CHECKOUT = Path(__file__).parents[1]
PYPI = "https://pypi.org/simple"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFacts:
    """What a manifest is written from.

    Args:
        requirements: of the state.
        python: the minor, such as ``3.12``.
        platforms: conda subdirs.
        index_url: of a simple index.
    """

    requirements: Sequence[str]
    python: str
    platforms: Sequence[str]
    index_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool: how to call it.

    Args:
        name: as on the command line and in tables.
        requirements: what pip installs.
        commands: action → shell words; ``{bin}`` is where its programs are, ``{python}`` the interpreter.
        lock_file: what it locks to.
        manifest_file: what it reads.
        write_manifest: text of it.
        variables: environment; ``{cache}`` is the folder for its caches.
        caveats: what cannot be compared fairly.
    """

    name: str
    requirements: tuple[str, ...]
    commands: Mapping[str, str]
    lock_file: str
    manifest_file: str = "pyproject.toml"
    write_manifest: Callable[[ProjectFacts], str]
    variables: Mapping[str, str]
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InstalledTool:
    """A tool that is there: ``programs`` is the folder of its programs, ``version`` what it says it is."""

    tool: Tool
    programs: Path
    version: str


def _project_table(facts: ProjectFacts) -> str:
    return f"""\
[project]
name = "benchmark"
version = "0"
requires-python = "=={facts.python}.*"
dependencies = {json.dumps(list(facts.requirements))}
"""


def _envforge_manifest(facts: ProjectFacts) -> str:
    text = f"""{_project_table(facts)}
[tool.envforge]
python = "{facts.python}"
platforms = {json.dumps(list(facts.platforms))}
"""
    if facts.index_url != PYPI:
        text += f'\n[[tool.envforge.index]]\nname = "benchmark"\nurl = "{facts.index_url}"\ndefault = true\n'
    return text


def _uv_manifest(facts: ProjectFacts) -> str:
    # Not every mirror sends headers for caching; envforge takes an index page to be fresh for ten minutes.
    return f"""{_project_table(facts)}
[tool.uv]
environments = {json.dumps([MARKERS[platform] for platform in facts.platforms])}

[[tool.uv.index]]
url = "{facts.index_url}"
default = true
cache-control = {{ api = "max-age=600", files = "max-age=600" }}
"""


def _poetry_manifest(facts: ProjectFacts) -> str:
    return f"""{_project_table(facts)}
[tool.poetry]
package-mode = false

[[tool.poetry.source]]
name = "benchmark"
url = "{facts.index_url}"
priority = "primary"
"""


def _pdm_manifest(facts: ProjectFacts) -> str:
    return f"""{_project_table(facts)}
[tool.pdm]
distribution = false

[[tool.pdm.source]]
name = "pypi"
url = "{facts.index_url}"
"""


def _requirements_in(facts: ProjectFacts) -> str:
    return "".join(f"{each}\n" for each in (f"--index-url {facts.index_url}", *facts.requirements))


_PIP_COMPILE = "{bin}/pip-compile -q --generate-hashes --output-file requirements.txt requirements.in"
# pip-sync makes no environment, and pdm would choose one by rules of its own.
_IN_VENV = "{{ test -x .venv/bin/python || {python} -m venv .venv; }} && "
_PDM_SYNC = _IN_VENV + "PDM_PYTHON=.venv/bin/python {bin}/pdm sync -q --clean"
_PIP_SYNC = _IN_VENV + "{bin}/pip-sync -q --python-executable .venv/bin/python requirements.txt"

TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            name="envforge",
            requirements=(str(CHECKOUT),),
            commands={
                "version": "{bin}/envforge --version",
                "help": "{bin}/envforge --help",
                "lock": "{bin}/envforge lock",
                "upgrade": "{bin}/envforge lock --upgrade",
                "sync": "{bin}/envforge sync --frozen",
                "sync again": "{bin}/envforge sync",
            },
            lock_file="envforge.lock",
            write_manifest=_envforge_manifest,
            variables={"ENVFORGE_CACHE_DIR": "{cache}", "ENVFORGE_PYTHON": "{python}"},
            caveats=(
                "envforge links folders of its store into an environment. Bytecode that a first import"
                " compiles is kept there, so the first import in a later environment finds it.",
            ),
        ),
        Tool(
            name="uv",
            requirements=("uv",),
            commands={
                "version": "{bin}/uv --version",
                "help": "{bin}/uv --help",
                "lock": "{bin}/uv lock",
                "upgrade": "{bin}/uv lock --upgrade",
                "sync": "{bin}/uv sync --frozen",
                "sync again": "{bin}/uv sync",
            },
            lock_file="uv.lock",
            write_manifest=_uv_manifest,
            variables={"UV_CACHE_DIR": "{cache}", "UV_PYTHON": "{python}"},
            caveats=(
                "uv is told to take index pages to be fresh for ten minutes, as envforge does by itself."
                " It links each file out of its cache and leaves bytecode to the first import: its default.",
            ),
        ),
        Tool(
            name="Poetry",
            requirements=("poetry",),
            commands={
                "version": "{bin}/poetry --version",
                "help": "{bin}/poetry --help",
                "lock": "{bin}/poetry lock -q -n",
                "upgrade": "{bin}/poetry lock -q -n --regenerate",
                "sync": "{bin}/poetry sync -q -n",
                "sync again": "{bin}/poetry sync -q -n",
            },
            lock_file="poetry.lock",
            write_manifest=_poetry_manifest,
            variables={
                "POETRY_CACHE_DIR": "{cache}",
                "POETRY_VIRTUALENVS_IN_PROJECT": "true",
                "POETRY_VIRTUALENVS_USE_POETRY_PYTHON": "false",
            },
            caveats=(
                "Poetry locks for all platforms that there are (it cannot be told which) and asks the index"
                " again whenever it locks. It copies files and compiles no bytecode.",
            ),
        ),
        Tool(
            name="pdm",
            requirements=(
                "pdm[locked]",
            ),  # with what it was released with: newer unearth and httpx break 2.29
            commands={
                "version": "{bin}/pdm --version",
                "help": "{bin}/pdm --help",
                "lock": "{bin}/pdm lock -q --update-reuse",
                "upgrade": "{bin}/pdm lock -q",
                "sync": _PDM_SYNC,
                "sync again": _PDM_SYNC,
            },
            lock_file="pdm.lock",
            write_manifest=_pdm_manifest,
            variables={
                "PDM_CACHE_DIR": "{cache}",
                "PDM_CHECK_UPDATE": "0",
                "PDM_PYTHON": "{python}",
                "PDM_IGNORE_SAVED_PYTHON": "1",
                "PDM_IGNORE_ACTIVE_VENV": "1",
            },
            caveats=(
                "pdm locks for all platforms at once and asks the index again whenever it locks. Its cache of"
                " unpacked wheels is off, as is its default.",
            ),
        ),
        Tool(
            name="pip-tools",
            requirements=("pip-tools",),
            commands={
                "version": "{bin}/pip-compile --version",
                "help": "{bin}/pip-compile --help",
                "lock": _PIP_COMPILE,
                "upgrade": f"{_PIP_COMPILE} --upgrade",
                "sync": _PIP_SYNC,
                "sync again": _PIP_SYNC,
            },
            lock_file="requirements.txt",
            manifest_file="requirements.in",
            write_manifest=_requirements_in,
            variables={"PIP_CACHE_DIR": "{cache}", "PIP_TOOLS_CACHE_DIR": "{cache}/pip-tools"},
            caveats=(
                "pip-tools locks for this platform only: a quarter of the work. pip compiles bytecode while"
                " it installs: more in the sync, less in the first import.",
            ),
        ),
    )
}


def install_tool(tool: Tool, folder: Path, *, download: bool) -> InstalledTool:
    """Put a tool into an environment of its own, or find it.

    Args:
        tool: what to install.
        folder: for the environment; one that is there is used, but envforge is always installed anew.
        download: use the network; else what is in ``folder``, beside this interpreter or on PATH has to do.

    Raises:
        LookupError: it is not there, or could not be installed; says why.
    """
    programs = folder / "bin"
    program = tool.commands["version"].split()[0].removeprefix("{bin}/")
    if download and (tool.name == "envforge" or not (programs / program).exists()):
        install_requirements(tool.requirements, folder)
    if not (programs / program).exists():
        found = shutil.which(
            program, path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        )
        if found is None:
            raise LookupError(f"{program} is not on this machine, and nothing is downloaded")
        programs = Path(found).parent
    asked = subprocess.run([programs / program, "--version"], capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        raise LookupError(f"{program} does not run: {asked.stderr.strip()}")
    words = [word.strip("(),") for word in asked.stdout.split()]
    return InstalledTool(tool, programs, next((word for word in words if word[:1].isdigit()), "unknown"))


def install_requirements(requirements: Sequence[str], folder: Path) -> None:
    pip = (str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check")
    commands = [] if folder.exists() else [[sys.executable, "-m", "venv", str(folder)]]
    commands.append([*pip, *requirements])
    for command in commands:
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        if finished.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            said = finished.stderr.strip().splitlines() or ["no reason given"]
            raise LookupError(f"pip could not install {' '.join(requirements)}: {said[-1]}")
