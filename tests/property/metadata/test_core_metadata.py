"""Core metadata against email and packaging; wheels' ends against zipfile."""

from __future__ import annotations

import io
import zipfile
from email import message_from_bytes

from hypothesis import given
from hypothesis import strategies as st

from envforge.errors import RequirementError
from envforge.metadata.core import _fields
from envforge.metadata.wheel_tail import read_wheel_metadata
from envforge.model.requirement import _any_requirement, _usual_requirement

line = st.one_of(
    st.sampled_from(
        ["Name: x", "Requires-Dist: a>=1", "requires-dist:b", "Summary:  y ", "X:", "no header", ": x", ""]
    ),
    st.builds(
        lambda indent, text: indent + text,
        st.sampled_from([" ", "\t", "   "]),
        st.sampled_from(["more", "a: b", ""]),
    ),
)


@given(st.lists(line, max_size=10), st.sampled_from(["\n", "\r\n"]))
def test_headers_are_read_like_email(lines: list[str], end: str) -> None:
    if lines and (lines[0][:1] in " \t" or lines[0] == ""):
        return  # email takes a blank first line for a fault of its own kind
    content = end.join([*lines, ""]).encode()
    expected = [
        (name.lower(), " ".join(str(value).split()))
        for name, value in message_from_bytes(content).items()
        if name
    ]
    found = [(name, " ".join(value.split())) for name, value in _fields(content) if name]
    assert found == expected


name = st.sampled_from(["a", "Foo.Bar", "x_y-z", "a1", "-a", "a-"])
extras = st.sampled_from(["", "[x]", "[x, Y_z]", "[]", "[ ]", "[x,]", " [a.b]", "[x y]"])
specifier = st.sampled_from(
    [
        "",
        ">=1",
        " >=1.0,<2",
        "(>=1)",
        " (>=1, !=1.5.*)",
        "==1.0+local",
        "~=1.4.2",
        "===weird",
        ">=1,",
        "()",
        ">= 1.0 , < 2",
        "1.0",
        "(==1.0",
    ]
)
marker = st.sampled_from(
    [
        "",
        ";",
        "; python_version >= '3.9'",
        " ;extra=='x'",
        "; extra == 'A_b' and (os_name == \"nt\" or sys_platform != 'win32')",
        "; nonsense",
        "; python_version in '2.7 3.0'",
        "; extra",
    ]
)
space = st.sampled_from(["", " ", "\t"])


@given(st.tuples(space, name, extras, specifier, marker, space).map("".join))
def test_usual_requirements_are_read_like_packaging(text: str) -> None:
    quick = _usual_requirement(text)
    try:
        expected = _any_requirement(text)
    except RequirementError:
        assert quick is None
        return
    assert quick is None or quick == expected


member = st.tuples(
    st.sampled_from(
        ["demo/__init__.py", "demo/data.bin", "demo-1.0.dist-info/RECORD", "demo/x/METADATA", "z"]
    ),
    st.binary(max_size=300),
)


@given(
    st.lists(member, max_size=6, unique_by=lambda item: item[0]),
    st.binary(max_size=500),
    st.integers(0, 6),
    st.booleans(),
    st.binary(max_size=30),
    st.integers(22, 1500),
)
def test_wheels_are_read_like_zipfile(
    members: list[tuple[str, bytes]],
    metadata: bytes,
    position: int,
    deflate: bool,
    comment: bytes,
    tail_bytes: int,
) -> None:
    files = [*members]
    files.insert(position, ("demo-1.0.dist-info/METADATA", metadata))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED) as archive:
        for path, data in files:
            archive.writestr(path, data)
        archive.comment = comment
    wheel = out.getvalue()
    start = max(0, len(wheel) - tail_bytes)
    pieces = {start: wheel[start:]}
    for _ in range(5):
        outcome = read_wheel_metadata(pieces, len(wheel), "demo-1.0-py3-none-any.whl")
        if isinstance(outcome, bytes):
            break
        pieces[outcome.offset] = wheel[outcome.offset : outcome.offset + outcome.length]
    assert outcome == metadata
