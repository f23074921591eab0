"""The choice of a link's method, as values, and the probe that it rests on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from envforge.link.methods import LinkFacts, Method, choose_method, find_link_facts, make_junction
from envforge.plan.link_plan import LinkMode

POSIX = LinkFacts(symlinks=True)
WINDOWS = LinkFacts(symlinks=False, junctions=True)
WINDOWS_DEVELOPER = LinkFacts(symlinks=True, junctions=True)
EXFAT = LinkFacts(symlinks=False)


@pytest.mark.parametrize(
    ("mode", "is_folder", "facts", "method"),
    [
        (LinkMode.SHARED, True, POSIX, Method.SYMLINK),
        (LinkMode.SHARED, False, POSIX, Method.SYMLINK),
        (LinkMode.SHARED, True, WINDOWS, Method.JUNCTION),
        (LinkMode.SHARED, False, WINDOWS, Method.HARDLINK),
        (LinkMode.SHARED, True, WINDOWS_DEVELOPER, Method.SYMLINK),
        (LinkMode.SHARED, True, EXFAT, Method.HARDLINK),
        (LinkMode.HARDLINK, True, POSIX, Method.HARDLINK),
        (LinkMode.HARDLINK, False, WINDOWS, Method.HARDLINK),
        (LinkMode.COPY, True, POSIX, Method.COPY),
        (LinkMode.COPY, False, WINDOWS, Method.COPY),
    ],
)
def test_choice(mode: LinkMode, is_folder: bool, facts: LinkFacts, method: Method) -> None:
    assert choose_method(mode, is_folder, facts) is method


def test_the_probe_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / ".symlink-probe").write_text("of a killed process")
    assert find_link_facts(tmp_path).symlinks
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("number", "symlinks"), [(errno.EPERM, False), (errno.EOPNOTSUPP, False)])
def test_a_file_system_without_symlinks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, symlinks: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "symlink", refuse)
    assert find_link_facts(tmp_path).symlinks is symlinks


def test_a_full_disk_is_not_a_missing_feature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "symlink", refuse)
    with pytest.raises(OSError, match="No space"):
        find_link_facts(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="there are junctions here")
def test_junctions_are_for_windows(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError):
        make_junction(str(tmp_path), str(tmp_path / "x"))
