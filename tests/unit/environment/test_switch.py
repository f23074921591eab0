"""``.venv``: switched, rolled back, and left alone where it is not envforge's."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from envforge.environment.collect import remove_generation
from envforge.environment.generation import Generation
from envforge.environment.history import KEPT, read_history, record_switch
from envforge.environment.switch import check_replaceable, current_generation, rollback, switch
from envforge.errors import GenerationError, StoreError

from support.environments import Grounds


def generations(grounds: Grounds, count: int) -> list[Generation]:
    return [grounds.create(prompt=f"p{number}") for number in range(count)]


def test_switch(grounds: Grounds) -> None:
    first, second = generations(grounds, 2)
    assert current_generation(grounds.venv) is None
    assert switch(grounds.venv, first, now_s=1)
    assert current_generation(grounds.venv) == first
    assert not switch(grounds.venv, first, now_s=2)
    assert switch(grounds.venv, second, now_s=3)
    assert current_generation(grounds.venv) == second
    assert (grounds.venv / "bin/python").exists()
    assert os.listdir(grounds.project) == [".venv"]
    assert [(past.digest, past.time_s) for past in read_history(grounds.environments)] == [
        (first.digest, 1),
        (second.digest, 3),
    ]


def test_rollback_walks_back_and_a_new_one_is_a_new_branch(grounds: Grounds) -> None:
    a, b, c, d = generations(grounds, 4)
    for time_s, generation in enumerate((a, b, c)):
        switch(grounds.venv, generation, now_s=time_s)
    assert rollback(grounds.venv) == b
    assert rollback(grounds.venv) == a
    with pytest.raises(
        GenerationError, match="cannot go back 1 environment: none older than this one is there"
    ):
        rollback(grounds.venv)
    assert current_generation(grounds.venv) == a
    switch(grounds.venv, d, now_s=9)
    assert rollback(grounds.venv) == a
    switch(grounds.venv, d, now_s=10)
    assert rollback(grounds.venv, 3) == b


def test_rollback_passes_over_what_is_gone(grounds: Grounds) -> None:
    a, b, c = generations(grounds, 3)
    for generation in (a, b, c):
        switch(grounds.venv, generation, now_s=0)
    remove_generation(b.path)
    assert rollback(grounds.venv) == a


@pytest.mark.parametrize("steps", [0, -1, 5])
def test_rollback_too_far(grounds: Grounds, steps: int) -> None:
    a, b = generations(grounds, 2)
    switch(grounds.venv, a, now_s=0)
    switch(grounds.venv, b, now_s=0)
    with pytest.raises(GenerationError, match="cannot go back") as raised:
        rollback(grounds.venv, steps)
    assert raised.value.hints
    assert current_generation(grounds.venv) == b


def test_rollback_without_an_environment(grounds: Grounds) -> None:
    with pytest.raises(GenerationError, match="no environment to roll back"):
        rollback(grounds.venv)


@pytest.mark.parametrize(
    ("content", "message"),
    [("pyvenv.cfg", "virtual environment of another tool"), ("notes.txt", "something else")],
)
def test_a_folder_of_somebody_else_stays(grounds: Grounds, content: str, message: str) -> None:
    [generation] = generations(grounds, 1)
    grounds.venv.mkdir()
    (grounds.venv / content).write_text("x")
    with pytest.raises(GenerationError, match=message) as raised:
        switch(grounds.venv, generation, now_s=0)
    assert "remove or rename it" in raised.value.hints[0]
    assert (grounds.venv / content).read_text() == "x"


def test_a_file_and_a_link_to_elsewhere_stay(grounds: Grounds, tmp_path: Path) -> None:
    [generation] = generations(grounds, 1)
    grounds.venv.write_text("x")
    with pytest.raises(GenerationError, match="something else"):
        switch(grounds.venv, generation, now_s=0)
    grounds.venv.unlink()
    (tmp_path / "conda").mkdir()
    grounds.venv.symlink_to(tmp_path / "conda")
    with pytest.raises(GenerationError, match="a link to another place"):
        switch(grounds.venv, generation, now_s=0)
    assert grounds.venv.samefile(tmp_path / "conda")


def test_an_empty_folder_and_a_dangling_link_are_replaced(grounds: Grounds, tmp_path: Path) -> None:
    first, second = generations(grounds, 2)
    grounds.venv.mkdir()
    assert switch(grounds.venv, first, now_s=0)
    remove_generation(first.path)
    assert not grounds.venv.exists()
    assert switch(grounds.venv, second, now_s=0)
    assert current_generation(grounds.venv) == second


def test_what_a_killed_switch_left_is_used_up(grounds: Grounds) -> None:
    [generation] = generations(grounds, 1)
    grounds.venv.with_name(".venv.envforge").symlink_to("nowhere")
    switch(grounds.venv, generation, now_s=0)
    assert os.listdir(grounds.project) == [".venv"]


def test_a_project_folder_that_is_gone(grounds: Grounds) -> None:
    [generation] = generations(grounds, 1)
    grounds.project.rmdir()
    with pytest.raises(StoreError, match=r"cannot switch \.venv"):
        switch(grounds.venv, generation, now_s=0)


def test_venv_is_never_missing_while_many_switch(grounds: Grounds) -> None:
    made = generations(grounds, 3)
    switch(grounds.venv, made[0], now_s=0)
    failures: list[BaseException] = []

    def work(offset: int) -> None:
        try:
            for turn in range(30):
                switch(grounds.venv, made[(turn + offset) % 3], now_s=turn)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(3)]
    for thread in threads:
        thread.start()
    looks = 0
    while any(thread.is_alive() for thread in threads):
        assert (grounds.venv / "pyvenv.cfg").exists()
        looks += 1
    assert failures == []
    assert looks
    assert os.listdir(grounds.project) == [".venv"]


def test_history_is_bounded_and_survives_damage(tmp_path: Path) -> None:
    for number in range(KEPT + 10):
        record_switch(tmp_path, "", f"g{number}", number)
    assert next(past.digest for past in read_history(tmp_path)) == "g10"
    assert len(read_history(tmp_path)) == KEPT
    (tmp_path / "history.json").write_text('[{"generation": ')
    assert read_history(tmp_path) == []
    record_switch(tmp_path, "old", "new", 1)
    assert [past.digest for past in read_history(tmp_path)] == ["old", "new"]


def test_a_folder_that_goes_while_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process puts its link there: seen on a slow file system with many syncs at once."""
    venv = tmp_path / ".venv"
    venv.mkdir()

    def lost(folder: Path) -> None:
        raise FileNotFoundError(2, "No such file or directory", str(folder))

    monkeypatch.setattr(Path, "iterdir", lost)
    check_replaceable(venv)
