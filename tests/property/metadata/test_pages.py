"""The pass over anchors against html.parser, names and versions against packaging."""

from __future__ import annotations

import json
from html import escape
from html.parser import HTMLParser
from urllib.parse import quote, unquote, urljoin

from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from envforge.metadata.anchors import chunk_anchors, cut_anchors
from envforge.metadata.simple import _plain_html_files, parse_files
from envforge.metadata.versions import canonical_version, version_of, version_sort_key

from support.pages import parse_page

URL = "https://index.test/simple/demo/"

release = st.lists(st.integers(0, 30), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
versions = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "", "", "1!", "v"]),
        release,
        st.sampled_from(["", "", "", "a1", ".b2", "-rc.3", "alpha", "c1", ".0.0"]),
        st.sampled_from(["", "", ".post1", "-2", "rev3"]),
        st.sampled_from(["", "", ".dev0", "_dev12"]),
        st.sampled_from(["", "", "+cu128", "+1.a.2", "+Ubuntu_1"]),
    ),
)


@given(versions, versions)
def test_versions_are_spelled_and_ordered_like_packaging(left: str, right: str) -> None:
    first, second = canonical_version(left), canonical_version(right)
    assert (first, second) == (str(Version(left)), str(Version(right)))
    assert first is not None and second is not None
    keys = version_sort_key(first), version_sort_key(second)
    assert (keys[0] < keys[1]) == (Version(left) < Version(right))
    assert (keys[0] == keys[1]) == (Version(left) == Version(right))


part = st.text("abcXYZ019._+-!", max_size=8)
wheel_names = st.builds(
    lambda parts: "-".join(parts) + ".whl",
    st.one_of(
        st.tuples(
            st.sampled_from(["demo", "De_Mo", "de.mo", "demo__x", "demo"]), versions, st.just("py3-none-any")
        ),
        st.tuples(st.sampled_from(["demo"]), versions, part, st.just("py3-none-any")),
        st.lists(part, min_size=1, max_size=7),
    ),
)


@given(wheel_names)
def test_wheel_names_are_read_like_packaging(filename: str) -> None:
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        assert version_of(filename, "demo") is None
        assert version_of(filename, "de-mo") is None
        return
    assert version_of(filename, name) == str(version)
    assert version_of(filename, "something-else") is None


@given(
    st.sampled_from(["demo", "de-mo", "De_Mo", "d.e"]),
    st.one_of(versions, part),
    st.sampled_from([".tar.gz", ".zip"]),
)
def test_sdist_names_are_read_like_packaging(name: str, version: str, suffix: str) -> None:
    filename = f"{name}-{version}{suffix}"
    try:
        project, parsed = parse_sdist_filename(filename)
    except InvalidSdistFilename:
        return  # we read more: a dash in the version
    if "-" not in version:
        assert version_of(filename, project) == str(parsed)


class Reference(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.anchors: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            anchor: dict[str, str] = {}
            for name, value in attrs:
                anchor.setdefault(name, value or "")
            if "href" in anchor:
                self.anchors.append(anchor)


blank = st.sampled_from([" ", "\n", "\t ", "  "])
value = st.text(st.sampled_from("ab/-.#=>< '\"&;1é\u2028"), max_size=12)
bare_value = st.text(st.sampled_from("abc/.-#:1"), min_size=1, max_size=10)
attribute_name = st.sampled_from(["href", "HREF", "data-yanked", "Data-Requires-Python", "class", "x-y_z"])


@st.composite
def attributes(draw: st.DrawFn) -> str:
    name = draw(attribute_name)
    form = draw(st.integers(0, 3))
    if form == 0:
        return name
    if form == 1:
        return f"{name}={draw(bare_value)}"
    quote_mark = '"' if form == 2 else "'"
    written = escape(draw(value), quote=False).replace(quote_mark, "&quot;" if form == 2 else "&#39;")
    pad = draw(st.sampled_from(["", " "]))
    return f"{name}{pad}={pad}{quote_mark}{written}{quote_mark}"


@st.composite
def fragments(draw: st.DrawFn) -> str:
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return draw(st.sampled_from(["<br/>", "text", "<p class='<a>'>", "<abbr>", "&amp;", "</a>", "\n"]))
    if kind == 1:
        return f"<!-- {draw(st.sampled_from(['<a href=x>', '<p>', 'x > y']))} -->"
    tag = draw(st.sampled_from(["a", "a", "a", "A", "b"]))
    inner = draw(blank).join(["", *draw(st.lists(attributes(), max_size=4))])
    return f"<{tag}{inner}{draw(st.sampled_from(['', ' ']))}>link</{tag}>"


@given(st.lists(fragments(), max_size=8).map("".join))
def test_anchors_are_read_like_html_parser(page: str) -> None:
    reference = Reference()
    reference.feed(page)
    reference.close()
    cut = cut_anchors(page.encode())
    found = [
        anchor
        for group in (cut.wheels, cut.others)
        for raws in group.values()
        for anchor in chunk_anchors(b"\0".join(raws))
    ]
    order = json.dumps
    assert sorted(found, key=order) == sorted(reference.anchors, key=order)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["1.0", "1.0.0", "2.1rc1", "3+l.1"]),
            st.sampled_from(["-py3-none-any.whl", "-1-cp312-abi3-win_amd64.whl", ".tar.gz"]),
            st.sampled_from(["", "https://files.test/a b/", "../x/", "/y/"]),
            st.one_of(st.none(), st.sampled_from(["", "bad & <worse>"])),
            st.sampled_from(["", ">=3.9,<4"]),
        ),
        max_size=8,
    )
)
def test_html_and_json_of_the_same_files_are_equal(rows: list[tuple[str, str, str, str | None, str]]) -> None:
    anchors, entries = [], []
    for version, ending, folder, yanked, python in rows:
        filename = f"demo-{version}{ending}"
        url = folder.replace(" ", "%20") + quote(filename)
        mark = "" if yanked is None else f' data-yanked="{escape(yanked)}"'
        needs = f' data-requires-python="{escape(python)}"' if python else ""
        anchors.append(f'<a href="{url}#sha256={"0" * 64}"{mark}{needs}>{filename}</a>')
        entries.append(
            {
                "filename": filename,
                "url": url,
                "hashes": {"sha256": "0" * 64},
                "yanked": False if yanked is None else yanked or True,
                "requires-python": python or None,
            }
        )
    page = "<html>" + "<br>\n".join(anchors) + "</html>"
    from_html = parse_page(page.encode(), "text/html", URL, "demo", "test")
    document = json.dumps({"files": entries}).encode()
    from_json = parse_page(document, "application/json", URL, "demo", "test")
    key = repr
    assert sorted(from_html, key=key) == sorted(from_json, key=key)
    assert {unquote(file.url.rsplit("/", 1)[1]) for file in from_html} == {
        file.filename for file in from_html
    }
    assert all(file.url == urljoin(URL, file.url) for file in from_html)


URL_TEXT = st.text("ab1._-+%@#\"' \u00e9:~!/", max_size=6)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["https://files.test/", "https://files.test/%20", "http://files.test/", "../"]),
            URL_TEXT,
            st.sampled_from([".whl", ".tar.gz", ".zip", ".tar.bz2", ".exe"]),
            st.sampled_from(["", "#sha256=" + "0f" * 32, "#sha256=" + "0F" * 32, "#md5=1"]),
            st.sampled_from(["", ' data-requires-python="&gt;=3.8 "', ' data-requires-python="é"']),
            st.sampled_from(["", ' data-yanked=""', ' data-yanked="a &amp; b"', " data-yanked"]),
            st.sampled_from(["", ' data-upload-time="2026-01-02T03:04:05.6Z"', ' data-upload-time="x"']),
            st.sampled_from(
                ["", *(f' data-core-metadata="{text}"' for text in ("true", "sha256=" + "1" * 64))]
            ),
            st.sampled_from(["", ' data-dist-info-metadata="sha256=' + "1" * 64 + '"']),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_plain_anchors_are_read_like_all_others(rows: list[tuple[str, ...]]) -> None:
    anchors = []
    for host, name, ending, fragment, python, yanked, time, core, metadata in rows:
        anchors.append(f'href="{host}{escape(name)}{ending}{fragment}"{python}{yanked}{time}{metadata}{core}')
    # an attribute of no meaning in front makes the same anchor one that is not plain
    plain, other = ("\0".join(f"{start}{anchor}" for anchor in anchors) for start in (" ", ' id="x" '))
    files = parse_files(plain.encode(), "html", URL, "test")
    assert files == parse_files(other.encode(), "html", URL, "test")


def test_anchors_as_pypi_writes_them_are_plain() -> None:
    digest = "0f" * 32
    metadata = f' data-dist-info-metadata="sha256={digest}" data-core-metadata="sha256={digest}"'
    needs = ' data-requires-python="&gt;=3.8"'
    time = ' data-upload-time="2026-01-02T03:04:05.6Z"'
    wheel = f'href="https://files.pythonhosted.org/packages/ab/demo-1.0-py3-none-any.whl#sha256={digest}"'
    sdist = f' href="https://files.pythonhosted.org/packages/ab/demo-1.0.tar.gz#sha256={digest}"'
    chunk = "\0".join(
        [f"{wheel}{needs}{metadata}", f'{wheel}{needs} data-yanked="bad"{time}{metadata}', sdist]
    )
    files = _plain_html_files(chunk.encode(), "pypi")
    assert files is not None
    assert [file.filename for file in files] == ["demo-1.0-py3-none-any.whl"] * 2 + ["demo-1.0.tar.gz"]
    assert [file.requires_python for file in files] == [">=3.8", ">=3.8", ""]
    assert [file.yanked for file in files] == [None, "bad", None]
    assert [file.upload_time for file in files] == ["", "2026-01-02T03:04:05.6Z", ""]
    assert [file.metadata_sha256 for file in files] == [digest, digest, ""]
