"""Pages of the simple API: both formats, what sloppy servers write, and what is no page."""

from __future__ import annotations

import json

import pytest

from envforge.errors import PackageIndexError
from envforge.metadata.simple import chunk_upload_times, split_page
from envforge.model.release import IndexFile

from support.pages import parse_page

URL = "https://index.test/simple/demo/"
SHA = "a" * 64
WHEEL = "demo-1.0-py3-none-any.whl"


def html(body: str, *, content_type: str = "text/html", url: str = URL) -> list[IndexFile]:
    return parse_page(body.encode(), content_type, url, "demo", "test")


def only(body: str, **options: str) -> IndexFile:
    (file,) = html(body, **options)
    return file


def page_json(*files: dict[str, object], **meta: str) -> list[IndexFile]:
    document = {"meta": {"api-version": "1.0", **meta}, "name": "demo", "files": files}
    return parse_page(
        json.dumps(document).encode(), "application/vnd.pypi.simple.v1+json", URL, "demo", "test"
    )


def test_an_anchor_of_pypi() -> None:
    file = only(
        f'<a href="https://files.test/ab/{WHEEL}#sha256={SHA}" data-requires-python="&gt;=3.9,&lt;4" '
        f'data-core-metadata="sha256={"b" * 64}" data-upload-time="2026-01-02T03:04:05Z">{WHEEL}</a>'
    )
    assert file == IndexFile(
        filename=WHEEL,
        url=f"https://files.test/ab/{WHEEL}",
        index="test",
        sha256=SHA,
        requires_python=">=3.9,<4",
        upload_time="2026-01-02T03:04:05Z",
        has_metadata=True,
        metadata_sha256="b" * 64,
    )


@pytest.mark.parametrize(
    "anchor",
    [
        f"<a href='{WHEEL}' data-requires-python='&gt;=3.9'>x</a>",
        f"<A HREF={WHEEL} DATA-REQUIRES-PYTHON=&gt;=3.9 >x</A>",
        f'<a\n  class = "big > small"\n href = "{WHEEL}"\tdata-requires-python=">=3.9"\n>',
        f'<a data-x href="{WHEEL}" data-requires-python="&#62;=3.9"/>',
        f'<a title="href=no" data-requires-python="&gt;=3.9" href="./{WHEEL}">',
        f'<a href="  {WHEEL} " data-requires-python=" &gt;=3.9 ">',
    ],
)
def test_anchors_in_any_shape(anchor: str) -> None:
    file = only(f"<html><body>{anchor}</body></html>")
    assert (file.filename, file.requires_python) == (WHEEL, ">=3.9")
    assert file.url == URL + WHEEL


def test_comments_scripts_and_styles_are_not_read() -> None:
    other = "demo-2.0-py3-none-any.whl"
    hidden = (
        f'<!-- <a href="{other}"> --><script>document.write("<a href=\'{other}\'>")</script>'
        f"<style>a:after {{ content: '<a href={other}>' }}</style>"
    )
    assert only(f'{hidden}<a href="{WHEEL}">{WHEEL}</a>').filename == WHEEL


def test_what_has_a_tags_beginning_is_no_anchor() -> None:
    other = "demo-2.0-py3-none-any.whl"
    assert only(f'<abbr href="{other}"><area href="{other}"><a href="{WHEEL}">').filename == WHEEL


def test_a_base_that_is_no_url() -> None:
    assert only(f'<base href="//[x"><a href="{WHEEL}">').url == URL + WHEEL


def test_the_first_base_counts() -> None:
    page = f'<base target="x"><base href="/files/"><base href="/no/"><a href="{WHEEL}">'
    assert only(page).url == f"https://index.test/files/{WHEEL}"


@pytest.mark.parametrize(
    ("attribute", "yanked"),
    [("", None), (" data-yanked", ""), (' data-yanked=""', ""), (' data-yanked="bad"', "bad")],
)
def test_yanked(attribute: str, yanked: str | None) -> None:
    assert only(f'<a href="{WHEEL}"{attribute}>').yanked == yanked


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("", (False, "")),
        (' data-core-metadata="true"', (True, "")),
        (' data-core-metadata="false"', (False, "")),
        (f' data-dist-info-metadata="sha256={SHA}"', (True, SHA)),
        (f' data-dist-info-metadata="false" data-core-metadata="sha256={SHA}"', (True, SHA)),
        (' data-core-metadata="md5=abc"', (True, "")),
    ],
)
def test_metadata_files(attribute: str, expected: tuple[bool, str]) -> None:
    file = only(f'<a href="{WHEEL}"{attribute}>')
    assert (file.has_metadata, file.metadata_sha256) == expected


def test_hashes_that_are_none_are_not_kept() -> None:
    assert only(f'<a href="{WHEEL}#md5=abc">').sha256 == ""
    assert only(f'<a href="{WHEEL}#sha256=abc">').sha256 == ""
    assert only(f'<a href="{WHEEL}#sha256={"A" * 64}">').sha256 == SHA
    assert only(f'<a href="{WHEEL}#egg=demo&amp;sha256={SHA}">').sha256 == SHA


def test_percent_encoding_and_entities_in_links() -> None:
    local = "demo-1.0%2Bcu128-cp312-cp312-linux_x86_64.whl"
    file = only(f'<a href="/whl/a&amp;b/{local}#sha256={SHA}">')
    assert file.filename == "demo-1.0+cu128-cp312-cp312-linux_x86_64.whl"
    assert file.url == f"https://index.test/whl/a&b/{local}"


def test_urls_are_without_credentials() -> None:
    assert only(f'<a href="https://me:secret@files.test/{WHEEL}">').url == f"https://files.test/{WHEEL}"


@pytest.mark.parametrize(
    "href", ["file:///etc/{}", "javascript:{}", "ftp://files.test/{}", "data:x/{}", "//[::1/{}"]
)
def test_an_index_on_the_network_does_not_point_elsewhere(href: str) -> None:
    assert html(f'<a href="{href.format(WHEEL)}">') == []


def test_an_index_in_a_folder_points_to_files() -> None:
    file = only(f'<a href="../../{WHEEL}">', url="file:///srv/simple/demo/index.html")
    assert file.url == f"file:///srv/{WHEEL}"


def test_files_are_grouped_by_version() -> None:
    names = [
        "demo-1.10.tar.gz",
        "demo-1.9-py3-none-any.whl",
        "demo-1.10-1-cp312-cp312-win_amd64.whl",
        "demo-2.0rc1-py3-none-any.whl",
        "demo-1.10.0-py3-none-any.whl",
    ]
    page = split_page("".join(f'<a href="{name}">' for name in names).encode(), "text/html", URL, "demo")
    assert [version for version, _ in page.chunks] == ["2.0rc1", "1.10", "1.9"]
    files = html("".join(f'<a href="{name}">' for name in names))
    assert {file.filename for file in files} == set(names)


@pytest.mark.parametrize(
    "name",
    [
        "demo-1.0.exe",
        "demo-1.0-py2.7.egg",
        "demo-1.0.win32.zip",
        "demo-1.0.linux-x86_64.tar.gz",
        "demo-1.0-py3-none.whl",
        "demo-1.0-x1-py3-none-any.whl",
        "demo-1.0-1-2-py3-none-any.whl",
        "demo-latest-py3-none-any.whl",
        "demo_extra-1.0-py3-none-any.whl",
        "other-1.0.tar.gz",
        "demo.tar.gz",
        "demo-1.0-py3-none-any%2F..%2F..%2Fx.whl",
        "demo-1.0-py3-none-any%5Cx.whl",
        "demo-1.0-py3-none-any%00.whl",
    ],
)
def test_other_names_are_left_out(name: str) -> None:
    assert html(f'<a href="{name}">{name}</a>') == []


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("my-old.project-1.0.tar.gz", "1.0"),
        ("My_Old-Project-1.0-2.zip", "1.0.post2"),
        ("my_old_project-2.0-py3-none-any.whl", "2.0"),
        ("my-old-project-1.0.tar.bz2", "1.0"),
    ],
)
def test_old_sdist_names(name: str, version: str) -> None:
    page = split_page(f'<a href="{name}">'.encode(), "text/html", URL, "my-old-project")
    assert [found for found, _ in page.chunks] == [version]


def test_json() -> None:
    row = {
        "filename": WHEEL,
        "url": f"../../files/{WHEEL}",
        "hashes": {"sha256": SHA, "md5": "x"},
        "requires-python": ">=3.9",
        "core-metadata": {"sha256": "b" * 64},
        "yanked": "broken",
        "size": 1234,
        "upload-time": "2026-01-02T03:04:05.678Z",
        "provenance": None,
    }
    assert page_json(row) == [
        IndexFile(
            filename=WHEEL,
            url=f"https://index.test/files/{WHEEL}",
            index="test",
            sha256=SHA,
            size_bytes=1234,
            requires_python=">=3.9",
            yanked="broken",
            upload_time="2026-01-02T03:04:05.678Z",
            has_metadata=True,
            metadata_sha256="b" * 64,
        )
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"yanked": True}, ("", False)),
        ({"yanked": False}, (None, False)),
        ({"core-metadata": True}, (None, True)),
        ({"core-metadata": False, "dist-info-metadata": {"sha256": SHA}}, (None, False)),
        ({"dist-info-metadata": {"sha256": SHA}}, (None, True)),
        ({"requires-python": None, "hashes": {}, "size": None, "upload-time": None}, (None, False)),
        ({"hashes": None, "size": "big"}, (None, False)),
    ],
)
def test_json_with_less(row: dict[str, object], expected: tuple[str | None, bool]) -> None:
    (file,) = page_json({"filename": WHEEL, "url": WHEEL, **row})
    assert (file.yanked, file.has_metadata) == expected
    assert file.size_bytes is None


@pytest.mark.parametrize(
    "name", ["demo-1.0-py3-none-any/../x.whl", "demo-1.0-py3-none-any\\x.whl", "../demo-1.0.tar.gz"]
)
def test_json_names_are_no_paths(name: str) -> None:
    assert page_json({"filename": name, "url": WHEEL}) == []


def test_json_with_members_in_any_order_and_layout() -> None:
    document = {
        "versions": ["1.0"],
        "files": [{"filename": WHEEL, "url": WHEEL}],
        "meta": {"api-version": "1.4"},
    }
    body = json.dumps(document, indent=3).encode()
    (file,) = parse_page(body, "", URL, "demo", "test")
    assert file.url == URL + WHEEL


def test_both_formats_say_the_same() -> None:
    row = {
        "filename": WHEEL,
        "url": f"/f/{WHEEL}",
        "hashes": {"sha256": SHA},
        "requires-python": ">=3.9",
        "yanked": "why",
        "upload-time": "2026-01-02T03:04:05Z",
    }
    anchor = (
        f'<a href="/f/{WHEEL}#sha256={SHA}" data-requires-python="&gt;=3.9" data-yanked="why" '
        f'data-upload-time="2026-01-02T03:04:05Z">'
    )
    assert page_json(row) == html(anchor)


@pytest.mark.parametrize(
    ("body", "content_type", "says"),
    [
        (b"", "text/html", "it is empty"),
        (b"  \n", "", "it is empty"),
        (b"Service unavailable", "text/plain", "it lists no files"),
        (b"<html><form action=login><input type=password></form></html>", "text/html", "it lists no files"),
        (b"\x89PNG", "image/png", "its content type is image/png"),
        (b'{"files": [}', "application/json", "its JSON is broken"),
        (b'{"files": []} trailing', "application/json", "its JSON is broken"),
        (b'{"files": [] "x": 1}', "application/json", "its JSON is broken"),
        (b"[]", "application/json", "its JSON is broken"),
        (b"\xff\xfe", "application/json", "its JSON is broken"),
        (b'{"message": "log in"}', "application/json", "its JSON has no list of files"),
        (b'{"files": {"a": 1}}', "application/json", "its JSON has no list of files"),
        (b'{"files": 1, "files": [{"filename": "x"}]}', "application/json", "its JSON is broken"),
        (b'{"files":[{"filename":"demo-1.0.zip","url":"\xff"}]}', "application/json", "its JSON is broken"),
        (b'{"files":[{"filename":"demo-1.0.zip","url":"\\q"}]}', "application/json", "its JSON is broken"),
        (b"[" * 100_000, "application/json", "its JSON is broken"),
        (b'{"files":' + b"[" * 100_000, "application/json", "its JSON is broken"),
    ],
)
def test_what_is_no_page(body: bytes, content_type: str, says: str) -> None:
    with pytest.raises(PackageIndexError, match=says) as caught:
        split_page(body, content_type, URL, "demo")
    assert caught.value.context == (f"url: {URL}",)


@pytest.mark.parametrize(
    "other", ["7", "[]", "null", '{"url": "x"}', '{"filename": null}', '{"filename": 7}']
)
def test_what_has_no_name_does_not_count(other: str) -> None:
    body = f'{{"files": [{{"filename": "{WHEEL}", "url": "{WHEEL}"}}, {other}], "meta": {{}}}}'
    (file,) = parse_page(body.encode(), "application/json", URL, "demo", "test")
    assert file.filename == WHEEL


def test_a_number_that_no_machine_has() -> None:
    body = f'{{"files": [{{"filename": "{WHEEL}", "url": "{WHEEL}", "size": 1e999}}]}}'.encode()
    with pytest.raises(PackageIndexError, match="its JSON is broken") as caught:
        parse_page(body, "application/json", URL, "demo", "test")
    assert caught.value.context == (f"url: {URL}",)


def test_a_project_without_files_is_a_page() -> None:
    assert html("<!DOCTYPE html><html><body><h1>Links for demo</h1></body></html>") == []
    assert page_json() == []


def test_a_newer_api_is_refused() -> None:
    page = '<meta name="pypi:repository-version" content="2.0">'
    with pytest.raises(PackageIndexError, match=r"version 2\.0 of the simple API"):
        html(page + f'<a href="{WHEEL}">')
    with pytest.raises(PackageIndexError, match=r"version 2\.0 of the simple API"):
        page_json(**{"api-version": "2.0"})
    assert html(page.replace("2.0", "1.9") + f'<a href="{WHEEL}">')


def test_upload_times_of_a_chunk() -> None:
    body = f'<a href="{WHEEL}" data-upload-time="2026-01-01T00:00:00Z"><a href="demo-1.0.tar.gz">'
    page = split_page(body.encode(), "text/html", URL, "demo")
    assert chunk_upload_times(page.chunks[0][1], "html") == ["2026-01-01T00:00:00Z"]
    body = json.dumps({"files": [{"filename": WHEEL, "url": WHEEL, "upload-time": "2026-01-01T00:00:00Z"}]})
    page = split_page(body.encode(), "application/json", URL, "demo")
    assert chunk_upload_times(page.chunks[0][1], "json") == ["2026-01-01T00:00:00Z"]


def test_a_page_of_a_thousand_files_takes_milliseconds() -> None:
    from time import perf_counter

    anchors = "".join(
        f'<a href="https://files.test/packages/{"ab/" * 20}demo-1.{minor}-cp3{tag}-cp3{tag}-linux_x86_64.whl'
        f'#sha256={SHA}" data-requires-python="&gt;=3.9" data-upload-time="2026-01-02T03:04:05Z">x</a><br/>\n'
        for minor in range(100)
        for tag in range(10)
    ).encode()
    best = 1.0
    for _ in range(3):
        start = perf_counter()
        page = split_page(anchors, "text/html", URL, "demo")
        best = min(best, perf_counter() - start)
    assert len(page.chunks) == 100
    assert best < 0.1  # 3 ms on an idle machine: what this must catch is going back and forth


@pytest.mark.parametrize("piece", [b"<a href=", b'<a x="', b"<!--", b"<script", b"<a ", b"<a href='x' y=\""])
def test_no_page_takes_for_ever(piece: bytes) -> None:
    from time import perf_counter

    start = perf_counter()
    with pytest.raises(PackageIndexError):
        split_page(piece * 4000 + b"<form>", "text/html", URL, "demo")
    assert perf_counter() - start < 5
