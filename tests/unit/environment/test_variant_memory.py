"""What a host remembers of its variant."""

from __future__ import annotations

from pathlib import Path

import pytest

from envforge.environment.variant_memory import RememberedVariant, read_variant, write_variant

CHOICE = RememberedVariant(name="cuda", is_asked=False, conditions=("cuda: cuda >=12", "cpu: always"))


def test_it_is_remembered_for_this_host_and_platform(tmp_path: Path) -> None:
    assert read_variant(tmp_path, "linux-64") is None
    write_variant(tmp_path, "linux-64", CHOICE)
    assert read_variant(tmp_path, "linux-64") == CHOICE
    assert read_variant(tmp_path, "linux-aarch64") is None
    assert len(list(tmp_path.iterdir())) == 1


def test_other_hosts_have_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_variant(tmp_path, "linux-64", CHOICE)
    monkeypatch.setattr("envforge.environment.variant_memory.node_name", lambda: "another")
    assert read_variant(tmp_path, "linux-64") is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"name": 1}', "null", "\x00", '{"name": "a", "conditions": 1}']
)
def test_what_cannot_be_read_is_forgotten(tmp_path: Path, text: str) -> None:
    write_variant(tmp_path, "linux-64", CHOICE)
    (place,) = tmp_path.iterdir()
    place.write_text(text)
    assert read_variant(tmp_path, "linux-64") is None
    write_variant(tmp_path, "linux-64", CHOICE)
    assert read_variant(tmp_path, "linux-64") == CHOICE


def test_a_place_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    write_variant(tmp_path / "missing", "linux-64", CHOICE)
    assert read_variant(tmp_path / "missing", "linux-64") is None
