import pytest

from envforge.errors import ManifestError, MetadataError
from envforge.manifest.folders import joined_path, parse_folder
from envforge.manifest.references import ReferenceFaultError, parse_reference
from envforge.model.sources import PathSource, UrlSource

HEX = "ab" * 32


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://h/x-1.0-py3-none-any.whl", UrlSource("https://h/x-1.0-py3-none-any.whl")),
        (f"https://h/x.zip#sha256={HEX.upper()}", UrlSource("https://h/x.zip", sha256=HEX)),
        ("http://h/x.tar.gz#egg=x&subdirectory=a/b/", UrlSource("http://h/x.tar.gz", subdirectory="a/b")),
        ("file:///home/me/my%20lib", PathSource("/home/me/my lib")),
        ("../lib/", PathSource("../lib")),
        ("wheels\\x.whl", PathSource("./wheels/x.whl")),
    ],
)
def test_a_reference_is_an_archive_or_a_folder(text, found):
    assert parse_reference(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "ftp://h/x.zip",
        "https://h/x",
        "https://h/x.whl?token=1",
        "https://h/x.zip#sha256=12",
        f"https://h/x.zip#md5={HEX}",
        "https://h/x.zip#subdirectory=../up",
        "https://h/x.zip#subdirectory=/up",
    ],
)
def test_what_is_none_is_refused_and_not_shown(text):
    with pytest.raises(ReferenceFaultError) as caught:
        parse_reference(text)
    assert text not in str(caught.value)
    assert caught.value.right


def test_a_url_source_does_not_show_its_credentials():
    assert "secret" not in repr(parse_reference("https://me:secret@h/x.zip"))


@pytest.mark.parametrize(
    ("folder", "path", "joined"),
    [
        ("../libs/a", "../b", "../libs/b"),
        ("./packages/a", "../../x.whl", "./x.whl"),
        ("/abs/a", "../b", "/abs/b"),
        ("./a", "/abs", "/abs"),
        ("./a", "~/b", "~/b"),
        ("./a", "..", "."),
    ],
)
def test_paths_of_a_folder_are_from_where_its_own_is_from(folder, path, joined):
    assert joined_path(folder, path) == joined


STATIC = """
[project]
name = "My.Lib"
version = "1.0-rc1"
requires-python = ">=3.11"
dependencies = ["six>=1", "colour; sys_platform == 'win32'"]
[project.optional-dependencies]
Plots = ["tiny; python_version < '3.12' or os_name == 'nt'"]
[build-system]
requires = []
[tool.envforge.sources]
six = { path = "../six" }
torch = { index = "only-the-root-knows" }
"""


def test_a_static_project_tells_its_metadata():
    found = parse_folder(STATIC, "../lib")
    assert found.is_static
    metadata = found.metadata()
    assert (metadata.name, metadata.version, metadata.requires_python) == ("my-lib", "1.0rc1", ">=3.11")
    assert [str(requirement) for requirement in metadata.requires] == [
        "six>=1",
        'colour; sys_platform == "win32"',
        'tiny; (python_version < "3.12" or os_name == "nt") and extra == "plots"',
    ]
    assert metadata.provides_extra == {"plots"}
    assert found.sources == {"six": PathSource("../six")}


def test_what_is_computed_needs_a_build_and_decides_by_all_that_is_said():
    computed = STATIC.replace('version = "1.0-rc1"', 'dynamic = ["version"]')
    found = parse_folder(computed, "../lib")
    assert not found.is_static
    assert found.inputs() != parse_folder(computed + "[tool.scm]\nx = 1\n", "../lib").inputs()
    static = parse_folder(STATIC, "../lib").inputs()
    assert static == parse_folder(STATIC + "[tool.scm]\nx = 1\n", "../lib").inputs()
    assert static != parse_folder(STATIC.replace("six>=1", "six>=2"), "../lib").inputs()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"1.0-rc1"', '"one"', "'one' is not a version"),
        ('"six>=1"', '"six>>1"', "'six>>1' is not a requirement"),
        ("dependencies = [", "dependencies = [1, ", "project.dependencies: is no list of texts"),
        ('">=3.11"', "3.11", "project.requires-python: is no text"),
    ],
)
def test_metadata_that_cannot_be_read_names_the_file(old, new, says):
    with pytest.raises(MetadataError, match=r"^\.\./lib/pyproject.toml: ") as caught:
        parse_folder(STATIC.replace(old, new), "../lib").metadata()
    assert says in caught.value.message


def test_wrong_sources_of_a_folder_are_told_with_its_file_and_line():
    with pytest.raises(ManifestError, match=r"^../lib/pyproject.toml:12: tool.envforge.sources.six.pth"):
        parse_folder(STATIC.replace("{ path =", "{ pth ="), "../lib")
