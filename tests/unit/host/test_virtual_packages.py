"""The virtual packages of the host that runs the tests, and the variables that say otherwise."""

from __future__ import annotations

import os
import platform
import sys

import pytest

from envforge.errors import HostError
from envforge.host.facts import glibc_version
from envforge.host.virtual_packages import host_virtual_packages


@pytest.fixture(autouse=True)
def no_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CONDA_OVERRIDE_"):
            monkeypatch.delenv(name)


def versions() -> dict[str, str]:
    return {package.name: package.version for package in host_virtual_packages()}


@pytest.mark.skipif(sys.platform != "linux", reason="facts of Linux")
def test_what_linux_has() -> None:
    found = versions()
    assert found["__unix"] == "0"
    assert platform.release().startswith(found["__linux"])
    if (glibc := glibc_version()) is not None:
        assert found["__glibc"] == f"{glibc[0]}.{glibc[1]}"
    assert "__win" not in found
    assert list(found) == sorted(found)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names of x86-64 processors")
def test_a_processor_stands_for_the_older_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    builds = [package.build for package in host_virtual_packages() if package.name == "__archspec"]
    assert "x86_64" in builds
    monkeypatch.setenv("CONDA_OVERRIDE_ARCHSPEC", "zen2")
    builds = [package.build for package in host_virtual_packages() if package.name == "__archspec"]
    assert builds[0] == "zen2"
    assert {"zen", "x86_64_v3", "x86_64_v2", "x86_64"} <= set(builds)
    assert not {"x86_64_v4", "zen3"} & set(builds)


def test_a_variable_says_what_the_host_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDA_OVERRIDE_CUDA", "12.8")
    assert versions()["__cuda"] == "12.8"
    monkeypatch.setenv("CONDA_OVERRIDE_CUDA", "")
    assert "__cuda" not in versions()


def test_a_variable_that_is_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDA_OVERRIDE_GLIBC", "!!")
    with pytest.raises(HostError) as error:
        host_virtual_packages()
    assert "CONDA_OVERRIDE_GLIBC=!!" in error.value.context
    assert any("correct" in hint for hint in error.value.hints)
