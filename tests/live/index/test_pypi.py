"""The real PyPI, with two small projects."""

from __future__ import annotations

from pathlib import Path

import pytest

from envforge.errors import NetworkError, UnknownPackageError
from envforge.index.index_set import IndexSet
from envforge.index.locations import IndexLocation
from envforge.model.requirement import parse_requirement, parse_version
from envforge.model.target import Target
from envforge.net.client import HttpClient
from envforge.net.settings import NetworkSettings

PYPI = IndexLocation(name="pypi", url="https://pypi.org/simple", default=True)
TARGETS = [Target(platform=platform, python="3.12") for platform in ("linux-64", "win-64")]


def _open(client: HttpClient, cache: Path, **options: str) -> IndexSet:
    return IndexSet([PYPI], {}, client, cache, client.settings, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def client() -> HttpClient:
    client = HttpClient(NetworkSettings(retries=2, timeout_s=20))
    try:
        client.get("https://pypi.org/simple/six/")
    except NetworkError as error:
        pytest.skip(f"pypi.org cannot be reached: {error.message}")
    return client


def test_pages_and_metadata(client: HttpClient, tmp_path: Path) -> None:
    index_set = _open(client, tmp_path)
    index_set.prefetch([parse_requirement("six"), parse_requirement("packaging>=20,<21")], TARGETS, {})
    six = index_set.page("six")
    assert "1.16.0" in six.versions
    wheel = next(file for file in six.files("1.16.0") if file.is_wheel)
    assert wheel.filename == "six-1.16.0-py2.py3-none-any.whl"
    assert wheel.sha256 == "8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"
    assert wheel.requires_python == ">=2.7, !=3.0.*, !=3.1.*, !=3.2.*"
    assert list(six.versions) == sorted(six.versions, key=parse_version, reverse=True)
    packaging = index_set.page("packaging")
    wheel = next(file for file in packaging.files("20.9") if file.is_wheel)
    assert [str(item) for item in index_set.metadata(wheel).requires] == ["pyparsing>=2.0.2"]
    with HttpClient(NetworkSettings(offline=True)) as offline:
        again = _open(offline, tmp_path)
        assert again.page("packaging").files("20.9") == packaging.files("20.9")
        assert again.metadata(wheel) == index_set.metadata(wheel)


def test_a_project_that_nobody_has(client: HttpClient, tmp_path: Path) -> None:
    with pytest.raises(UnknownPackageError):
        _open(client, tmp_path).page("this-project-does-not-exist-2f7c9")


def test_a_day_in_the_past(client: HttpClient, tmp_path: Path) -> None:
    page = _open(client, tmp_path, exclude_newer="2021-05-05T15:00:00Z").page("six")
    assert page.versions[0] == "1.16.0"
