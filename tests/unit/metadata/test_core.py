"""Core metadata, as it should be and as it is."""

from __future__ import annotations

import pytest

from envforge.errors import MetadataError
from envforge.metadata.core import parse_core_metadata, sdist_metadata_is_static
from envforge.model.requirement import Requirement, parse_requirement

HEAD = "Metadata-Version: 2.1\nName: Demo\nVersion: 1.0\n"


def parse(text: str) -> tuple[Requirement, ...]:
    return parse_core_metadata((HEAD + text).encode(), "demo-1.0-py3-none-any.whl").requires


def test_the_fields_of_a_resolution() -> None:
    content = (
        "Metadata-Version: 2.3\r\nName: Foo.Bar\r\nVersion: 1.0\r\nSummary: x: y\r\n"
        "Requires-Python: >=3.9\r\n"
        "Provides-Extra: Dev_Tools\r\nRequires-Dist: numpy>=1.26 ; python_version >= '3.12'\r\n"
        "Requires-Dist: Py.Test[Cov] (>=8) ; extra == 'dev_tools'\r\n\r\nRequires-Dist: not-this\r\n"
    )
    metadata = parse_core_metadata(content.encode(), "x.whl")
    assert (metadata.name, metadata.version, metadata.requires_python) == ("Foo.Bar", "1.0", ">=3.9")
    assert metadata.provides_extra == {"dev-tools"}
    assert metadata.requires == (
        parse_requirement("numpy>=1.26; python_version >= '3.12'"),
        parse_requirement("py-test[cov]>=8; extra == 'dev-tools'"),
    )


def test_folded_lines_and_names_in_any_case() -> None:
    content = (
        "NAME: demo\nversion: 1.0\nREQUIRES-DIST: a>=1;\n  python_version\n\t>= '3'\nDescription: b\n  c\n"
    )
    metadata = parse_core_metadata(content.encode(), "x.whl")
    assert metadata.requires == (parse_requirement("a>=1; python_version >= '3'"),)


def test_the_description_is_not_read() -> None:
    assert parse("Description-Content-Type: text/markdown\n\nRequires-Dist: evil\n") == ()
    assert parse("this line ends the header\nRequires-Dist: evil\n") == ()


def test_bytes_that_are_no_text_do_no_harm() -> None:
    content = HEAD.encode() + b"Author: J\xf6rg\nRequires-Dist: a\n"
    assert parse_core_metadata(content, "x.whl").requires == (Requirement("a"),)
    assert parse_core_metadata(b"\xef\xbb\xbf" + HEAD.encode(), "x.whl").name == "Demo"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a (>=3.*)", "a>=3"),
        ("a>=2.7.*", "a>=2.7"),
        ("a (>=1.0", "a>=1.0"),
        ("a >=1.0)", "a>=1.0"),
        ("a>=3.6,", "a>=3.6"),
        ("a (>=3.6,)", "a>=3.6"),
        ("a>=1.0<2.0", "a>=1.0,<2.0"),
        ("a >=1.0 <2.0; python_version<'3'", "a>=1.0,<2.0; python_version<'3'"),
        ("a!=~5.0", "a!=5.0.*"),
        ("a>=3.6'", "a>=3.6"),
        ("a>='3.6'", "a>=3.6"),
        ("a>=2.7,!=3.0*", "a>=2.7,!=3.0.*"),
        ("a>dev", "a>0.0.0dev0"),
        ("a~=3", "a>=3"),
        ("a[x] (>=1.*,<2.*); extra == 'y'", "a[x]>=1,<2; extra == 'y'"),
    ],
)
def test_old_sins_are_forgiven(written: str, meant: str) -> None:
    assert parse(f"Requires-Dist: {written}\n") == (parse_requirement(meant),)


@pytest.mark.parametrize(
    "written", ["", "a b", "a>=1; python_version", "a @", "-a", "a>=x.y", "a; extra = 'x'", "a[x>=1"]
)
def test_what_cannot_be_read_makes_the_release_unusable(written: str) -> None:
    with pytest.raises(MetadataError, match=r"demo-1\.0-py3-none-any\.whl has a requirement") as caught:
        parse(f"Requires-Dist: ok\nRequires-Dist: {written}\n")
    assert caught.value.hints


def test_a_broken_requires_python_is_kept_or_mended() -> None:
    for written, read in ((">=3.*", ">=3"), (">=3.6'", ">=3.6"), ("3.6 or so", "3.6 or so"), ("", "")):
        metadata = parse_core_metadata(f"{HEAD}Requires-Python: {written}\n".encode(), "x.whl")
        assert metadata.requires_python == read


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has no name and no version"),
        (b"Name: x\n", "has no version"),
        (b"<html>log in</html>", "has no name and no version"),
        (b"Metadata-Version: 3.0\nName: x\nVersion: 1\n", "core metadata 3.0, envforge knows 2.x"),
    ],
)
def test_what_is_no_metadata(content: bytes, says: str) -> None:
    with pytest.raises(MetadataError, match=says):
        parse_core_metadata(content, "x.whl")


@pytest.mark.parametrize(
    ("text", "is_static"),
    [
        ("Metadata-Version: 2.2\nName: x\n", True),
        ("Metadata-Version: 2.10\nName: x\n", True),
        ("Metadata-Version: 3.0\nName: x\n", True),
        ("Metadata-Version: 2.1\nName: x\n", False),
        ("Metadata-Version: 2.2\nDynamic: Version\nDynamic: Description\n", True),
        ("Metadata-Version: 2.2\nDynamic: REQUIRES-DIST\n", False),
        ("Metadata-Version: 2.4\nDynamic: license\nDynamic: Requires-Python\n", False),
        ("Metadata-Version: 2.4\nDynamic: Provides-Extra\n", False),
        ("Name: x\n", False),
        ("Metadata-Version: new\n", False),
    ],
)
def test_static_metadata_of_sdists(text: str, is_static: bool) -> None:
    assert sdist_metadata_is_static(text.encode()) is is_static
