from __future__ import annotations

import os
import platform
import sys

import pytest

from envforge.errors import HostError
from envforge.host import facts
from envforge.model.target import PLATFORMS


@pytest.mark.parametrize(
    ("sys_platform", "machine", "subdir"),
    [
        ("linux", "x86_64", "linux-64"),
        ("linux", "aarch64", "linux-aarch64"),
        ("linux", "arm64", "linux-aarch64"),
        ("linux", "ppc64le", "linux-ppc64le"),
        ("darwin", "x86_64", "osx-64"),
        ("darwin", "arm64", "osx-arm64"),
        ("win32", "AMD64", "win-64"),
        ("win32", "amd64", "win-64"),
        ("win32", "arm64", "win-arm64"),
        ("linux", "riscv64", None),
        ("linux", "i686", None),
        ("freebsd14", "amd64", None),
    ],
)
def test_platform_subdir(sys_platform: str, machine: str, subdir: str | None) -> None:
    assert facts.platform_subdir(sys_platform, machine) == subdir


def test_every_known_platform_is_found_by_its_own_words() -> None:
    for subdir, known in PLATFORMS.items():
        assert facts.platform_subdir(known.sys_platform, known.platform_machine) == subdir


def test_a_32_bit_program_on_a_64_bit_kernel_is_no_known_platform() -> None:
    assert facts.platform_subdir("linux", "x86_64", 32) is None


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("glibc 2.36", (2, 36)),
        ("glibc 2.36.9000", (2, 36)),
        ("glibc 2", None),
        ("glibc x.y", None),
        ("musl 1.2", None),
        ("", None),
        (None, None),
    ],
)
def test_parse_glibc_version(text: str | None, version: tuple[int, int] | None) -> None:
    assert facts.parse_glibc_version(text) == version


@pytest.mark.skipif(sys.platform != "linux", reason="compares with this Linux")
def test_this_machine() -> None:
    libc, version = platform.libc_ver()
    assert libc == "glibc"
    assert facts.glibc_version() == tuple(int(part) for part in version.split("."))
    assert PLATFORMS[facts.host_platform()].platform_machine == platform.machine()


@pytest.mark.skipif(sys.platform != "linux", reason="musl is a matter of Linux")
def test_musl_is_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def confstr(name: str) -> str:
        raise ValueError("unrecognized configuration name")  # what Python says on Alpine

    monkeypatch.setattr(os, "confstr", confstr)
    with pytest.raises(HostError, match="musl") as caught:
        facts.host_platform()
    assert "glibc" in caught.value.hints[0]


def test_an_unknown_machine_is_refused_with_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_own_machine", lambda: "riscv64")
    with pytest.raises(HostError) as caught:
        facts.host_platform()
    assert "riscv64" in caught.value.context[0]
    assert "linux-64" in caught.value.hints[0]
