"""Real environments: run by every interpreter here, activated by every shell here, killed at many moments."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envforge.environment.activation import activated_environment
from envforge.environment.generation import Generation, create_generation, read_generation
from envforge.environment.prefix_contents import with_prefix_data
from envforge.environment.switch import current_generation, switch
from envforge.environment.verify import verify_generation
from envforge.errors import StoreError
from envforge.events import SilentReporter
from envforge.model.host import Interpreter
from envforge.model.tree import EntryPoint
from envforge.plan.link_plan import LinkMode

from support.environments import Grounds, base_interpreter, interpreters
from support.prefixes import PlantedPrefix

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the trees here are planted for Linux")

DISTRIBUTIONS = """
import importlib.metadata as m
print(sorted((d.metadata["Name"], d.version, d.read_text("INSTALLER").strip()) for d in m.distributions()))
"""


def plant(grounds: Grounds) -> None:
    grounds.forest.plant(
        "alpha",
        {"alpha/__init__.py": "def main():\n    import beta\n    print('alpha', beta.value)\n"},
        points=(EntryPoint(name="alpha", module="alpha", attribute="main"),),
        scripts={"old": "#!python\nimport alpha, sys\nprint(sys.prefix)\n"},
        data={"share/alpha/x.json": "{}"},
    )
    grounds.forest.plant("beta", {"beta/__init__.py": "value = 42\n", "beta/late.py": "value = 'late'\n"})
    grounds.forest.plant("space", {"names/one/__init__.py": "one = 1\n"})
    grounds.forest.plant("spaces", {"names/two/__init__.py": "two = 2\n"})


@pytest.fixture
def grounds(tmp_path: Path) -> Grounds:
    grounds = Grounds(tmp_path)
    plant(grounds)
    return grounds


def plain_environment(**changes: str) -> dict[str, str]:
    """This process's environment without what would disturb a Python or hide its bytecode."""
    dropped = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
    return {**{name: value for name, value in os.environ.items() if name not in dropped}, **changes}


def run(*command: str | Path, **options: object) -> str:
    options.setdefault("env", plain_environment())
    ran = subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    assert ran.returncode == 0, ran.stderr
    return str(ran.stdout).rstrip("\n")


@pytest.mark.parametrize("interpreter", interpreters(), ids=lambda interpreter: interpreter.version)
@pytest.mark.parametrize("mode", list(LinkMode))
def test_an_environment_works(tmp_path: Path, interpreter: Interpreter, mode: LinkMode) -> None:
    grounds = Grounds(tmp_path, interpreter)
    plant(grounds)
    made = grounds.create(mode)
    switch(grounds.venv, made, now_s=0)
    python = grounds.venv / "bin/python"
    assert run(python, "-c", "import sys; print(sys.prefix)") == str(grounds.venv)
    assert run(made.python, "-c", "import sys; print(sys.prefix)") == str(made.path)
    assert run(python, "-c", "import sys; print(sys.base_prefix, sys.version.split()[0])") == (
        f"{interpreter.base_prefix} {interpreter.version}"
    )
    code = "import sysconfig; print(sysconfig.get_path('purelib'), sysconfig.get_path('platlib'))"
    site = grounds.venv / made.spec.layout.site_packages
    assert run(python, "-c", code) == f"{site} {site}"
    assert run(python, "-c", DISTRIBUTIONS) == str(
        [(name, "1.0", "envforge") for name in ("alpha", "beta", "space", "spaces")]
    )
    assert run(grounds.venv / "bin/alpha") == "alpha 42"
    assert run(grounds.venv / "bin/old") == str(made.path)
    assert run(python, "-c", "from names.one import one; from names.two import two; print(one, two)") == "1 2"
    assert run(f"{python}3", "-c", "print('x')") == run(f"{python}{interpreter.minor}", "-c", "print('x')")


def test_the_tools_of_the_standard_library_see_a_virtual_environment(grounds: Grounds) -> None:
    made = grounds.create()
    code = "import site, sysconfig; print(site.ENABLE_USER_SITE, sysconfig.get_default_scheme())"
    assert run(made.python, "-c", code) == "False venv"


def test_bytecode_is_written_into_the_tree_and_found_by_the_next_environment(grounds: Grounds) -> None:
    first = grounds.create()
    run(first.python, "-c", "import beta.late")
    bytecode = grounds.tier / "trees" / grounds.forest.trees[1].id / "lib/beta/__pycache__"
    written = {path.name: path.stat().st_mtime_ns for path in bytecode.iterdir()}
    assert len(written) == 2
    second = grounds.create(prompt="second")
    assert first.path != second.path
    report = subprocess.run(
        [second.python, "-v", "-c", "import beta.late"],
        capture_output=True, text=True, env=plain_environment(), check=True,
    ).stderr  # fmt: skip
    assert "matches" in next(line for line in report.splitlines() if "late.cpython" in line)
    assert {path.name: path.stat().st_mtime_ns for path in bytecode.iterdir()} == written


@pytest.mark.parametrize("mode", [LinkMode.HARDLINK, LinkMode.COPY])
def test_bytecode_of_the_tree_is_valid_in_real_folders(grounds: Grounds, mode: LinkMode) -> None:
    run(grounds.create().python, "-c", "import beta.late")
    made = grounds.create(mode)
    report = subprocess.run(
        [made.python, "-v", "-c", "import beta.late"],
        capture_output=True, text=True, env=plain_environment(), check=True,
    ).stderr  # fmt: skip
    assert "matches" in next(line for line in report.splitlines() if "late.cpython" in line)


SHELLS = {
    "bash": ("activate", ["bash", "--norc", "-eu"]),
    "dash": ("activate", ["dash", "-eu"]),
    "zsh": ("activate", ["zsh", "-feu"]),
    "fish": ("activate.fish", ["fish", "--no-config"]),
    "tcsh": ("activate.csh", ["tcsh", "-f"]),
}


@pytest.mark.parametrize("shell", list(SHELLS))
@pytest.mark.parametrize("folder", ["plain", "it's a $HOME `x` \\ (1)! %"])
def test_activation(tmp_path: Path, shell: str, folder: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    script, command = SHELLS[shell]
    grounds = Grounds(tmp_path, project_name=folder)
    plant(grounds)
    made = grounds.create()
    switch(grounds.venv, made, now_s=0)
    path = shlex_path(grounds.venv / "bin" / script, shell)
    lines = [
        f"{'.' if shell == 'dash' else 'source'} {path}",
        "printenv VIRTUAL_ENV",
        "printenv VIRTUAL_ENV_PROMPT",
        "which python",
        "alpha",
        "python -c 'import sys; print(sys.prefix)'",
        "deactivate",
        "sh -c 'echo ${VIRTUAL_ENV-none} $PYTHONHOME $PATH'",
    ]
    environment = plain_environment(PYTHONHOME="/nowhere", PATH=os.environ["PATH"])
    output = run(*command, env=environment, input="\n".join([*lines, ""])).splitlines()
    assert output == [
        str(grounds.venv),
        "demo",
        f"{grounds.venv}/bin/python",
        "alpha 42",
        str(grounds.venv),
        f"none /nowhere {os.environ['PATH']}",
    ]


CONDA_SCRIPTS = {
    "sh": (
        'export CONDA_SAID="in $CONDA_PREFIX"\nfalse\n',
        'test "$CONDA_SAID" = "in $CONDA_PREFIX" && export LEFT="$(printenv OWN)"; unset CONDA_SAID\n',
    ),
    "fish": (
        'set -gx CONDA_SAID "in $CONDA_PREFIX"\nfalse\n',
        'test "$CONDA_SAID" = "in $CONDA_PREFIX"; and set -gx LEFT (printenv OWN); set -e CONDA_SAID\n',
    ),
    "csh": (
        'setenv CONDA_SAID "in $CONDA_PREFIX"\n',
        'if ("$CONDA_SAID" == "in $CONDA_PREFIX") setenv LEFT "$OWN"\nunsetenv CONDA_SAID\n',
    ),
}


@pytest.mark.parametrize("shell", list(SHELLS))
@pytest.mark.parametrize("folder", ["plain", "it's a $HOME `x` \\ (1)! %"])
def test_activation_of_a_conda_prefix(tmp_path: Path, shell: str, folder: str) -> None:
    """Both are on the PATH; packages' variables and scripts come, and what was before comes back."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    script, command = SHELLS[shell]
    grounds = Grounds(tmp_path, project_name=folder)
    plant(grounds)
    made = create_based(grounds)
    switch(grounds.venv, made, now_s=0)
    prefix = made.spec.prefix
    assert prefix is not None
    path = shlex_path(grounds.venv / "bin" / script, shell)
    lines = [
        f"{'.' if shell == 'dash' else 'source'} {path}",
        "printenv CONDA_PREFIX",
        "printenv CONDA_DEFAULT_ENV",
        "printenv CONDA_SHLVL",
        "printenv OWN",
        "printenv CONDA_SAID",
        "which python",
        "which native",
        "alpha",
        "deactivate",
        "sh -c 'echo $CONDA_PREFIX $CONDA_SHLVL ${CONDA_DEFAULT_ENV-none} ${OWN-none} ${CONDA_SAID-none}'",
        "sh -c 'echo $LEFT; echo $PATH'",
    ]
    environment = plain_environment(PATH=os.environ["PATH"], CONDA_PREFIX="/opt/x", CONDA_SHLVL="2")
    output = run(*command, env=environment, input="\n".join([*lines, ""])).splitlines()
    assert output == [
        prefix.path,
        "demo",
        "1",
        "it's $5!",
        f"in {prefix.path}",
        f"{grounds.venv}/bin/python",
        f"{prefix.path}/bin/native",
        "alpha 42",
        "/opt/x 2 none none none",
        "it's $5!",
        os.environ["PATH"],
    ]


@pytest.mark.parametrize("shell", list(SHELLS))
def test_from_one_environment_into_another(tmp_path: Path, shell: str) -> None:
    """What the first one entered is left, whether or not the second one has a prefix."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    script, command = SHELLS[shell]
    one, two = Grounds(tmp_path / "one"), Grounds(tmp_path / "two")
    made = create_based(one)
    switch(one.venv, made, now_s=0)
    switch(two.venv, two.create(), now_s=0)
    assert made.spec.prefix is not None
    source = "." if shell == "dash" else "source"
    lines = [
        f"{source} {one.venv}/bin/{script}",
        f"{source} {two.venv}/bin/{script}",
        "sh -c 'echo ${CONDA_PREFIX-none} ${OWN-none} ${CONDA_SAID-none} $LEFT'",
        f"{source} {one.venv}/bin/{script}",
        f"{source} {one.venv}/bin/{script}",
        "printenv CONDA_SAID",
        "deactivate",
        "sh -c 'echo ${CONDA_PREFIX-none} $PATH'",
    ]
    output = run(*command, env=plain_environment(), input="\n".join([*lines, ""])).splitlines()
    assert output == [
        "none none none it's $5!",
        f"in {made.spec.prefix.path}",
        f"none {os.environ['PATH']}",
    ]


def create_based(grounds: Grounds) -> Generation:
    """A generation on a prefix whose packages want to be activated in every shell."""
    prefix = PlantedPrefix(grounds.tier / "prefixes" / "abc")
    files = {"etc/conda/env_vars.d/one.json": json.dumps({"OWN": "it's $5!"}), "bin/native": "#!/bin/sh\n"}
    for suffix, (enter, leave) in CONDA_SCRIPTS.items():
        files[f"etc/conda/activate.d/one.{suffix}"] = enter
        files[f"etc/conda/deactivate.d/one.{suffix}"] = leave
    prefix.install("one", files)
    spec = grounds.spec(interpreter=prefix.interpreter, prefix=prefix.value)
    plan = with_prefix_data(grounds.plan(), spec, grounds.tier)
    return create_generation(spec, plan, grounds.tier, grounds.environments, SilentReporter())


def shlex_path(path: Path, shell: str) -> str:
    """A path as the user of that shell has to type it."""
    text = str(path)
    if shell == "fish":
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    quoted = "'" + text.replace("'", "'\\''") + "'"
    return quoted.replace("!", "\\!") if shell == "tcsh" else quoted


def test_the_prompt_shows_where_one_is(grounds: Grounds) -> None:
    made = grounds.create()
    line = f'PS1=\'$ \'; source {made.scripts}/activate; echo "$PS1"; deactivate; echo "$PS1"'
    assert run("bash", "--norc", "-c", line).splitlines() == ["(demo) $ ", "$ "]
    quiet = run("bash", "--norc", "-c", line, env=plain_environment(VIRTUAL_ENV_DISABLE_PROMPT="1"))
    assert quiet.splitlines() == ["$ ", "$ "]


def test_activating_twice_does_not_pile_up(grounds: Grounds) -> None:
    made = grounds.create()
    line = f'source {made.scripts}/activate; source {made.scripts}/activate; deactivate; echo "$PATH"'
    assert run("bash", "--norc", "-c", line) == os.environ["PATH"]


def test_a_running_process_keeps_its_environment_when_venv_is_switched(grounds: Grounds) -> None:
    """``run`` starts from the generation's own path, so a late import finds what the job began with."""
    old = grounds.create()
    switch(grounds.venv, old, now_s=0)
    code = "import beta; print('up', flush=True); input(); import beta.late; print(beta.late.value)"
    process = subprocess.Popen(
        ["python", "-c", code],
        env=activated_environment(old, grounds.venv, plain_environment()),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        grounds.forest.trees[:] = grounds.forest.trees[:1]
        new = grounds.create()
        switch(grounds.venv, new, now_s=1)
        assert current_generation(grounds.venv) == new
        output, _ = process.communicate("\n")
    assert output == "late\n"
    assert "beta" not in run(grounds.venv / "bin/python", "-c", DISTRIBUTIONS)


def in_child(work: Callable[[], object]) -> int:
    """Do something in a process of its own; returns its id."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


@pytest.mark.parametrize("mode", list(LinkMode))
def test_killed_at_any_moment_the_next_one_is_right(tmp_path: Path, mode: LinkMode) -> None:
    grounds = Grounds(tmp_path)
    plant(grounds)
    for number in range(40):
        grounds.forest.plant(f"p{number}", {f"p{number}/{name}.py": "x = 1\n" for name in "abc"})
    plan = grounds.plan(mode)
    start = time.perf_counter()
    grounds.create(mode, prompt="to measure")
    duration_s = time.perf_counter() - start

    def change() -> Generation:
        made = grounds.create(mode, prompt=f"round {turn}")
        switch(grounds.venv, made, now_s=turn)
        return made

    unfinished = 0
    for turn in range(15):
        child = in_child(change)
        time.sleep(duration_s * turn / 12)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        place = grounds.environments / grounds.spec(mode, prompt=f"round {turn}").digest
        made = read_generation(place)
        assert (made is None) == (not place.exists())
        if made is None:
            unfinished += 1
            before = current_generation(grounds.venv)
            assert before is None or verify_generation(before, plan, grounds.tier) == []
        made = change()
        assert verify_generation(made, plan, grounds.tier) == []
        assert current_generation(grounds.venv) == made
        # killed while it wrote the history, the child left nothing to make: the next that is made sweeps
        grounds.create(mode, prompt=f"after round {turn}")
        assert not [name for name in os.listdir(grounds.environments) if name.startswith(".tmp")]
        assert os.listdir(grounds.project) == [".venv"]
    assert unfinished, "no child was killed while it worked: the test proves nothing"


def test_many_processes_make_the_same_environment(grounds: Grounds) -> None:
    children = [in_child(grounds.create) for _ in range(8)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 8
    assert os.listdir(grounds.environments) == [grounds.spec().digest]
    assert verify_generation(grounds.create(), grounds.plan(), grounds.tier) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    options = "size=256k,nr_inodes=120"
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", place], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("mode", list(LinkMode))
def test_a_full_disk(tmp_path: Path, small_disk: Path, mode: LinkMode) -> None:
    grounds = Grounds(tmp_path / "big")
    grounds.environments = small_disk / "envs"
    for number in range(60):
        library = {f"p{number}/{name}.py": "x" * 4000 for name in "abc"}
        grounds.forest.plant(f"p{number}", library)
    with pytest.raises(StoreError, match="no space left") as raised:
        grounds.create(mode)
    assert any("free inodes" in line for line in raised.value.context)
    assert raised.value.hints
    assert os.listdir(grounds.environments) == []


def test_a_read_only_disk(tmp_path: Path, small_disk: Path) -> None:
    grounds = Grounds(tmp_path / "big", base_interpreter())
    grounds.environments = small_disk / "envs"
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StoreError, match="read-only") as raised:
        grounds.create()
    assert raised.value.hints
