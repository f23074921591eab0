"""conda packages into and out of a manifest, whatever it looks like."""

from __future__ import annotations

import tomllib
from textwrap import dedent

import pytest

from envforge.errors import ManifestError
from envforge.manifest.edit_conda import CondaWish, add_conda_dependencies, remove_conda_dependencies
from envforge.manifest.parse import parse_manifest

HEAD = '[project]\nname = "p"\n'


def manifest(body: str) -> str:
    return HEAD + dedent(body)


def specs(text: str) -> list[str]:
    return [dependency.match_spec for dependency in parse_manifest(text).settings.conda_dependencies]


ADDED = {
    "no table at all": (
        """
        """,
        """
        [tool.envforge.conda-dependencies]
        new = ">=1"
        """,
    ),
    "after what belongs to envforge": (
        """
        [tool.envforge]
        platforms = ["linux-64"]

        [tool.envforge.system]
        cuda = "12.8"  # the cluster

        # linters
        [tool.ruff]
        line-length = 99
        """,
        """
        [tool.envforge]
        platforms = ["linux-64"]

        [tool.envforge.system]
        cuda = "12.8"  # the cluster

        [tool.envforge.conda-dependencies]
        new = ">=1"

        # linters
        [tool.ruff]
        line-length = 99
        """,
    ),
    "last": (
        """
        [tool.envforge.conda-dependencies]  # system libraries
        zlib = "*"   # why
        ffmpeg = ">=7"
        # end

        [tool.x]
        """,
        """
        [tool.envforge.conda-dependencies]  # system libraries
        zlib = "*"   # why
        ffmpeg = ">=7"
        new = ">=1"
        # end

        [tool.x]
        """,
    ),
    "in its place": (
        """
        [tool.envforge.conda-dependencies]
        ffmpeg = ">=7"
        # do not touch
          # at all
        zlib = "*"
        """,
        """
        [tool.envforge.conda-dependencies]
        ffmpeg = ">=7"
        new = ">=1"
        # do not touch
          # at all
        zlib = "*"
        """,
    ),
    "first under an empty header": (
        """
        [tool.envforge.conda-dependencies]

        [tool.x]
        """,
        """
        [tool.envforge.conda-dependencies]
        new = ">=1"

        [tool.x]
        """,
    ),
    "inline": (
        """
        [tool.envforge]
        conda-dependencies = { ff = ">=7", z = { build = "h*", platforms = ["win-64"] } } # c
        """,
        """
        [tool.envforge]
        conda-dependencies = { ff = ">=7", z = { build = "h*", platforms = ["win-64"] }, new = ">=1" } # c
        """,
    ),
    "inline and empty": (
        """
        [tool.envforge]
        conda-dependencies = {}
        """,
        """
        [tool.envforge]
        conda-dependencies = { new = ">=1" }
        """,
    ),
    "a header for each package": (
        """
        [tool.envforge.conda-dependencies.ffmpeg]
        version = ">=7"

        [tool.x]
        """,
        """
        [tool.envforge.conda-dependencies.ffmpeg]
        version = ">=7"

        [tool.envforge.conda-dependencies]
        new = ">=1"

        [tool.x]
        """,
    ),
    "dotted keys": (
        """
        [tool.envforge]
        conda-dependencies.ffmpeg = ">=7" # c
        python = "3.12"
        """,
        """
        [tool.envforge]
        conda-dependencies.ffmpeg = ">=7" # c
        conda-dependencies.new = ">=1"
        python = "3.12"
        """,
    ),
    "indented": (
        """
        [tool.envforge.conda-dependencies]
          ffmpeg = ">=7"
        """,
        """
        [tool.envforge.conda-dependencies]
          ffmpeg = ">=7"
          new = ">=1"
        """,
    ),
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize(("before", "after"), ADDED.values(), ids=ADDED.keys())
def test_adding(before: str, after: str, newline: str):
    text = manifest(before).replace("\n", newline)
    edited = add_conda_dependencies(text, {"new": ">=1"})
    assert edited == manifest(after).replace("\n", newline)
    assert add_conda_dependencies(edited, {"new": ">=1"}) == edited
    if specs(text):
        assert remove_conda_dependencies(edited, ["new"]).split() == text.split()


REPLACED: dict[str, tuple[str, CondaWish, str]] = {
    "a text": ('[T]\nb = ">=7"  # why\na = "*"\n', "8.*", '[T]\nb = "8.*"  # why\na = "*"\n'),
    "another spelling": ('[T]\nB = ">=7"\n', "8.*", '[T]\nB = "8.*"\n'),
    "a quoted key": ('[T]\n"b" = ">=7"\n', "8.*", '[T]\n"b" = "8.*"\n'),
    "a table keeps its platforms": (
        '[T]\nb = { version = ">=7", build = "h*", platforms = ["linux-64", # gpu\n "win-64"] } # c\n',
        "8.*",
        '[T]\nb = { version = "8.*", platforms = ["linux-64", # gpu\n "win-64"] } # c\n',
    ),
    "by a table": (
        '[T]\nb = ">=7" # c\n',
        {"version": "8.*", "build": "*cuda*", "platforms": ["linux-64"]},
        '[T]\nb = { version = "8.*", build = "*cuda*", platforms = ["linux-64"] } # c\n',
    ),
    "a table by another": (
        '[T]\nb = { version = ">=7", platforms = ["linux-64"] }\n',
        {"version": ">=7"},
        '[T]\nb = { version = ">=7" }\n',
    ),
    "under its own header": (
        '[T.b] # own\nversion = ">=7" # v\nbuild = "h*"\nplatforms = ["linux-64"]\n',
        "8.*",
        '[T.b] # own\nversion = "8.*" # v\nplatforms = ["linux-64"]\n',
    ),
    "under its own header without a version": (
        '[T.b]\nplatforms = ["linux-64"]\n\n[tool.x]\n',
        "8.*",
        '[T.b]\nplatforms = ["linux-64"]\nversion = "8.*"\n\n[tool.x]\n',
    ),
    "dotted": ('[T]\nb.version = ">=7"\nb.build = "h*"\n', "8.*", '[T]\nb.version = "8.*"\n'),
    "with a build": ('[T]\nb = "*"\n', "8.* *cuda*", '[T]\nb = "8.* *cuda*"\n'),
}


@pytest.mark.parametrize(("before", "wish", "after"), REPLACED.values(), ids=REPLACED.keys())
def test_replacing(before: str, wish: CondaWish, after: str):
    text, expected = (
        HEAD + each.replace("[T", "[tool.envforge.conda-dependencies") for each in (before, after)
    )
    edited = add_conda_dependencies(text, {"b": wish})
    assert edited == expected
    assert add_conda_dependencies(edited, {"b": wish}) == edited


REMOVED = {
    "with its comment": (
        """
        [tool.envforge.conda-dependencies]
        # stays
        b = "*"  # goes
        a = "*"
        """,
        """
        [tool.envforge.conda-dependencies]
        # stays
        a = "*"
        """,
    ),
    "over several lines": (
        """
        [tool.envforge.conda-dependencies]
        b = { version = "*", platforms = [
            "linux-64",
        ] }
        a = "*"
        """,
        """
        [tool.envforge.conda-dependencies]
        a = "*"
        """,
    ),
    "with its header": (
        """
        [tool.envforge.conda-dependencies.b]
        version = "*"

        [tool.envforge.conda-dependencies.a]
        version = "*"
        """,
        """
        [tool.envforge.conda-dependencies.a]
        version = "*"
        """,
    ),
    "the first of an inline table": (
        "\n[tool.envforge]\nconda-dependencies = { b = \"*\", a = '*' }\n",
        "\n[tool.envforge]\nconda-dependencies = { a = '*' }\n",
    ),
    "the last of an inline table": (
        "\n[tool.envforge]\nconda-dependencies = { a = '*', b = { version = \"*\" } }\n",
        "\n[tool.envforge]\nconda-dependencies = { a = '*' }\n",
    ),
    "dotted": (
        "\n[tool.envforge]\nconda-dependencies.b.version = '*'\nconda-dependencies.a = '*'\n",
        "\n[tool.envforge]\nconda-dependencies.a = '*'\n",
    ),
    "the last one, with the table": (
        """
        [tool.envforge]
        python = "3.12"

        [tool.envforge.conda-dependencies]
        b = "*"

        [tool.x]
        """,
        """
        [tool.envforge]
        python = "3.12"

        [tool.x]
        """,
    ),
    "the last one, inline": (
        '\n[tool.envforge]\npython = "3.12"\nconda-dependencies = { b = "*" }\n',
        '\n[tool.envforge]\npython = "3.12"\n',
    ),
    "the last one, under a comment": (
        """
        [tool.envforge.conda-dependencies]
        # what the system has to bring
        b = "*"
        """,
        """
        [tool.envforge.conda-dependencies]
        # what the system has to bring
        """,
    ),
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize(("before", "after"), REMOVED.values(), ids=REMOVED.keys())
def test_removing(before: str, after: str, newline: str):
    text = manifest(before).replace("\n", newline)
    assert remove_conda_dependencies(text, ["B"]).strip() == manifest(after).replace("\n", newline).strip()


def test_several_at_once():
    text = add_conda_dependencies(HEAD, {"zlib": "*", "ffmpeg": ">=7", "ruamel.yaml": "*"})
    assert text == (
        '[project]\nname = "p"\n\n[tool.envforge.conda-dependencies]\n'
        'zlib = "*"\nffmpeg = ">=7"\n"ruamel.yaml" = "*"\n'
    )
    assert specs(remove_conda_dependencies(text, ["zlib", "ruamel.yaml"])) == ["ffmpeg >=7"]
    assert remove_conda_dependencies(text, ["zlib", "ruamel.yaml", "ffmpeg"]) == HEAD


def test_a_requirement_of_the_same_name_stays_as_it_is():
    text = '[project]\nname = "p"\ndependencies = ["numpy>=2"]\n'
    edited = add_conda_dependencies(text, {"numpy": "*"})
    assert tomllib.loads(edited)["project"]["dependencies"] == ["numpy>=2"]
    assert specs(edited) == ["numpy"]


def test_nothing_is_asked_for():
    assert add_conda_dependencies(HEAD, {}) == HEAD
    assert remove_conda_dependencies(HEAD, []) == HEAD


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("ffmpeg", ">==", "'ffmpeg >=='"),
        ("__cuda", "*", "is a virtual package"),
        ("a b", "*", "is no name of a conda package"),
    ],
)
def test_a_spec_that_is_none_is_refused(name: str, spec: str, message: str):
    with pytest.raises(ManifestError) as caught:
        add_conda_dependencies(HEAD, {name: spec})
    assert message in "\n".join([caught.value.message, *caught.value.context])


def test_a_name_that_is_not_there():
    text = add_conda_dependencies(HEAD, {"ffmpeg": "*"})
    with pytest.raises(ManifestError, match=r"ffmpg is not in tool\.envforge\.conda-dependencies") as caught:
        remove_conda_dependencies(text, ["ffmpg"])
    assert caught.value.hints == ("did you mean ffmpeg?",)
    with pytest.raises(ManifestError) as caught:
        remove_conda_dependencies(HEAD, ["ffmpeg"])
    assert caught.value.hints == ()


def test_a_manifest_with_faults_is_not_edited():
    with pytest.raises(ManifestError, match="unknown key"):
        add_conda_dependencies(HEAD + "[tool.envforge]\nx = 1\n", {"a": "*"})
