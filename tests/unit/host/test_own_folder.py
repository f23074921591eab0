"""Our folder in places for everybody, and what somebody may have laid there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envforge.host.own_folder import check_own_folder, make_own_folder, nearest_folder, own_folder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes and owners of POSIX")
needs_root = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root may chown")


@pytest.fixture
def everybodys(tmp_path: Path) -> Path:
    """Like /tmp."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def name_of(base: Path) -> str:
    folder, fault = own_folder(str(base), {})
    assert not fault
    return str(Path(folder).relative_to(base))


def test_in_a_place_of_ours_it_has_no_name(tmp_path: Path) -> None:
    assert name_of(tmp_path) == "envforge"


def test_in_a_place_for_everybody_it_has_ours(everybodys: Path) -> None:
    assert name_of(everybodys).startswith("envforge-")
    assert not list(everybodys.iterdir()), "looking makes nothing"


def test_the_folder_with_our_name_is_used(everybodys: Path) -> None:
    user = name_of(everybodys).removeprefix("envforge-")
    (everybodys / user).mkdir(0o755)
    assert name_of(everybodys) == f"{user}/envforge"


def test_but_not_if_it_is_a_link_or_for_everybody(everybodys: Path, tmp_path: Path) -> None:
    user = name_of(everybodys).removeprefix("envforge-")
    (everybodys / user).symlink_to(tmp_path)
    assert name_of(everybodys) == f"envforge-{user}"
    (everybodys / user).unlink()
    (everybodys / user).mkdir()
    (everybodys / user).chmod(0o777)
    assert name_of(everybodys) == f"envforge-{user}"


def test_a_place_where_anybody_may_replace_it_is_refused(everybodys: Path) -> None:
    everybodys.chmod(0o777)
    assert "sticky" in own_folder(str(everybodys), {})[1]


def test_a_file_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "no folder" in own_folder(str(tmp_path / "file"), {})[1]
    with pytest.raises(OSError):
        own_folder(str(tmp_path / "gone"), {})


def test_it_is_made_for_us_alone(everybodys: Path) -> None:
    folder = everybodys / "envforge-me"
    before = os.umask(0)
    try:
        assert make_own_folder(str(folder)) == ""
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o7777 == 0o700
    assert make_own_folder(str(folder)) == ""


def test_a_link_is_not_followed(everybodys: Path, tmp_path: Path) -> None:
    """Whoever lays it would have us write where he likes."""
    folder = everybodys / "envforge-me"
    target = tmp_path / "somewhere"
    for target_there in (False, True):
        if target_there:
            target.mkdir()
        folder.symlink_to(target)
        assert "link" in make_own_folder(str(folder))
        assert "link" in check_own_folder(str(folder))
        folder.unlink()


def test_a_file_in_its_place(everybodys: Path) -> None:
    (everybodys / "envforge-me").write_text("")
    assert "no folder" in make_own_folder(str(everybodys / "envforge-me"))


@needs_root
def test_what_belongs_to_another_user_is_refused(everybodys: Path) -> None:
    """He would change what we run."""
    folder = everybodys / "envforge-me"
    folder.mkdir(0o777)
    os.chown(folder, 4242, 4242)
    assert "another user" in make_own_folder(str(folder))


def test_what_everybody_can_write_is_refused(everybodys: Path) -> None:
    folder = everybodys / "envforge-me"
    folder.mkdir()
    folder.chmod(0o777)
    assert "everybody" in make_own_folder(str(folder))
    folder.chmod(0o2770)  # shared with a group, on purpose
    assert make_own_folder(str(folder)) == ""


def test_it_cannot_be_made(tmp_path: Path) -> None:
    assert "cannot make" in make_own_folder(str(tmp_path / "gone" / "envforge"))


def test_the_nearest_folder(tmp_path: Path) -> None:
    assert nearest_folder(str(tmp_path)) == str(tmp_path)
    assert nearest_folder(str(tmp_path / "a" / "b")) == str(tmp_path)
    (tmp_path / "file").write_text("")
    assert nearest_folder(str(tmp_path / "file" / "b")) == str(tmp_path)
    assert nearest_folder("/gone/for/good") == "/"
