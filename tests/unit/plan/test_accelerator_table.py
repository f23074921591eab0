"""The table that comes with envforge is whole, and agrees with itself."""

from __future__ import annotations

import datetime

import pytest

from envforge.model.target import PLATFORMS
from envforge.plan.accelerator_table import AcceleratorIndex
from envforge.workflows.accelerator_data import read_accelerator_table

TABLE = read_accelerator_table()


def test_it_is_dated() -> None:
    assert datetime.date.fromisoformat(TABLE.date).year >= 2026


@pytest.mark.parametrize("index", TABLE.indexes, ids=lambda index: index.name)
def test_an_index_is_called_after_what_it_brings(index: AcceleratorIndex) -> None:
    assert index.first <= index.last
    assert set(index.platforms) <= set(PLATFORMS)
    if index.cuda is not None:
        assert index.name == f"cu{index.cuda[0]}{index.cuda[1]}"
        assert TABLE.oldest_driver(index.cuda[0], "linux-64")
    elif index.rocm is not None:
        assert index.name.startswith(f"rocm{index.rocm[0]}.{index.rocm[1]}")
    else:
        assert index.name == "cpu"


def test_names_are_told_once_newest_first() -> None:
    names = [index.name for index in TABLE.indexes]
    assert len(names) == len(set(names))
    for kind in ("cuda", "rocm"):
        versions = [version for index in TABLE.indexes if (version := getattr(index, kind)) is not None]
        assert versions == sorted(versions, reverse=True)


def test_architectures_are_those_of_indexes_that_have_the_release() -> None:
    for entry in TABLE.compiled:
        index = TABLE.index(entry.index)
        assert index is not None
        assert index.has(entry.first) and index.has(entry.last)
        assert all(index.serves(platform, entry.first) for platform in entry.platforms), entry


def test_no_release_has_two_answers() -> None:
    for one in TABLE.compiled:
        for other in TABLE.compiled:
            if one is not other and one.index == other.index and set(one.platforms) & set(other.platforms):
                assert one.last < other.first or other.last < one.first


def test_wheels_for_arm_came_later() -> None:
    index = TABLE.index("cu126")
    assert index is not None
    assert index.serves("linux-64", (2, 8)) and not index.serves("linux-aarch64", (2, 8))
    assert index.serves("linux-aarch64", (2, 9))
    assert not index.serves("osx-arm64", (2, 9))
