"""Pages: which index is asked, what is cached and for how long, what a crash leaves behind."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envforge.errors import NetworkError, OfflineError, PackageIndexError, UnknownPackageError
from envforge.index.index_set import IndexSet
from envforge.index.locations import IndexLocation
from envforge.index.page import decode_header, encode_page, header_bytes
from envforge.metadata.simple import split_page
from envforge.model.release import LimitedPage
from envforge.net.cache import Validity

from support.distributions import Distribution, make_wheel
from support.scripted_server import Answer, ScriptedServer

NOW_S = 1_800_000_000.0
OpenSet = Callable[..., IndexSet]


def test_a_page(open_set: OpenSet, shelf: Any, demo: Distribution) -> None:
    shelf.put(demo, make_wheel("demo", "2.0rc1"), make_wheel("demo", "0.9", requires_python=">=3.9"))
    page = open_set().page("demo")
    assert (page.name, page.index) == ("demo", "main")
    assert list(page.versions) == ["2.0rc1", "1.0", "0.9"]
    (file,) = page.files("0.9")
    assert (file.requires_python, file.index) == (">=3.9", "main")
    assert file.url == f"{shelf.server.url}/files/demo-0.9-py3-none-any.whl"
    assert "json" in shelf.server.asked[0].headers["accept"]
    with pytest.raises(KeyError):
        page.files("7.0")


def test_what_was_asked_is_not_asked_again(open_set: OpenSet, shelf: Any, demo: Distribution) -> None:
    shelf.put(demo)
    index_set = open_set()
    threads = [threading.Thread(target=index_set.page, args=("demo",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert index_set.page("demo") is index_set.page("demo")
    assert len(shelf.server.asked) == 1


def test_pages_are_fresh_for_ten_minutes(open_set: OpenSet, shelf: Any, demo: Distribution) -> None:
    shelf.put(demo)
    open_set(now_s=NOW_S).page("demo")
    page = open_set(now_s=NOW_S + 599).page("demo")
    assert page.files("1.0")[0].sha256 == demo.sha256
    assert len(shelf.server.asked) == 1
    open_set(now_s=NOW_S + 601).page("demo")
    assert len(shelf.server.asked) == 2
    open_set(now_s=NOW_S + 601, refresh=True).page("demo")
    assert len(shelf.server.asked) == 3
    assert shelf.server.asked[2].headers["cache-control"] == "max-age=0"


def test_cache_control(open_set: OpenSet, shelf: Any, demo: Distribution) -> None:
    shelf.put(demo, page={"headers": {"Cache-Control": "max-age=5"}})
    open_set().page("demo")
    open_set(now_s=NOW_S + 4).page("demo")
    assert len(shelf.server.asked) == 1
    open_set(now_s=NOW_S + 6).page("demo")
    assert len(shelf.server.asked) == 2
    shelf.put(demo, page={"headers": {"Cache-Control": "no-store"}})
    open_set(now_s=NOW_S + 20).page("demo")
    open_set(now_s=NOW_S + 20).page("demo")
    assert len(shelf.server.asked) == 4


@pytest.mark.parametrize(
    ("validator", "header"),
    [
        ({"etag": '"v1"'}, "if-none-match"),
        ({"modified": "Sat, 21 Nov 2026 10:00:00 GMT"}, "if-modified-since"),
    ],
)
def test_revalidation(
    open_set: OpenSet, shelf: Any, demo: Distribution, validator: dict[str, str], header: str
) -> None:
    shelf.put(demo, page={"headers": {"Cache-Control": "max-age=60"}, **validator})
    open_set().page("demo")
    page = open_set(now_s=NOW_S + 100).page("demo")
    assert list(page.versions) == ["1.0"]
    assert shelf.server.asked[1].headers[header] == next(iter(validator.values()))
    open_set(now_s=NOW_S + 150).page("demo")
    assert len(shelf.server.asked) == 2  # the 304 has made it fresh for another minute
    shelf.put(
        demo,
        make_wheel("demo", "2.0"),
        page={"headers": {}, **{key: value + "2" for key, value in validator.items()}},
    )
    assert list(open_set(now_s=NOW_S + 999).page("demo").versions) == ["2.0", "1.0"]


def test_offline(open_set: OpenSet, shelf: Any, demo: Distribution) -> None:
    shelf.put(demo)
    with pytest.raises(OfflineError, match="demo is not cached for index 'main'"):
        open_set(offline=True).page("demo")
    open_set().page("demo")
    years_later = open_set(offline=True, refresh=True, now_s=NOW_S + 1e8)
    assert years_later.page("demo").files("1.0")
    assert len(shelf.server.asked) == 1


def test_projects_that_are_not_there_are_remembered_too(open_set: OpenSet, server: ScriptedServer) -> None:
    for now_s in (NOW_S, NOW_S + 599):
        with pytest.raises(UnknownPackageError, match="index 'main' has no project named 'ghost'") as caught:
            open_set(now_s=now_s).page("ghost")
        assert f"asked: {server.url}/simple" in caught.value.context
    assert len(server.asked) == 1
    with pytest.raises(UnknownPackageError):
        open_set(offline=True, now_s=NOW_S + 1e8).page("ghost")
    with pytest.raises(UnknownPackageError):
        open_set(now_s=NOW_S + 601).page("ghost")
    assert len(server.asked) == 2


@pytest.fixture
def second() -> Any:
    with ScriptedServer() as running:
        yield running


def locations(
    first: ScriptedServer, second: ScriptedServer, **options: bool
) -> tuple[IndexLocation, IndexLocation]:
    return (
        IndexLocation(name="public", url=f"{first.url}/simple", default=True),
        IndexLocation(name="corp", url=f"{second.url}/simple", **options),
    )


def list_demo(server: ScriptedServer, version: str) -> None:
    server.on("/simple/demo/", f'<a href="demo-{version}-py3-none-any.whl">'.encode())


def test_the_first_index_that_has_a_project_is_the_only_one(
    open_set: OpenSet, server: ScriptedServer, second: ScriptedServer
) -> None:
    list_demo(server, "9.0")
    list_demo(second, "1.0")
    indexes = locations(server, second)
    page = open_set(*indexes).page("demo")
    assert (page.index, list(page.versions)) == ("corp", ["1.0"])
    assert server.asked == []
    second.script.clear()
    assert open_set(*indexes, now_s=NOW_S + 9999).page("demo").index == "public"


@pytest.mark.parametrize(
    "answer",
    [Answer(status=401), Answer(status=403), Answer(status=500), Answer(body=b"<form>log in</form>")],
)
def test_an_index_that_fails_does_not_pass_the_question_on(
    open_set: OpenSet, server: ScriptedServer, second: ScriptedServer, answer: Answer
) -> None:
    list_demo(server, "9.0")
    second.on("/simple/demo/", answer)
    with pytest.raises((NetworkError, PackageIndexError)):
        open_set(*locations(server, second)).page("demo")
    assert server.asked == []


def test_explicit_indexes_and_sources(
    open_set: OpenSet, server: ScriptedServer, second: ScriptedServer
) -> None:
    list_demo(second, "1.0")
    second.on("/simple/other/", b'<a href="other-1.0.tar.gz">')
    server.on("/simple/other/", b'<a href="other-2.0.tar.gz">')
    indexes = locations(server, second, explicit=True)
    with pytest.raises(UnknownPackageError) as caught:
        open_set(*indexes).page("demo")
    assert any('demo = { index = "corp" }' in hint for hint in caught.value.hints)
    assert second.asked == []
    index_set = open_set(*indexes, sources={"demo": "corp", "ghost": "corp"})
    assert index_set.page("demo").index == "corp"
    assert index_set.page("other").index == "public"
    with pytest.raises(UnknownPackageError, match="index 'corp' has no project named 'ghost'"):
        index_set.page("ghost")


def test_users_do_not_see_each_others_pages(
    open_set: OpenSet, server: ScriptedServer, tmp_path: Path
) -> None:
    page = b'<a href="demo-1.0.tar.gz">'
    server.on("/simple/demo/", Answer(body=page, password="alice:wonderland"))
    alice, bob = (
        IndexLocation(name="corp", url=f"{server.url.replace('://', f'://{user}@')}/simple", default=True)
        for user in ("alice:wonderland", "bob:builder")
    )
    assert open_set(alice).page("demo").versions
    with pytest.raises(NetworkError, match="401") as caught:
        open_set(bob).page("demo")
    assert "builder" not in "".join([*caught.value.context, *caught.value.hints, caught.value.message])
    assert open_set(alice, offline=True).page("demo").versions
    for path in (tmp_path / "cache").rglob("*"):
        assert "alice" not in path.name
        if path.is_file():
            content = path.read_bytes()
            assert b"alice" not in content
            assert b"wonderland" not in content


def test_variables_in_the_url_of_an_index(open_set: OpenSet, server: ScriptedServer) -> None:
    server.on("/simple/demo/", Answer(body=b'<a href="demo-1.0.tar.gz">', password="me:p@ss/word"))
    url = f"http://me:${{TOKEN}}@${{HOST}}:{server.port}/simple/"
    environ = {"TOKEN": "p@ss/word", "HOST": "127.0.0.1"}
    index = IndexLocation(name="corp", url=url, default=True)
    index_set = open_set(index, environ=environ)
    assert index_set.page("demo").versions
    assert index_set.indexes == (index,)
    assert index.clean_url == f"http://${{HOST}}:{server.port}/simple/"
    assert "TOKEN" not in repr(index)


def test_an_index_in_a_folder(open_set: OpenSet, tmp_path: Path, demo: Distribution) -> None:
    folder = tmp_path / "my index"
    (folder / "simple" / "demo").mkdir(parents=True)
    (folder / demo.filename).write_bytes(demo.content)
    (folder / "simple" / "demo" / "index.html").write_text(
        f'<a href="../../{demo.filename}#sha256={demo.sha256}">{demo.filename}</a>'
    )
    index = IndexLocation(name="local", url=(folder / "simple").as_uri(), default=True)
    index_set = open_set(index, offline=True)
    (file,) = index_set.page("demo").files("1.0")
    assert [str(item) for item in index_set.metadata(file).requires] == ["dep>=2", 'more; extra == "x"']
    with pytest.raises(UnknownPackageError):
        index_set.page("ghost")


def page_files(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "cache" / "pages-v1").rglob("*") if path.is_file()]


@pytest.mark.parametrize("damage", ["empty", "header", "cut", "zeros", "text", "gone"])
def test_damaged_entries_are_fetched_again(
    open_set: OpenSet, shelf: Any, demo: Distribution, tmp_path: Path, damage: str
) -> None:
    shelf.put(demo, make_wheel("demo", "2.0"))
    open_set().page("demo")
    (path,) = page_files(tmp_path)
    whole = path.read_bytes()
    begin = header_bytes(whole)
    path.write_bytes(
        {
            "empty": b"",
            "header": b"zzzz" + whole[4:],
            "cut": whole[:-1],
            "zeros": bytes(len(whole)),
            "text": whole[:begin] + bytes(len(whole) - begin),
            "gone": whole,
        }[damage]
    )
    import os

    os.utime(path, (NOW_S, NOW_S))
    page = open_set().page("demo")
    assert [file.filename for file in page.files("1.0")] == [demo.filename]
    assert len(shelf.server.asked) == (1 if damage == "gone" else 2)
    assert path.read_bytes() == whole


def test_a_large_page_is_read_in_parts(open_set: OpenSet, server: ScriptedServer, tmp_path: Path) -> None:
    anchors = "".join(
        f'<a href="demo-{major}.{minor}-py3-none-any.whl#sha256={"0" * 64}" data-x="{"y" * 900}">'
        for major in range(40)
        for minor in range(5)
    )
    server.on("/simple/demo/", anchors.encode())
    open_set().page("demo")
    page = open_set().page("demo")
    assert len(page.versions) == 200
    assert page.files("39.4")[0].filename == "demo-39.4-py3-none-any.whl"
    assert page.files("0.0")[0].filename == "demo-0.0-py3-none-any.whl"
    assert len(server.asked) == 1
    # another process replaces the page while this one has read only its beginning
    server.on("/simple/demo/", b'<a href="demo-0.1-py3-none-any.whl"><a href="demo-50.0-py3-none-any.whl">')
    held = open_set().page("demo")
    open_set(refresh=True).page("demo")
    assert held.files("0.1")[0].filename == "demo-0.1-py3-none-any.whl"
    (path,) = page_files(tmp_path)
    path.unlink()
    held = open_set(refresh=True).page("demo")
    with pytest.raises(KeyError):
        held.files("0.2")


def test_a_version_that_disappears_meanwhile(
    open_set: OpenSet, server: ScriptedServer, tmp_path: Path
) -> None:
    anchors = "".join(f'<a href="demo-{n}-py3-none-any.whl" data-x="{"y" * 900}">' for n in range(200))
    server.on("/simple/demo/", anchors.encode())
    open_set().page("demo")
    held = open_set().page("demo")
    server.on("/simple/demo/", b'<a href="demo-7-py3-none-any.whl">')
    page_files(tmp_path)[0].unlink()
    with pytest.raises(PackageIndexError, match="demo 3 has disappeared from index 'main'"):
        held.files("3")


def test_the_cached_form() -> None:
    split = split_page(b'<a href="demo-1.0.tar.gz"><a href="demo-2.0.tar.gz">', "", "https://h/demo/", "demo")
    validity = Validity(lifetime_s=5, etag='"e"')
    encoded = encode_page(split, validity)
    header = decode_header(encoded, len(encoded))
    assert header is not None
    assert header.validity == validity
    assert (list(header.versions), header.base_url, header.is_missing) == (
        ["2.0", "1.0"],
        "https://h/demo/",
        False,
    )
    missing = encode_page(None, validity)
    assert (found := decode_header(missing, len(missing))) is not None
    assert found.is_missing
    for content in (b"", b"00000002{}", b"00000002[]", b"0000000", json.dumps({"lifetime": 1}).encode()):
        assert decode_header(content, len(content)) is None


def test_json_pages(open_set: OpenSet, server: ScriptedServer) -> None:
    document = {
        "meta": {"api-version": "1.1"},
        "files": [{"filename": "demo-1.0.tar.gz", "url": "/f/demo-1.0.tar.gz", "hashes": {}, "size": 7}],
    }
    kind = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
    server.on("/simple/demo/", Answer(body=json.dumps(document).encode(), headers=kind))
    for _ in range(2):  # from the server, from the cache
        (file,) = open_set().page("demo").files("1.0")
        assert (file.url, file.size_bytes) == (f"{server.url}/f/demo-1.0.tar.gz", 7)


def test_redirected_pages_keep_their_base(open_set: OpenSet, server: ScriptedServer) -> None:
    server.on("/simple/demo/", Answer(status=302, headers={"Location": "/elsewhere/d/"}))
    server.on("/elsewhere/d/", b'<a href="demo-1.0.tar.gz">')
    for _ in range(2):
        (file,) = open_set().page("demo").files("1.0")
        assert file.url == f"{server.url}/elsewhere/d/demo-1.0.tar.gz"


class TestExcludeNewer:
    LIMIT = "2026-01-02T00:00:00Z"

    def put(self, server: ScriptedServer, *rows: tuple[str, str]) -> None:
        anchors = (
            f'<a href="{name}"' + (f' data-upload-time="{time}">' if time else ">") for name, time in rows
        )
        server.on("/simple/demo/", "".join(anchors).encode())

    def test_files_of_later_are_not_there(self, open_set: OpenSet, server: ScriptedServer) -> None:
        self.put(
            server,
            ("demo-1.0.tar.gz", "2026-01-01T23:59:59.999Z"),
            ("demo-1.0-py3-none-any.whl", "2026-01-02T00:00:00Z"),
            ("demo-2.0.tar.gz", "2026-01-02T00:00:00.000001Z"),
            ("demo-3.0.tar.gz", "2026-01-02T01:00:00+02:00"),
        )
        page = open_set(exclude_newer=self.LIMIT).page("demo")
        assert list(page.versions) == ["3.0", "1.0"]
        assert [file.filename for file in page.files("1.0")] == ["demo-1.0.tar.gz"]
        assert list(page.files("2.0")) == []
        assert list(open_set().page("demo").versions) == ["3.0", "2.0", "1.0"]
        assert isinstance(page, LimitedPage)
        assert page.limit == self.LIMIT
        assert list(page.left_out()) == [("2.0", "2026-01-02T00:00:00.000001Z")]
        assert not isinstance(open_set().page("demo"), LimitedPage)

    def test_without_times_the_json_api_is_asked(self, open_set: OpenSet, server: ScriptedServer) -> None:
        self.put(server, ("demo-1.0.tar.gz", ""), ("demo-2.0.tar.gz", ""), ("demo-3.0.tar.gz", ""))
        releases = {
            version: [{"filename": f"demo-{version}.tar.gz", "upload_time_iso_8601": time}]
            for version, time in (("1.0", "2026-01-01T00:00:00.5Z"), ("2.0", "2026-01-03T00:00:00Z"))
        }
        server.on("/pypi/demo/json", json.dumps({"releases": releases}).encode())
        for offline in (False, True):
            assert list(open_set(exclude_newer=self.LIMIT, offline=offline).page("demo").versions) == ["1.0"]
        assert server.paths() == ["/simple/demo/", "/pypi/demo/json"]

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(status=404),
            Answer(status=500),
            Answer(body=b"<html>"),
            Answer(body=b"{}"),
            Answer(body=b'{"releases": []}'),
        ],
    )
    def test_an_index_without_any_times(
        self, open_set: OpenSet, server: ScriptedServer, answer: Answer
    ) -> None:
        self.put(server, ("demo-1.0.tar.gz", ""))
        server.on("/pypi/demo/json", answer)
        with pytest.raises(PackageIndexError, match="index 'main' has none for demo") as caught:
            _ = open_set(exclude_newer=self.LIMIT).page("demo").versions
        assert f"{server.url}/pypi/demo/json" in "\n".join(caught.value.context)

    def test_times_that_cannot_be_read_hide_the_file(self, open_set: OpenSet, server: ScriptedServer) -> None:
        self.put(server, ("demo-1.0.tar.gz", "yesterday"), ("demo-2.0.tar.gz", "2025-01-01"))
        assert list(open_set(exclude_newer=self.LIMIT).page("demo").versions) == ["2.0"]
