"""A generation that stands on a conda prefix: one environment out of both."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from envforge.environment.activation import activated_environment
from envforge.environment.activation_run import ScriptFailure, run_activation_scripts
from envforge.environment.collect import collect_generations, survey_generations
from envforge.environment.conda_activation import read_activation
from envforge.environment.generation import (
    Generation,
    create_generation,
    read_generation,
    read_recorded_generation,
)
from envforge.environment.prefix_contents import prefix_scripts, with_prefix_data
from envforge.environment.spec import parse_spec, spec_fields
from envforge.environment.switch import current_generation, recorded_generation, rollback, switch
from envforge.environment.verify import verify_generation
from envforge.events import Event, Warned
from envforge.plan.link_plan import LinkMode

from support.ages import let_pass
from support.environments import Grounds
from support.prefixes import PlantedPrefix

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the prefix is planted for POSIX")


def python(made: Generation, code: str, **variables: str) -> str:
    environ = {"PATH": "/usr/bin:/bin", **variables}
    done = subprocess.run([made.python, "-c", code], capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_its_python_is_the_prefixes_and_sees_both_worlds(based: Generation, prefix: PlantedPrefix) -> None:
    assert python(based, "import sys; print(sys.prefix, sys.base_prefix)") == f"{based.path} {prefix.path}"
    code = "import importlib.metadata as m; print(sorted(d.metadata['Name'] for d in m.distributions()))"
    assert python(based, code) == "['alpha', 'beta', 'tool']"
    assert python(based, "import alpha, tool; print(tool.__file__)") == (
        f"{prefix.path}/{prefix.site_packages}/tool.py"
    )


def test_what_pypi_brought_comes_first(grounds: Grounds, based: Generation, prefix: PlantedPrefix) -> None:
    prefix.install_python("beta", "where = 'conda'\n")
    assert python(based, "import beta; print(beta.__file__)").startswith(str(based.path))


def test_packages_of_the_user_are_not_seen(tmp_path: Path, based: Generation) -> None:
    minor = based.spec.interpreter.minor
    folder = tmp_path / "home" / ".local" / "lib" / f"python{minor}" / "site-packages"
    folder.mkdir(parents=True)
    (folder / "tool.py").write_text("raise SystemExit('of the user')")
    home = str(tmp_path / "home")
    assert "tool.py" in python(based, "import tool; print(tool.__file__)", HOME=home)
    assert python(based, "import site; print(site.ENABLE_USER_SITE)", HOME=home) == "False"


def test_scripts_of_conda_see_what_pypi_brought(based: Generation, prefix: PlantedPrefix) -> None:
    script = based.scripts / "tool"
    done = subprocess.run([script], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    assert done.stdout.strip() == str(based.path), done.stderr
    assert (prefix.path / "bin/tool").read_text().startswith(f"#!{prefix.path}/bin/")
    assert not (based.scripts / "native").exists()
    assert not (based.scripts / "shell-tool").exists()


@pytest.mark.parametrize(
    ("start", "rest"),
    [
        ("#!@PREFIX@/bin/python -E\n", b"x\n"),
        ("#!/usr/bin/env python\n", b"x\n"),
        ("#!/usr/bin/env python3.11\r\n", b"x\n"),
        ("#!/bin/sh\n'''exec' \"@PREFIX@/bin/python3.11\" \"$0\" \"$@\"\n' '''\n", b"x\n"),
        ("#!/bin/bash\n'''exec' @PREFIX@/bin/python \"$0\" \"$@\" #'''\n", b"x\n"),
        ("#!/other/bin/python3\n", None),
        ("#!/bin/sh\nexec python\n", None),
        ("#!/usr/bin/env python-build\n", None),
        ("", None),
    ],
)
def test_which_scripts_are_repeated(
    grounds: Grounds, prefix: PlantedPrefix, start: str, rest: bytes | None
) -> None:
    prefix.install("any", {"bin/any": f"{start}x\n"})
    spec = grounds.spec(interpreter=prefix.interpreter, prefix=prefix.value)
    content = prefix_scripts(spec, grounds.plan(), "/g/bin/python").get("bin/any")
    options = b" -E" if "-E" in start else b""
    assert content == (None if rest is None else b"#!/g/bin/python" + options + b"\n" + rest)


def test_a_script_of_pypi_wins(grounds: Grounds, prefix: PlantedPrefix) -> None:
    prefix.install(
        "other", {"bin/alpha": "#!@PREFIX@/bin/python\n", "bin/activate": "#!/usr/bin/env python\n"}
    )
    spec = grounds.spec(interpreter=prefix.interpreter, prefix=prefix.value)
    assert list(prefix_scripts(spec, grounds.plan(), "/g/bin/python")) == ["bin/tool"]


def test_data_is_found_below_the_environment(based: Generation, prefix: PlantedPrefix) -> None:
    share = based.path / "share"
    assert (share / "data").is_symlink()
    assert (share / "data/table.txt").read_text() == "rows"
    assert sorted(os.listdir(share / "alpha")) == ["x.json", "y.json"]
    assert not (based.path / "etc").exists()


def test_what_is_written_beside_data_of_jupyter_stays_out_of_the_prefix(
    based: Generation, prefix: PlantedPrefix
) -> None:
    assert (based.path / "share/jupyter/lab/settings.json").exists()
    (based.path / "share/jupyter/lab/new.json").write_text("{}")
    assert not (prefix.path / "share/jupyter/lab/new.json").exists()


def test_kernels_start_the_environments_python(based: Generation) -> None:
    kernel = json.loads((based.path / "share/jupyter/kernels/python3/kernel.json").read_text())
    assert kernel["argv"][0] == str(based.python)


@pytest.mark.parametrize("mode", list(LinkMode))
def test_link_modes_are_for_what_pypi_brings(grounds: Grounds, prefix: PlantedPrefix, mode: LinkMode) -> None:
    spec = grounds.spec(mode, interpreter=prefix.interpreter, prefix=prefix.value)
    plan = with_prefix_data(grounds.plan(mode), spec, grounds.tier)
    made = create_generation(spec, plan, grounds.tier, grounds.environments, Silent())
    assert (made.site_packages / "alpha").is_symlink() == (mode is LinkMode.SHARED)
    assert (made.path / "share/data").is_symlink()
    assert python(made, "import alpha, tool") == ""
    assert verify_generation(made, plan, grounds.tier) == []


def test_nothing_but_conda(grounds: Grounds, prefix: PlantedPrefix) -> None:
    grounds.forest.trees.clear()
    spec = grounds.spec(interpreter=prefix.interpreter, prefix=prefix.value)
    plan = with_prefix_data(grounds.plan(), spec, grounds.tier)
    made = create_generation(spec, plan, grounds.tier, grounds.environments, Silent())
    assert python(made, "import tool; print('there')") == "there"


class Silent:
    def __init__(self) -> None:
        self.heard: list[Event] = []

    def report(self, event: Event) -> None:
        self.heard.append(event)


def test_the_marker_names_the_prefix(based: Generation, prefix: PlantedPrefix) -> None:
    read = read_generation(based.path)
    assert read == based
    assert read is not None
    assert read.spec.prefix == prefix.value
    assert parse_spec(json.loads(json.dumps(spec_fields(based.spec)))) == based.spec


def test_another_prefix_is_another_generation(grounds: Grounds, prefix: PlantedPrefix) -> None:
    before = grounds.spec(interpreter=prefix.interpreter, prefix=prefix.value).digest
    assert grounds.spec(interpreter=prefix.interpreter).digest != before
    prefix.install("more", {})
    assert grounds.spec(interpreter=prefix.interpreter, prefix=prefix.value).digest != before


def test_without_its_prefix_it_is_not_found_but_known(
    grounds: Grounds, based: Generation, prefix: PlantedPrefix
) -> None:
    switch(grounds.venv, based, now_s=0)
    prefix.path.rename(prefix.path.with_name("away"))
    assert read_generation(based.path) is None
    assert current_generation(grounds.venv) is None
    assert read_recorded_generation(based.path) == based
    assert recorded_generation(grounds.venv) == based
    prefix.path.with_name("away").rename(prefix.path)
    assert current_generation(grounds.venv) == based


def test_rollback_passes_over_those_whose_prefix_is_gone(
    grounds: Grounds, based: Generation, prefix: PlantedPrefix
) -> None:
    plain = grounds.create()
    for time_s, generation in enumerate([plain, based, grounds.create(prompt="newest")]):
        switch(grounds.venv, generation, now_s=time_s)
    shutil.rmtree(prefix.path)
    assert rollback(grounds.venv) == plain


def prefixes_in_use(tier: Path) -> set[str]:
    return {found.prefix for found in survey_generations(tier, [], time.time()) if found.prefix}


def test_prefixes_in_use_are_known_and_not_collected_with_generations(
    grounds: Grounds, based: Generation, prefix: PlantedPrefix
) -> None:
    assert prefixes_in_use(grounds.tier) == {str(prefix.path)}
    for time_s, generation in enumerate([based, grounds.create()]):
        switch(grounds.venv, generation, now_s=time_s)
    let_pass(grounds.tier)
    assert collect_generations(grounds.environments, grounds.venv, keep=1) == [based.digest]
    assert prefixes_in_use(grounds.tier) == set()
    assert (prefix.path / "share/data/table.txt").exists()
    assert (prefix.path / "bin/tool").exists()


def test_the_current_one_stays_even_without_its_prefix(
    grounds: Grounds, based: Generation, prefix: PlantedPrefix
) -> None:
    switch(grounds.venv, based, now_s=0)
    shutil.rmtree(prefix.path)
    assert collect_generations(grounds.environments, grounds.venv, keep=0) == []


# Variables of run and shell


def test_variables(grounds: Grounds, based: Generation, prefix: PlantedPrefix) -> None:
    conda = read_activation(str(prefix.path), "demo", windows=False)
    base = {"PATH": f"/usr/bin:{prefix.path}/bin:/bin", "CONDA_PREFIX": "/opt/conda", "CONDA_SHLVL": "3"}
    once = activated_environment(based, grounds.venv, base, conda)
    assert once == {
        "PATH": f"{based.scripts}:{prefix.path}/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": str(based.path),
        "VIRTUAL_ENV_PROMPT": "demo",
        "CONDA_PREFIX": str(prefix.path),
        "CONDA_DEFAULT_ENV": "demo",
        "CONDA_SHLVL": "1",
        "DATA_LEVEL": "it's 5",
    }
    assert activated_environment(based, grounds.venv, once, conda) == once


def test_the_prefix_of_the_environment_around_leaves_the_path(
    grounds: Grounds, based: Generation, prefix: PlantedPrefix
) -> None:
    switch(grounds.venv, based, now_s=0)
    conda = read_activation(str(prefix.path), "demo", windows=False)
    outer = activated_environment(based, grounds.venv, {"PATH": "/usr/bin"}, conda)
    plain = grounds.create()
    for active in (str(based.path), str(grounds.venv)):
        inner = activated_environment(plain, grounds.root / "x/.venv", {**outer, "VIRTUAL_ENV": active})
        assert inner["PATH"] == f"{plain.scripts}:/usr/bin"


def scripts(tmp_path: Path, *texts: str) -> list[str]:
    places = [tmp_path / f"{number}.sh" for number in range(len(texts))]
    for place, text in zip(places, texts, strict=True):
        place.write_text(text)
    return [str(place) for place in places]


BASE = {"PATH": "/usr/bin:/bin", "HOME": "/home/x", "EMPTY": ""}


def test_what_scripts_set_and_unset_is_taken_over(tmp_path: Path) -> None:
    found = scripts(
        tmp_path,
        'export LINES2="one\ntwo=2\n"; local_only=1; export PATH="/added:$PATH"',
        'unset HOME; export SEEN="$LINES2$local_only"; cd /; echo said',
    )
    after, failures = run_activation_scripts(found, BASE)
    assert failures == []
    assert after == {
        "PATH": "/added:/usr/bin:/bin",
        "EMPTY": "",
        "LINES2": "one\ntwo=2\n",
        "SEEN": "one\ntwo=2\n1",
    }


def test_values_that_are_no_text(tmp_path: Path) -> None:
    after, _ = run_activation_scripts(scripts(tmp_path, "export BYTES=$(printf 'a\\377')"), BASE)
    assert os.fsencode(after["BYTES"]) == b"a\xff"


def test_a_script_that_fails_is_told_and_the_others_run(tmp_path: Path) -> None:
    found = scripts(
        tmp_path,
        "export A=1; echo 'cannot do it' >&2; return 4",
        '[ -n "$NOT_THERE" ] && export X=1',
        "export B=2; echo leaving; exit 3",
        "export C=3",
        "exit 0",
        "export D=4",
    )
    after, failures = run_activation_scripts(found, BASE)
    assert failures == [
        ScriptFailure(found[0], 4, "cannot do it"),
        ScriptFailure(found[2], 3, "leaving"),
    ]
    assert after == {**BASE, "A": "1", "B": "2", "C": "3", "D": "4"}


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_a_script_that_is_no_script(tmp_path: Path, shell: str) -> None:
    path = "/usr/bin:/bin" if shell == "bash" else "/nowhere"
    found = scripts(tmp_path, "if then\n", "export A=1")
    after, failures = run_activation_scripts([*found, "/nowhere/at.all"], {"PATH": path})
    assert [failure.script for failure in failures] == [found[0], "/nowhere/at.all"]
    assert all(failure.status and failure.output for failure in failures)
    assert after == {"PATH": path, "A": "1"}


def test_a_shell_that_is_killed(tmp_path: Path) -> None:
    found = scripts(tmp_path, "kill -9 $$", "export A=1")
    after, failures = run_activation_scripts(found, BASE)
    assert failures == [ScriptFailure(found[0], -9, "")]
    assert after == {**BASE, "A": "1"}


def test_what_runs_on_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    found = scripts(tmp_path, "sleep 60 & export JOB=$!")
    after, failures = run_activation_scripts(found, BASE)
    assert failures == []
    os.kill(int(after["JOB"]), 9)


def test_files_that_shells_read_first_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("export SURPRISE=1\n")
    base = {**BASE, "BASH_ENV": str(tmp_path / "env")}
    after, _ = run_activation_scripts(scripts(tmp_path, "export A=1"), base)
    assert after == {**base, "A": "1"}


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"A B": "x"}', '{"A": 5}', '{"A": "x\\u0000"}', '{"$(touch x)": "1"}']
)
def test_variables_that_cannot_be(grounds: Grounds, prefix: PlantedPrefix, content: str) -> None:
    prefix.install("bad", {"etc/conda/env_vars.d/bad.json": content})
    listener = Silent()
    spec = grounds.spec(interpreter=prefix.interpreter, prefix=prefix.value)
    plan = with_prefix_data(grounds.plan(), spec, grounds.tier)
    create_generation(spec, plan, grounds.tier, grounds.environments, listener)
    warnings = [event.message for event in listener.heard if isinstance(event, Warned)]
    assert len(warnings) == 1
    assert "bad.json" in warnings[0]
    found = read_activation(str(prefix.path), "demo", windows=False)
    assert set(found.variables) == {"CONDA_PREFIX", "CONDA_DEFAULT_ENV", "CONDA_SHLVL", "DATA_LEVEL"}


def test_folders_on_windows() -> None:
    found = read_activation(r"C:\p", "demo", windows=True)
    assert found.folders == (
        r"C:\p",
        r"C:\p\Library\mingw-w64\bin",
        r"C:\p\Library\usr\bin",
        r"C:\p\Library\bin",
        r"C:\p\Scripts",
        r"C:\p\bin",
    )
