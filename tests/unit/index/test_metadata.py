"""Metadata of releases: the cheapest way that works, and servers that make every way fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envforge.errors import HashError, MetadataError, NetworkError, OfflineError
from envforge.events import Event, MetadataFetched
from envforge.index import metadata_fetcher
from envforge.index.failures import NeedsBuildError
from envforge.index.index_set import IndexSet
from envforge.model.release import CoreMetadata, IndexFile
from envforge.model.requirement import parse_requirement
from envforge.model.target import Target

from support.distributions import BUILD_SYSTEM, Distribution, make_sdist, make_wheel
from support.scripted_server import Answer, ScriptedServer

OpenSet = Callable[..., IndexSet]
REQUIRES = (parse_requirement("dep>=2"), parse_requirement("more; extra == 'x'"))


def only_file(index_set: IndexSet, name: str = "demo", version: str = "1.0") -> IndexFile:
    (file,) = index_set.page(name).files(version)
    return file


def ask(index_set: IndexSet) -> CoreMetadata:
    return index_set.metadata(only_file(index_set))


def files_asked(server: ScriptedServer) -> list[tuple[str, str]]:
    """(file, Range) of each request for something else than a page."""
    return [
        (asked.path.removeprefix("/files/"), asked.headers.get("range", ""))
        for asked in server.asked
        if asked.path.startswith("/files/")
    ]


def test_the_metadata_file(open_set: OpenSet, shelf: Any, demo: Distribution) -> None:
    shelf.put(demo, advertise=True)
    metadata = ask(open_set())
    assert metadata.requires == REQUIRES
    assert metadata.provides_extra == {"x"}
    assert files_asked(shelf.server) == [(f"{demo.filename}.metadata", "")]


def test_another_metadata_file_than_announced(open_set: OpenSet, shelf: Any, demo: Distribution) -> None:
    shelf.put(demo, advertise=True)
    shelf.server.on(f"/files/{demo.filename}.metadata", demo.metadata + b"Requires-Dist: evil\n")
    with pytest.raises(
        HashError, match=f"the metadata of {demo.filename} is not what index 'main' announced"
    ):
        ask(open_set())


def test_an_announced_metadata_file_that_is_missing(
    open_set: OpenSet, shelf: Any, demo: Distribution
) -> None:
    shelf.put(demo, advertise=True)
    del shelf.server.script[f"/files/{demo.filename}.metadata"]
    assert ask(open_set()).requires == REQUIRES


def test_the_end_of_the_wheel(open_set: OpenSet, shelf: Any, demo: Distribution) -> None:
    shelf.put(demo)
    assert ask(open_set()).requires == REQUIRES
    assert files_asked(shelf.server) == [(f"{demo.filename}.metadata", ""), (demo.filename, "bytes=-32768")]


def test_what_a_server_can_do_is_remembered(open_set: OpenSet, shelf: Any) -> None:
    first, second = make_wheel("demo", "1.0"), make_wheel("other", "1.0")
    shelf.put(first)
    shelf.put(second)
    index_set = open_set()
    index_set.metadata(only_file(index_set))
    index_set.metadata(only_file(index_set, "other"))
    asked = [path for path, _ in files_asked(shelf.server)]
    assert asked == [f"{first.filename}.metadata", first.filename, second.filename]
    shelf.put(third := make_wheel("third", "1.0"))
    later = open_set(now_s=1_800_000_000.0 + 80_000)
    later.metadata(only_file(later, "third"))
    assert [path for path, _ in files_asked(shelf.server)][3:] == [third.filename]
    shelf.put(fourth := make_wheel("fourth", "1.0"))
    next_day = open_set(now_s=1_800_000_000.0 + 100_000)
    next_day.metadata(only_file(next_day, "fourth"))
    assert [path for path, _ in files_asked(shelf.server)][4:] == [
        f"{fourth.filename}.metadata",
        fourth.filename,
    ]


def test_metadata_files_that_nobody_announces(open_set: OpenSet, shelf: Any) -> None:
    wheels = [make_wheel(name, requires=["dep"]) for name in ("demo", "other", "third", "fourth")]
    for wheel in wheels[:2]:
        shelf.put(wheel, serve_metadata=True)
    for wheel in wheels[2:]:
        shelf.put(wheel)
    index_set = open_set()
    for wheel in wheels:
        assert index_set.metadata(only_file(index_set, wheel.name)).requires == (parse_requirement("dep"),)
    assert [path for path, _ in files_asked(shelf.server)] == [
        f"{wheels[0].filename}.metadata",
        f"{wheels[1].filename}.metadata",
        f"{wheels[2].filename}.metadata",
        wheels[2].filename,  # one has none: from here on the next ones are not tried
        wheels[3].filename,
    ]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"<html><form>log in</form></html>"),
        Answer(status=403),
        Answer(body=b"Name: other\nVersion: 1.0\n"),
    ],
)
def test_what_only_looks_like_a_metadata_file(
    open_set: OpenSet, shelf: Any, demo: Distribution, answer: Answer
) -> None:
    shelf.put(demo)
    shelf.server.on(f"/files/{demo.filename}.metadata", answer)
    assert ask(open_set()).requires == REQUIRES


def test_metadata_in_front_of_a_large_wheel(
    open_set: OpenSet, shelf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata_fetcher, "_TAIL_BYTES", 500)
    wheel = make_wheel(
        "demo", requires=["dep"], files={f"demo/{number}.py": "x" * number for number in range(300)}
    )
    shelf.put(wheel)
    assert ask(open_set()).requires == (parse_requirement("dep"),)
    ranges = [span for path, span in files_asked(shelf.server) if path == wheel.filename]
    assert ranges[0] == "bytes=-500"
    assert 2 <= len(ranges) <= 3


def test_servers_without_ranges(open_set: OpenSet, shelf: Any, demo: Distribution) -> None:
    other = make_wheel("other")
    shelf.put(demo, ranges=False)
    shelf.put(other, ranges=False)
    index_set = open_set()
    assert ask(index_set).requires == REQUIRES
    index_set.metadata(only_file(index_set, "other"))
    assert files_asked(shelf.server)[1:] == [
        (demo.filename, "bytes=-32768"),
        (demo.filename, ""),
        (other.filename, ""),
    ]


@pytest.mark.parametrize("status", [400, 405, 416, 501])
def test_servers_that_refuse_ranges(open_set: OpenSet, shelf: Any, demo: Distribution, status: int) -> None:
    shelf.put(demo)
    shelf.server.on(f"/files/{demo.filename}", Answer(status=status), Answer(body=demo.content))
    assert ask(open_set()).requires == REQUIRES


@pytest.mark.parametrize(
    "told",
    ["", "bytes */100", "bytes 0-99/100", "bytes 5-3/100", "bytes x-y/z", "items 0-9/10", "bytes 0-9/*"],
)
def test_ranges_that_lie(open_set: OpenSet, shelf: Any, demo: Distribution, told: str) -> None:
    shelf.put(demo)
    lie = Answer(status=206, body=demo.content[-50:], headers={"Content-Range": told} if told else {})
    shelf.server.on(f"/files/{demo.filename}", lie, Answer(body=demo.content, ranges=False))
    assert ask(open_set()).requires == REQUIRES


def test_a_whole_wheel_that_is_not_the_listed_one(open_set: OpenSet, shelf: Any, demo: Distribution) -> None:
    shelf.put(demo, ranges=False)
    changed = make_wheel("demo", "1.0", requires=["evil"], padding=60_000)
    shelf.server.on(f"/files/{demo.filename}", Answer(body=changed.content, ranges=False))
    with pytest.raises(HashError):
        ask(open_set())


@pytest.mark.parametrize(
    ("wheel", "says"),
    [
        (make_wheel("demo", requires=["this is nothing"]), "a requirement that cannot be read"),
        (
            Distribution(name="demo", filename="demo-1.0-py3-none-any.whl", content=b"no zip", metadata=b""),
            "no ZIP file",
        ),
    ],
)
def test_unusable_releases_are_remembered(
    open_set: OpenSet, shelf: Any, wheel: Distribution, says: str
) -> None:
    shelf.put(wheel)
    for _ in range(2):
        with pytest.raises(MetadataError, match=says):
            ask(open_set())
    count = len(files_asked(shelf.server))
    with pytest.raises(MetadataError, match=says):
        ask(open_set(refresh=True))
    assert len(files_asked(shelf.server)) > count


def test_metadata_of_another_release(open_set: OpenSet, shelf: Any) -> None:
    inside = make_wheel("demo", "2.0")
    wheel = Distribution(
        name="demo", filename="demo-1.0-py3-none-any.whl", content=inside.content, metadata=inside.metadata
    )
    shelf.put(wheel, advertise=True)
    with pytest.raises(
        MetadataError, match=r"demo-1\.0-py3-none-any\.whl says in its metadata that it is demo 2\.0"
    ):
        ask(open_set())


def test_the_cache_needs_no_network(
    open_set: OpenSet, shelf: Any, demo: Distribution, tmp_path: Path
) -> None:
    shelf.put(demo)
    ask(open_set())
    count = len(shelf.server.asked)
    assert ask(open_set(offline=True)).requires == REQUIRES
    assert len(shelf.server.asked) == count
    for path in (tmp_path / "cache" / "metadata-v1").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(OfflineError, match=f"the metadata of {demo.filename} is not cached"):
        ask(open_set(offline=True))
    assert ask(open_set()).requires == REQUIRES


def test_metadata_is_kept_per_server(open_set: OpenSet, shelf: Any, demo: Distribution) -> None:
    """An index that lists another one's hash must not put words into its mouth."""
    shelf.put(demo)
    with ScriptedServer() as other:
        evil = make_wheel("demo", "1.0", requires=["evil"])
        other.on("/simple/demo/", f'<a href="/f/{demo.filename}#sha256={demo.sha256}">'.encode())
        other.on(f"/f/{demo.filename}", evil.content)
        from envforge.index.locations import IndexLocation

        theirs = open_set(IndexLocation(name="other", url=f"{other.url}/simple"))
        assert theirs.metadata(only_file(theirs)).requires == (parse_requirement("evil"),)
    assert ask(open_set()).requires == REQUIRES


def test_files_without_hashes(open_set: OpenSet, shelf: Any, demo: Distribution) -> None:
    shelf.put(demo, hashes=False)
    assert ask(open_set()).requires == REQUIRES
    assert ask(open_set(offline=True)).requires == REQUIRES


def test_one_wheel_speaks_for_a_release(open_set: OpenSet, shelf: Any) -> None:
    linux = make_wheel("demo", requires=["for-linux"], tag="cp312-cp312-manylinux_2_17_x86_64")
    windows = make_wheel("demo", requires=["for-windows"], tag="cp312-cp312-win_amd64")
    shelf.put(windows, linux, make_sdist("demo", requires=["for-all"]))
    targets = [Target(platform=platform, python="3.12") for platform in ("linux-64", "win-64")]
    for order, expected in ((targets, "for-linux"), (targets[::-1], "for-windows")):
        index_set = open_set()
        index_set.prefetch([], order, {})
        for file in index_set.page("demo").files("1.0"):
            assert [str(item) for item in index_set.metadata(file).requires] == [expected]


def test_a_wheel_for_others_spares_a_build(open_set: OpenSet, shelf: Any) -> None:
    mac = make_wheel("demo", requires=["dep"], tag="cp312-cp312-macosx_11_0_arm64")
    shelf.put(mac, Distribution(name="demo", filename="demo-1.0.tar.gz", content=b"", metadata=b""))
    index_set = open_set()
    index_set.prefetch([], [Target(platform="linux-64", python="3.12")], {})
    sdist = next(file for file in index_set.page("demo").files("1.0") if not file.is_wheel)
    assert index_set.metadata(sdist).requires == (parse_requirement("dep"),)


def test_static_sdists(open_set: OpenSet, shelf: Any, tmp_path: Path) -> None:
    sdist = make_sdist("demo", requires=["dep>=2"])
    shelf.put(sdist)
    assert ask(open_set()).requires == (parse_requirement("dep>=2"),)
    assert files_asked(shelf.server) == [(sdist.filename, "")]
    assert list((tmp_path / "cache" / "downloads").iterdir()) == []
    assert ask(open_set(offline=True)).requires


def dynamic_sdist() -> Distribution:
    old = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
    return make_sdist("demo", requires=["unused"], files={"PKG-INFO": old, "pyproject.toml": BUILD_SYSTEM})


def test_sdists_that_have_to_be_built(open_set: OpenSet, shelf: Any) -> None:
    sdist = dynamic_sdist()
    shelf.put(sdist)
    for _ in range(2):
        with pytest.raises(NeedsBuildError, match=r"demo-1\.0\.tar\.gz has to be built") as caught:
            ask(open_set())
        assert caught.value.file.filename == sdist.filename
    built: list[bytes] = []

    def build(file: IndexFile, archive: Path) -> CoreMetadata:
        built.append(archive.read_bytes())
        return CoreMetadata(name="demo", version="1.0", requires=(parse_requirement("dep"),))

    assert ask(open_set(build_metadata=build)).requires == (parse_requirement("dep"),)
    assert built == [sdist.content]
    assert ask(open_set()).requires == (parse_requirement("dep"),)


@pytest.mark.parametrize("name", ["demo-1.0.tar.gz", "demo-1.0.zip", "demo-1.0.tar.bz2", "demo-1.0.tar.xz"])
def test_damaged_sdists(open_set: OpenSet, shelf: Any, name: str) -> None:
    shelf.put(Distribution(name="demo", filename=name, content=b"\x1f\x8b\x08 not an archive", metadata=b""))
    with pytest.raises(MetadataError, match=f"{name} is damaged"):
        ask(open_set())
    whole = make_sdist("demo").content
    shelf.put(Distribution(name="demo", filename="demo-1.0.tar.gz", content=whole[:60], metadata=b""))
    with pytest.raises(MetadataError, match="damaged"):
        ask(open_set(refresh=True))


def test_an_sdist_that_is_not_the_listed_one(open_set: OpenSet, shelf: Any) -> None:
    shelf.put(make_sdist("demo"))
    shelf.server.on("/files/demo-1.0.tar.gz", make_sdist("demo", requires=["evil"]).content)
    with pytest.raises(HashError):
        ask(open_set())


def test_hashes_are_worked_out_where_the_index_has_none(
    open_set: OpenSet, shelf: Any, demo: Distribution
) -> None:
    from envforge.resolve.resolution import resolve_target

    shelf.put(demo, hashes=False)
    shelf.put(dep := make_wheel("dep", "2.0"))
    index_set = open_set()
    targets = [Target(platform=platform, python="3.12") for platform in ("linux-64", "win-64")]
    groups = {"project": [parse_requirement("demo")]}
    resolutions = [resolve_target(groups, target, index_set, {}) for target in targets]
    for resolution in index_set.with_hashes(resolutions):
        assert resolution.pins["demo"].file.sha256 == demo.sha256
        assert resolution.pins["dep"].file.sha256 == dep.sha256
    assert files_asked(shelf.server).count((demo.filename, "")) == 1
    assert files_asked(shelf.server).count((dep.filename, "")) == 0


class TestPrefetch:
    TARGETS = tuple(Target(platform=platform, python="3.12") for platform in ("linux-64", "win-64"))

    def put_world(self, shelf: Any) -> None:
        shelf.put(
            make_wheel(
                "app",
                "1.0",
                requires=["core>=1", "winonly; sys_platform == 'win32'", "maconly; sys_platform == 'darwin'"],
            ),
            make_wheel("app", "2.0rc1", requires=["future"]),
        )
        shelf.put(
            make_wheel("core", "1.5", requires=["app"]), make_wheel("core", "1.0", requires=["old-dep"])
        )
        shelf.put(make_wheel("winonly", extras={"x": ["extra-dep"], "y": ["other-dep"]}))
        for name in ("old-dep", "extra-dep", "other-dep", "maconly", "future"):
            shelf.put(make_wheel(name))

    def crawl(self, index_set: IndexSet, *texts: str, **preferred: str) -> set[str]:
        index_set.prefetch([parse_requirement(text) for text in texts], self.TARGETS, preferred)
        return set(index_set._pages._slots)

    def test_what_a_resolution_needs_is_there(self, open_set: OpenSet, shelf: Any) -> None:
        self.put_world(shelf)
        index_set = open_set()
        assert self.crawl(index_set, "app", "winonly[x]") == {"app", "core", "winonly", "extra-dep"}
        count = len(shelf.server.asked)
        for name in ("app", "core", "winonly", "extra-dep"):
            page = index_set.page(name)
            version = next(version for version in page.versions if "rc" not in version)
            assert index_set.metadata(page.files(version)[0])
        assert len(shelf.server.asked) == count

    def test_preferences_and_specifiers(self, open_set: OpenSet, shelf: Any) -> None:
        self.put_world(shelf)
        assert self.crawl(open_set(), "app", core="1.0") == {"app", "core", "winonly", "old-dep"}
        assert self.crawl(open_set(), "core<1.2") == {"core", "old-dep"}
        assert self.crawl(open_set(), "app==2.0rc1") == {"app", "future"}

    def test_failures_wait_for_who_asks(self, open_set: OpenSet, shelf: Any) -> None:
        self.put_world(shelf)
        shelf.server.on("/simple/core/", Answer(status=500))
        index_set = open_set()
        names = self.crawl(index_set, "app", "ghost", "core", "direct @ https://h/x.whl")
        assert names == {"app", "core", "winonly", "ghost"}
        count = len(shelf.server.asked)
        with pytest.raises(NetworkError, match="500"):
            index_set.page("core")
        assert len(shelf.server.asked) == count

    def test_answers_are_waited_for_together(self, open_set: OpenSet, server: ScriptedServer) -> None:
        names = [f"p{number}" for number in range(8)]
        together = threading.Barrier(4, timeout=5)  # as many as there are connections

        for name in names:
            page = f'<a href="{name}-1.0.exe">'.encode()
            server.on(f"/simple/{name}/", Answer(body=page, before=together.wait))
        assert self.crawl(open_set(), *names) == set(names)

    def test_metadata_is_told(self, open_set: OpenSet, shelf: Any) -> None:
        self.put_world(shelf)
        events: list[Event] = []

        class Notes:
            def report(self, event: Event) -> None:
                events.append(event)

        self.crawl(open_set(reporter=Notes()), "core<1.2")
        told = sorted((event.name, event.version) for event in events if isinstance(event, MetadataFetched))
        assert told == [("core", "1.0"), ("old-dep", "1.0")]
        assert sorted(event.known_count for event in events if isinstance(event, MetadataFetched)) == [1, 2]


def test_ctrl_c_ends_a_crawl(open_set: OpenSet, server: ScriptedServer) -> None:
    server.on("/simple/slow/", Answer(body=b"", wait_s=30))
    server.on("/simple/quick/", b'<a href="quick-1.0-py3-none-any.whl">')
    index_set = open_set()
    original = index_set.page

    def page(name: str) -> Any:
        if name == "quick" and threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        return original(name)

    index_set.page = page  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        index_set.prefetch([parse_requirement("slow"), parse_requirement("quick")], TestPrefetch.TARGETS, {})


def test_the_cached_records_are_plain(
    open_set: OpenSet, shelf: Any, demo: Distribution, tmp_path: Path
) -> None:
    shelf.put(demo)
    ask(open_set())
    (path,) = (path for path in (tmp_path / "cache" / "metadata-v1").rglob("*") if path.is_file())
    assert json.loads(path.read_bytes()) == [
        "demo",
        "1.0",
        "",
        [["dep", [], ">=2", "", ""], ["more", [], "", 'extra == "x"', ""]],
        ["x"],
    ]
