"""Variants and their indexes at the end of a manifest."""

from __future__ import annotations

import pytest

from envforge.errors import ManifestError
from envforge.manifest.edit_variants import NewVariant, add_variants
from envforge.manifest.parse import parse_manifest

TEXT = """\
[project]
name = "demo"  # mine
dependencies = ["torch"]

[tool.envforge]
platforms = ["linux-64"]
"""
CUDA = NewVariant(
    name="cuda", when={"cuda": ">=12.0", "platform": ("linux-64",)}, sources={"torch": "pytorch-cu126"}
)
CPU = NewVariant(name="cpu")
INDEXES = {"pytorch-cu126": "https://torch.test/cu126"}


def test_what_is_written_is_read_again() -> None:
    text = add_variants(TEXT, [CUDA, CPU], INDEXES, comment="why")
    assert text.startswith(TEXT + "\n# why\n[[tool.envforge.index]]\n")
    settings = parse_manifest(text).settings
    cuda, cpu = settings.variants
    assert (cuda.name, cuda.condition.cuda, cuda.condition.platforms) == ("cuda", ">=12.0", ("linux-64",))
    assert cuda.sources["torch"].index == "pytorch-cu126"
    assert cpu.condition.is_empty
    assert [(index.name, index.explicit) for index in settings.indexes][-1] == ("pytorch-cu126", True)


def test_an_index_that_is_there_is_used() -> None:
    own = f'{TEXT}\n[[tool.envforge.index]]\nname = "pytorch-cu126"\nurl = "https://torch.test/cu126/"\n'
    text = add_variants(own, [CUDA, CPU], INDEXES, comment="why")
    assert text.count("[[tool.envforge.index]]") == 1


def test_line_ends_stay() -> None:
    text = add_variants(TEXT.replace("\n", "\r\n"), [CUDA, CPU], INDEXES, comment="why")
    assert "\n" not in text.replace("\r\n", "")


def test_a_file_without_a_last_line_end() -> None:
    text = add_variants(TEXT.rstrip("\n"), [CPU], {}, comment="why")
    assert "]\n\n" in text
    assert [variant.name for variant in parse_manifest(text).settings.variants] == ["cpu"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("[tool.envforge.variants.own]\n", "has variants already"),
        ('[[tool.envforge.index]]\nname = "pytorch-cu126"\nurl = "https://else.test"\n', "another index"),
    ],
)
def test_what_the_user_wrote_is_not_touched(more: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        add_variants(f"{TEXT}\n{more}", [CUDA, CPU], INDEXES, comment="why")


def test_tables_that_are_closed() -> None:
    inline = TEXT.split("[tool.envforge]")[0] + '[tool]\nenvforge = { platforms = ["linux-64"] }\n'
    with pytest.raises(ManifestError, match="cannot be written") as error:
        add_variants(inline, [CUDA, CPU], INDEXES, comment="why")
    assert "[tool.envforge.variants.cuda]" in error.value.hints[0]
