"""Realistic manifests, written for these tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from envforge.errors import ManifestError

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.toml"))


def _as_is(text: str) -> str:
    return text


def _with_crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def _without_last_newline(text: str) -> str:
    return text.removesuffix("\n")


@pytest.fixture(
    params=[_as_is, _with_crlf, _without_last_newline], ids=lambda change: change.__name__.strip("_")
)
def file_style(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """How a file may come: as it is, with Windows line endings, without a newline at its end."""
    return request.param


@pytest.fixture(params=CORPUS, ids=lambda path: path.stem)
def corpus_text(request: pytest.FixtureRequest) -> str:
    """Each manifest of the corpus."""
    return request.param.read_text(encoding="utf-8")


@pytest.fixture
def read_corpus() -> Callable[[str], str]:
    """A manifest of the corpus by name."""
    return lambda name: (Path(__file__).parent / "corpus" / f"{name}.toml").read_text(encoding="utf-8")


@pytest.fixture
def error_lines() -> Callable[..., list[str]]:
    """Everything that the ManifestError of a call would show, line by line."""

    def collect(function: Callable[..., object], *args: object, **options: object) -> list[str]:
        with pytest.raises(ManifestError) as caught:
            function(*args, **options)
        return [caught.value.message, *caught.value.context, *caught.value.hints]

    return collect
