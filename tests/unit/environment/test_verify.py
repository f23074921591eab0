"""Every way in which an environment can have been changed is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from envforge.environment.generation import Generation
from envforge.environment.verify import ADD, PYTHON, REPAIR, Finding, verify_generation
from envforge.plan.link_plan import LinkMode
from envforge.store.layout import Damage
from envforge.struct import replace

from support.environments import Grounds


def findings(grounds: Grounds, made: Generation, mode: LinkMode = LinkMode.SHARED) -> list[tuple[str, str]]:
    found = verify_generation(made, grounds.plan(mode), grounds.tier)
    assert all(finding.remedy for finding in found)
    site = made.spec.layout.site_packages
    return [(finding.path.replace(site, "SITE"), finding.problem) for finding in found]


@pytest.mark.parametrize("mode", list(LinkMode))
def test_a_fresh_one_is_fine(grounds: Grounds, mode: LinkMode) -> None:
    made = grounds.create(mode)
    (made.site_packages / "__pycache__").mkdir()
    assert findings(grounds, made, mode) == []


def remove_link(made: Generation) -> None:
    (made.site_packages / "alpha").unlink()


def turn_link(made: Generation) -> None:
    remove_link(made)
    (made.site_packages / "alpha").symlink_to("/nowhere")


def replace_link(made: Generation) -> None:
    remove_link(made)
    (made.site_packages / "alpha").mkdir()
    (made.site_packages / "alpha" / "__init__.py").write_text("mine")


def install_by_hand(made: Generation) -> None:
    (made.site_packages / "gamma").mkdir()
    (made.site_packages / "gamma" / "x.py").write_text("")
    (made.scripts / "gamma").write_text("")


def change_script(made: Generation) -> None:
    (made.scripts / "alpha").write_text("#!/bin/sh\n")


def remove_files(made: Generation) -> None:
    (made.scripts / "activate").unlink()
    (made.scripts / "program").unlink()
    (made.path / "pyvenv.cfg").unlink()


def change_program(made: Generation) -> None:
    (made.scripts / "program").unlink()
    (made.scripts / "program").write_bytes(b"other")


def change_python(made: Generation) -> None:
    made.python.unlink()
    made.python.symlink_to("/usr/bin/python2")
    (made.scripts / "python3").unlink()


def remove_data(made: Generation) -> None:
    (made.path / "share/alpha/x.json").unlink()
    (made.path / "share/alpha").rmdir()


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (remove_link, [("SITE/alpha", "missing")]),
        (turn_link, [("SITE/alpha", "points to /nowhere")]),
        (replace_link, [("SITE/alpha/__init__.py", "changed")]),
        (install_by_hand, [("SITE/gamma", "not from a package"), ("bin/gamma", "not from a package")]),
        (change_script, [("bin/alpha", "changed")]),
        (
            remove_files,
            [("bin/activate", "missing"), ("bin/program", "missing"), ("pyvenv.cfg", "missing")],
        ),
        (change_program, [("bin/program", "changed")]),
        (remove_data, [("share/alpha", "missing"), ("share/alpha/x.json", "missing")]),
    ],
)
def test_harm_is_told(
    grounds: Grounds, harm: Callable[[Generation], None], expected: list[tuple[str, str]]
) -> None:
    made = grounds.create()
    harm(made)
    assert sorted(findings(grounds, made)) == sorted(expected)


def test_another_python_is_told(grounds: Grounds) -> None:
    made = grounds.create()
    change_python(made)
    found = findings(grounds, made)
    assert found[0][0] == "bin/python"
    assert "is not a link to" in found[0][1]
    assert found[1] == ("bin/python3", "missing")


@pytest.mark.parametrize("mode", [LinkMode.HARDLINK, LinkMode.COPY])
def test_harm_inside_real_folders_is_told(grounds: Grounds, mode: LinkMode) -> None:
    made = grounds.create(mode)
    package = made.site_packages / "alpha"
    (package / "__init__.py").unlink()
    (package / "new.py").write_text("")
    (made.site_packages / "beta" / "__init__.py").unlink()
    (made.site_packages / "beta" / "__init__.py").write_text("changed")
    assert findings(grounds, made, mode) == [
        ("SITE/alpha/__init__.py", "missing"),
        ("SITE/alpha/new.py", "not from a package"),
        ("SITE/beta/__init__.py", "changed"),
    ]


def test_the_remedy_fits(grounds: Grounds) -> None:
    made = grounds.create()
    install_by_hand(made)
    change_script(made)
    remedies = {
        finding.problem: finding.remedy for finding in verify_generation(made, grounds.plan(), grounds.tier)
    }
    assert remedies == {"not from a package": ADD, "changed": REPAIR}


def test_a_lost_tree_is_told(grounds: Grounds) -> None:
    made = grounds.create()
    tree = grounds.tier / "trees" / grounds.forest.trees[1].id
    plan = grounds.plan()
    tree.chmod(0o755)
    tree.rename(tree.with_name("gone"))
    found = verify_generation(made, plan, grounds.tier)
    assert [finding.problem for finding in found] == [
        f"the store has lost trees/{tree.name}/lib/{path}"
        for path in ("beta", "beta-1.0.dist-info", "ns/beta.py")
    ]


def test_damage_in_the_store_is_passed_on(grounds: Grounds) -> None:
    made = grounds.create()
    identity = grounds.forest.trees[0].id

    def check(tree_id: str) -> list[Damage]:
        return [Damage(tree_id, "lib/alpha/__init__.py", "changed")] if tree_id == identity else []

    assert verify_generation(made, grounds.plan(), grounds.tier, check_tree=check) == [
        Finding(f"trees/{identity}/lib/alpha/__init__.py", "changed (alpha 1.0)", REPAIR)
    ]


def test_the_interpreters_version_is_asked_for(grounds: Grounds) -> None:
    made = grounds.create()
    plan = grounds.plan()
    version = grounds.interpreter.version
    assert verify_generation(made, plan, grounds.tier, ask_version=lambda _: version) == []
    [finding] = verify_generation(made, plan, grounds.tier, ask_version=lambda _: "9.9.9")
    assert finding == Finding("bin/python", f"Python is 9.9.9, it was {version}", PYTHON)


def test_an_interpreter_that_is_gone_is_told(grounds: Grounds, tmp_path: Path) -> None:
    place = tmp_path / "python"
    place.symlink_to(grounds.interpreter.executable)
    made = grounds.create(interpreter=replace(grounds.interpreter, executable=str(place)))
    os.unlink(place)
    [finding] = verify_generation(made, grounds.plan(), grounds.tier)
    assert finding.problem == f"Python is gone: {place}"
    assert finding.remedy == PYTHON
