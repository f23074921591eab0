"""Where ``.venv`` leads, and whose link on a host is followed. What nodes do: system/test_nodes.py."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from envforge.environment.switch import (
    check_replaceable,
    current_generation,
    meant_generation,
    rollback,
    switch,
)
from envforge.environment.venv_link import (
    BASES,
    find_host_target,
    find_target,
    host_link_owner,
    new_host_link,
    write_host_link,
)
from envforge.errors import GenerationError
from envforge.struct import replace

from support.environments import Grounds
from support.nodes import require_nodes, shared_folder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such links")


@pytest.fixture
def link() -> Iterator[str]:
    """A text for a ``.venv``; what is made of it goes."""
    text = new_host_link("demo", BASES[0])
    yield text
    folder = os.path.dirname(text)
    subprocess.run(["rm", "-rf", folder], check=True)


def test_a_new_link_is_recognised_and_never_the_same(link: str) -> None:
    assert host_link_owner(link) == os.geteuid()
    assert new_host_link("demo", BASES[0]) != link
    assert new_host_link(" a/b é", "/var/tmp").endswith("/_a_b__")
    assert new_host_link("..", BASES[0]).endswith("/venv")
    assert host_link_owner(new_host_link("..", BASES[0])) == os.geteuid()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/cache/tier/envs/demo-0123456789ab/abcdefghijklmnopqrst",
        "../tier/envs/demo",
        "/tmp/envforge-0-short/demo",
        "/tmp/envforge-x-abcdefghijklmnop/demo",
        "/tmp/other-0-abcdefghijklmnop/demo",
        "/home/envforge-0-abcdefghijklmnop/demo",
        "/tmp/envforge-0-abcdefghijklmnop/demo/more",
        "envforge-0-abcdefghijklmnop/demo",
    ],
)
def test_other_texts_are_no_such_links(text: str) -> None:
    assert host_link_owner(text) is None


def test_written_and_followed(link: str, tmp_path: Path) -> None:
    venv = tmp_path / ".venv"
    venv.symlink_to(link)
    assert find_target(str(venv)) is None
    for target in ("/tier/one", "/tier/two"):
        write_host_link(link, target)
        assert find_target(str(venv)) == target
    folder = os.path.dirname(link)
    assert os.lstat(folder).st_mode & 0o777 == 0o700
    assert os.listdir(folder) == ["demo"]


def test_straight_links_are_followed_from_where_they_are(tmp_path: Path) -> None:
    venv = tmp_path / "project" / ".venv"
    venv.parent.mkdir()
    assert find_target(str(venv)) is None
    venv.symlink_to("../tier/envs/x/y")
    assert find_target(str(venv)) == str(tmp_path / "tier/envs/x/y")
    venv.unlink()
    venv.mkdir()
    assert find_target(str(venv)) is None


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o702])
def test_a_folder_that_others_can_write_to_is_not_followed(link: str, mode: int) -> None:
    write_host_link(link, "/tier/one")
    os.chmod(os.path.dirname(link), mode)
    assert find_host_target(link) is None
    with pytest.raises(GenerationError, match="only you can write to") as raised:
        write_host_link(link, "/tier/two")
    assert raised.value.hints


def test_a_folder_of_another_user_is_not_followed(link: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    write_host_link(link, "/tier/one")
    os.chown(os.path.dirname(link), 4711, -1)
    assert find_host_target(link) is None


def test_a_link_of_another_user_is_replaced(grounds: Grounds) -> None:
    theirs = new_host_link("demo", BASES[0]).replace(f"-{os.geteuid()}-", "-4711-")
    grounds.venv.symlink_to(theirs)
    check_replaceable(grounds.venv)
    made = grounds.create()
    assert switch(grounds.venv, made, now_s=0)
    assert os.readlink(grounds.venv) == str(made.path)


def test_once_a_link_of_each_host_it_stays_one(grounds: Grounds, link: str) -> None:
    grounds.venv.symlink_to(link)
    first, second = (grounds.create(prompt=prompt) for prompt in ("one", "two"))
    assert switch(grounds.venv, first, now_s=0)
    assert not switch(grounds.venv, first, now_s=1)
    assert switch(grounds.venv, second, now_s=2)
    assert (os.readlink(grounds.venv), os.readlink(link)) == (link, str(second.path))
    assert meant_generation(grounds.venv) == second.path
    assert rollback(grounds.venv) == first
    assert (os.readlink(grounds.venv), current_generation(grounds.venv)) == (link, first)
    assert (grounds.venv / "bin/python").exists()


@pytest.mark.parametrize("change", ["variant", "platform", "Python"])
def test_a_host_of_another_kind_gets_its_own(tmp_path: Path, change: str) -> None:
    """Project and tier are seen by all: straight, until an environment comes that is not for all."""
    require_nodes()
    with shared_folder(tmp_path / "real", tmp_path / "shared") as shared:
        grounds = Grounds(shared)
        first = grounds.create()
        switch(grounds.venv, first, now_s=0)
        switch(grounds.venv, grounds.create(prompt="changed"), now_s=1)
        assert os.readlink(grounds.venv).startswith(str(shared))
        if change == "variant":
            other = grounds.create(target="linux-64:cuda")
        elif change == "platform":
            arm = replace(grounds.interpreter, platform="linux-aarch64")
            other = grounds.create(target="linux-aarch64", interpreter=arm)
        else:
            there = tmp_path / "python"
            there.symlink_to(grounds.interpreter.executable)
            switch(
                grounds.venv,
                grounds.create(interpreter=replace(grounds.interpreter, executable=str(there))),
                now_s=2,
            )
            there.unlink()  # as it is on this host
            other = grounds.create(prompt="here")
        switch(grounds.venv, other, now_s=3)
        text = os.readlink(grounds.venv)
        try:
            assert host_link_owner(text) == os.geteuid()
            assert current_generation(grounds.venv) == other
            if change != "Python":
                with pytest.raises(GenerationError, match="cannot go back"):
                    rollback(grounds.venv)  # to what is for hosts of the other kind
        finally:
            subprocess.run(["rm", "-rf", os.path.dirname(text)], check=True)
