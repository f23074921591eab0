"""Prefixes as they are made: what is in them runs, they are shared, made once, and told of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envforge.errors import BuildError, GenerationError, HashError, OfflineError, StoreError
from envforge.events import (
    DownloadFinished,
    DownloadProgressed,
    DownloadStarted,
    FetchPlanned,
    LinkScriptRun,
    PrefixFinished,
    PrefixStarted,
    Warned,
)
from envforge.link.cancellation import Cancellation, CancelledError
from envforge.link.conda_failures import install_error
from envforge.link.conda_packages import check_local_archives
from envforge.link.conda_prefix import MARKER, PrefixSpec, find_prefix, uncached_records
from envforge.metadata.rattler_records import from_rattler
from envforge.model.conda import CondaRecord
from envforge.struct import replace

from support.conda_archives import make_archive
from support.conda_channel import ChannelServer
from support.prefix_forge import Forge

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the channel's packages run on POSIX")

Records = Callable[..., tuple[CondaRecord, ...]]


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


@pytest.fixture
def records(rattler_solve: Callable[..., list[Any]], server: ChannelServer) -> Records:
    """What the solver chooses of the served channel."""

    def choose(*specs: str) -> tuple[CondaRecord, ...]:
        rows = rattler_solve(*specs, source=server.url)
        return tuple(from_rattler(row, lambda *_: ()) for row in rows)

    return choose


def run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# What is made


def test_what_is_installed_runs(forge: Forge, records: Records) -> None:
    prefix = forge.make(*records("greet=1", "conda-hello", "tinymath"))
    assert run(prefix.path / "bin" / "greet", "-v").splitlines() == [
        "hello from libgreet 1.2",
        f"greet 1.0, libgreet 1.2, {prefix.path}/share/libgreet/greeting.txt",
    ]
    assert run(prefix.path / "bin" / "conda-hello").split() == ["conda-hello", "1.1", "in", str(prefix.path)]
    code = "import sys, tinymath; print(sys.version.split()[0], tinymath.add(1, 2), sys.prefix)"
    assert run(prefix.python, "-c", code).split() == [prefix.python_version, "3", str(prefix.path)]
    assert (prefix.path / prefix.site_packages / "conda_hello").is_dir()
    assert prefix.python == str(prefix.path / "bin" / "python")


def test_a_prefix_is_made_once(forge: Forge, records: Records, server: ChannelServer) -> None:
    chosen = records("greet=1")
    first = forge.make(*chosen)
    server.asked.clear()
    forge.events.clear()
    assert forge.make(*reversed(chosen)) == first == find_prefix(forge.spec(*chosen), forge.folder)
    assert (forge.events, server.asked) == ([], [])
    assert first.python == first.python_version == first.site_packages == ""
    assert forge.left() == [first.path.name]


def test_the_cache_is_shared_by_prefixes(forge: Forge, records: Records, server: ChannelServer) -> None:
    forge.make(*records("libgreet=1.2"))
    server.asked.clear()
    forge.make(*records("greet=1"))
    assert server.downloads() == ["greet-1.0-h0000000_0.conda"]


def test_events_tell_what_is_fetched(forge: Forge, records: Records) -> None:
    chosen = records("greet=1")
    forge.make(*records("libgreet=1.2"))
    forge.events.clear()
    forge.make(*chosen)
    (greet,) = (record for record in chosen if record.name == "greet")
    size = greet.size_bytes
    started, planned, *downloads, finished = forge.events
    assert started == PrefixStarted(package_count=2, size_bytes=sum(r.size_bytes or 0 for r in chosen))
    assert planned == FetchPlanned(file_count=1, size_bytes=size or 0)
    assert downloads[0] == DownloadStarted(filename=greet.filename, size_bytes=size)
    assert downloads[-1] == DownloadFinished(filename=greet.filename)
    assert sum(event.received_bytes for event in forge.told(DownloadProgressed)) == size
    assert isinstance(finished, PrefixFinished)
    assert finished.package_count == 2


def test_its_name_is_made_of_what_decides_its_files(tmp_path: Path) -> None:
    record = make_archive(tmp_path, "a", {"share/a": "a"})

    def digest(record: CondaRecord, platform: str = "linux-64", allowed: tuple[str, ...] = ()) -> str:
        return PrefixSpec(records=(record,), platform=platform, link_scripts=allowed).digest

    plain = digest(record)
    assert len(plain) == 16
    assert plain == digest(replace(record, depends=("b",), license="MIT", url="https://else.where/a.conda"))
    assert plain == digest(record, allowed=("another",))
    others = {
        digest(replace(record, sha256="0" * 64)),
        digest(replace(record, noarch="python")),
        digest(replace(record, python_site_packages_path="lib/python3.14t/site-packages")),
        digest(record, platform="linux-aarch64"),
        digest(record, allowed=("a",)),
    }
    assert len(others) == 5
    assert plain not in others


def test_a_prefix_that_was_moved_is_none(forge: Forge, tmp_path: Path) -> None:
    """Its old path is in its files."""
    record = make_archive(
        tmp_path / "channel", "a", {"bin/a": "#!/placeholder\n"}, placeholder="/placeholder"
    )
    old = forge.make(record).path
    moved = tmp_path / "other" / "prefixes"
    moved.parent.mkdir()
    forge.folder.rename(moved)
    assert find_prefix(forge.spec(record), moved) is None
    forge.folder = moved
    new = forge.make(record).path
    assert (new / "bin" / "a").read_text() == f"#!{new}\n"
    forge.folder = tmp_path / "link"
    forge.folder.symlink_to(moved)
    assert find_prefix(forge.spec(record), forge.folder) is not None  # the same place by another name
    assert not old.exists()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"python": 1}'])
def test_a_marker_that_cannot_be_read_is_no_prefix(forge: Forge, tmp_path: Path, content: str) -> None:
    record = make_archive(tmp_path / "channel", "a", {"share/a": "a"})
    prefix = forge.make(record)
    (prefix.path / MARKER).write_text(content)
    (prefix.path / "share" / "stray").write_text("of an earlier one")
    assert find_prefix(forge.spec(record), forge.folder) is None
    assert forge.make(record) == prefix
    assert not (prefix.path / "share" / "stray").exists()


def test_a_prefix_can_be_found_without_rattler(forge: Forge, tmp_path: Path) -> None:
    code = """
import pickle, sys
from pathlib import Path
from envforge.link.conda_prefix import find_prefix
spec = pickle.loads(Path(sys.argv[1]).read_bytes())
assert find_prefix(spec, Path(sys.argv[2]))
print(*{"rattler", "asyncio", "subprocess", "urllib.request"}.intersection(sys.modules))
"""
    import pickle

    record = make_archive(tmp_path / "channel", "a", {"share/a": "a"})
    forge.make(record)
    (tmp_path / "spec").write_bytes(pickle.dumps(forge.spec(record)))
    assert run(sys.executable, "-c", code, tmp_path / "spec", forge.folder) == ""


# Offline


def test_offline_nothing_is_begun_with_half_of_it(
    forge: Forge, records: Records, server: ChannelServer
) -> None:
    chosen = records("greet=1")
    forge.make(*records("libgreet=1.2"))
    server.asked.clear()
    with pytest.raises(OfflineError) as caught:
        forge.make(*chosen, offline=True)
    assert caught.value.context == (f"greet 1.0 h0000000_0 from {server.url}",)
    assert [record.name for record in uncached_records(chosen, forge.cache)] == ["greet"]
    assert len(forge.left()) == 1
    forge.make(*chosen)
    other = Forge(forge.cache.parent / "other")
    other.cache = forge.cache
    asked = len(server.asked)
    assert run(other.make(*chosen, offline=True).path / "bin" / "greet")
    assert len(server.asked) == asked


def test_offline_the_cache_is_looked_at_again(forge: Forge, records: Records, server: ChannelServer) -> None:
    """What is cached lacks a file: no reason to ask the network after all."""
    chosen = records("libgreet=1.2")
    forge.make(*chosen)
    (forge.cache / "libgreet-1.2-h0000000_0" / "share" / "libgreet" / "greeting.txt").unlink()
    forge.folder = forge.folder.with_name("others")
    server.asked.clear()
    says = forge.fails(OfflineError, *chosen, offline=True)
    assert "libgreet 1.2" in says
    assert server.asked == []
    assert (forge.make(*chosen).path / "share" / "libgreet" / "greeting.txt").is_file()


def test_offline_a_folder_is_a_channel(forge: Forge, tmp_path: Path) -> None:
    record = make_archive(tmp_path / "channel", "a", {"share/a": "a"})
    assert (forge.make(record, offline=True).path / "share" / "a").read_text() == "a"


# Archives of folders


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_an_archive_of_a_folder_is_compared_with_the_lock(
    forge: Forge, tmp_path: Path, algorithm: str
) -> None:
    record = make_archive(tmp_path / "channel", "a", {"share/a": "a"})
    digests = {"sha256": "0" * 64, "md5": ""} if algorithm == "sha256" else {"sha256": "", "md5": "0" * 32}
    says = forge.fails(HashError, replace(record, **digests))
    assert f"expected: {algorithm} 000" in says
    assert str(tmp_path / "channel") in says
    assert not (forge.cache / "a-1.0-0").exists()
    assert forge.make(record)


def test_an_archive_of_a_folder_is_gone(forge: Forge, tmp_path: Path) -> None:
    record = make_archive(tmp_path / "channel", "a", {"share/a": "a"})
    (tmp_path / "channel" / "noarch" / record.filename).unlink()
    assert "a 1.0 0 is not in its channel any more" in forge.fails(StoreError, record)


def test_who_ends_it_need_not_wait_for_the_archives_of_a_folder(tmp_path: Path) -> None:
    records = [make_archive(tmp_path / "channel", name, {"share/a": name}) for name in "ab"]
    cancellation = Cancellation()
    check_local_archives(records, cancellation)
    cancellation.cancel()
    with pytest.raises(CancelledError):
        check_local_archives(records, cancellation)


def test_it_is_ended_in_the_middle_of_an_archive(tmp_path: Path) -> None:
    class Looked(Cancellation):
        """Is ended when somebody has looked three times."""

        times = 0

        def check(self) -> None:
            self.times += 1
            if self.times == 3:
                self.cancel()
            super().check()

    cancellation = Looked()
    record = make_archive(tmp_path / "channel", "a", {"share/a": os.urandom(5 << 20)})
    with pytest.raises(CancelledError):
        check_local_archives([record], cancellation)
    assert cancellation.times == 3


def test_the_first_archive_that_is_another_one_ends_it(tmp_path: Path) -> None:
    records = [make_archive(tmp_path / "channel", name, {"share/a": name}) for name in "abcd"]
    cancellation = Cancellation()
    with pytest.raises(HashError, match=r"b 1\.0 0 is not the archive"):
        check_local_archives(
            [replace(each, sha256="0" * 64) if each.name == "b" else each for each in records], cancellation
        )
    cancellation.check()


# Clobbers


def test_two_packages_with_one_path_are_told_of(forge: Forge, records: Records) -> None:
    prefix = forge.make(*records("clobber-a", "clobber-b"))
    (warning,) = forge.told(Warned)
    assert warning.message == (
        "conda packages clobber-a and clobber-b both bring share/clobber/shared.txt, with different content: "
        "that of clobber-a is used"
    )
    assert (prefix.path / "share" / "clobber" / "shared.txt").read_text() == "of a\n"


def test_the_same_content_is_no_clobber(forge: Forge, tmp_path: Path) -> None:
    archives = [make_archive(tmp_path / "channel", name, {"share/same": "1"}) for name in "ab"]
    forge.make(*archives)
    assert forge.told(Warned) == []


def test_many_paths_are_one_warning(forge: Forge, tmp_path: Path) -> None:
    paths = [f"share/{number}" for number in range(5)]
    archives = [make_archive(tmp_path / "channel", name, dict.fromkeys(paths, name)) for name in "ab"]
    prefix = forge.make(*archives)
    (warning,) = forge.told(Warned)
    assert "both bring share/0, share/1, share/2 and 2 more" in warning.message
    assert "those of a are used" in warning.message
    assert {(prefix.path / path).read_text() for path in paths} == {"a"}


@pytest.mark.parametrize(("first", "second"), [("share/x", "share/x/y"), ("share/x/y", "share/x")])
def test_a_file_where_another_has_a_folder_is_refused(
    forge: Forge, tmp_path: Path, first: str, second: str
) -> None:
    archives = [
        make_archive(tmp_path / "channel", "a", {first: "of a", "share/of-a": ""}),
        make_archive(tmp_path / "channel", "b", {second: "of b", "share/of-b": ""}),
    ]
    says = forge.fails(GenerationError, *archives)
    assert "conda packages a and b cannot be in one environment" in says
    assert f"a brings the file {first}" in says
    assert f"b brings the file {second}" in says


def test_a_folder_conflict_that_py_rattler_stumbles_over_is_told_alike(forge: Forge, tmp_path: Path) -> None:
    """Which of the two it meets first is chance; what was unpacked of them tells in both cases."""
    records = [
        make_archive(tmp_path / "channel", "a", {"share/x": "of a"}),
        make_archive(tmp_path / "channel", "b", {"share/x/y": "of b"}),
    ]
    forge.fails(GenerationError, *records)
    found = install_error("failed to link: Not a directory", records, tmp_path, forge.cache)
    assert isinstance(found, GenerationError)
    assert found.message == "conda packages a and b cannot be in one environment"
    assert set(found.context) >= {"a brings the file share/x", "b brings the file share/x/y"}


# Link scripts


def test_link_scripts_that_are_not_allowed_are_named(forge: Forge, records: Records) -> None:
    prefix = forge.make(*records("linkscript", "linkscript-fails"))
    (warning,) = forge.told(Warned)
    assert warning.message == "link scripts were not run: linkscript, linkscript-fails"
    assert 'link-scripts = ["linkscript", "linkscript-fails"]' in warning.hint
    assert not (prefix.path / "share" / "linkscript.txt").exists()


def test_link_scripts_run_when_they_are_allowed(forge: Forge, records: Records) -> None:
    prefix = forge.make(*records("linkscript"), allowed=("linkscript",))
    text = (prefix.path / "share" / "linkscript.txt").read_text()
    assert text == f"linkscript 1.0 was linked into {prefix.path}\n"
    assert forge.told(LinkScriptRun) == [LinkScriptRun(package="linkscript")]
    assert forge.told(Warned) == []


def test_a_link_script_that_fails_leaves_nothing(forge: Forge, records: Records) -> None:
    says = forge.fails(BuildError, *records("linkscript-fails"), allowed=("linkscript-fails",))
    assert "the link script of linkscript-fails 1.0 failed: status 7" in says
    assert "this script always fails" in says
    assert 'take "linkscript-fails" out of tool.envforge.link-scripts' in says
    assert forge.make(*records("linkscript-fails"))


def test_link_scripts_run_in_order_of_dependency_and_speak(forge: Forge, tmp_path: Path) -> None:
    script = 'echo "$PKG_NAME" "$PKG_BUILDNUM" >> "$PREFIX/order"\n[[ -d $PREFIX ]]\n'
    chain = {"alone": (), "a": ("c >=1", "alone"), "b": ("a", "nobody"), "c": ("b[version='>=1']",)}
    archives = [
        make_archive(tmp_path / "channel", name, {f"bin/.{name}-post-link.sh": script}, depends=depends)
        for name, depends in chain.items()
    ]
    speaker = "false\necho 'now log in again' >> $PREFIX/.messages.txt\n"
    archives.append(make_archive(tmp_path / "channel", "z", {"bin/.z-post-link.sh": speaker}, depends=["a"]))
    prefix = forge.make(*archives, allowed=("a", "b", "c", "z"))
    order = (prefix.path / "order").read_text().splitlines()
    assert order == ["b 0", "c 0", "a 0"]  # a circle: it is entered somewhere
    said, held_back = forge.told(Warned)
    assert said.message == "z says:\nnow log in again"
    assert held_back.message == "link scripts were not run: alone"
    assert 'link-scripts = ["a", "alone", "b", "c", "z"]' in held_back.hint


def test_marker_and_records_are_what_others_read(
    forge: Forge, records: Records, server: ChannelServer
) -> None:
    prefix = forge.make(*records("libgreet=1.2"))
    (place,) = (prefix.path / "conda-meta").glob("*.json")
    record = json.loads(place.read_text())
    assert (record["name"], record["version"], record["channel"]) == ("libgreet", "1.2", server.url)
    assert json.loads((prefix.path / MARKER).read_text())["path"] == str(prefix.path)
