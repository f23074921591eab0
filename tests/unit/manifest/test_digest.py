from __future__ import annotations

import json
import re

import pytest

from envforge.manifest.digest import inputs_digest, resolution_inputs
from envforge.manifest.parse import parse_manifest

BASE = """\
[project]
name = "x"
version = "1"
requires-python = ">=3.11"
dependencies = ["torch>=2", "numpy", "x[cli]"]

[project.optional-dependencies]
cli = ["rich"]

[dependency-groups]
dev = ["pytest", "ruff"]

[tool.envforge]
platforms = ["linux-64", "osx-arm64"]
python = "3.12"
exclude-newer = "2026-11-01"
index = [
    { name = "a", url = "https://me:secret@a.org" },
    { name = "b", url = "https://b.org" },
    { name = "cu", url = "https://cu.org", explicit = true },
    { name = "unused", url = "https://unused.org", explicit = true },
]
sources = { torch = { index = "cu" } }
system = { glibc = "2.28" }
"""


def digest(text: str) -> str:
    return inputs_digest(parse_manifest(text))


def changed(before: str, after: str) -> str:
    assert before in BASE
    return BASE.replace(before, after)


def test_the_form():
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest(BASE))
    inputs = resolution_inputs(parse_manifest(BASE))
    assert json.loads(json.dumps(inputs)) == inputs


def test_it_is_the_same_everywhere_and_for_good():
    """A change here makes every committed lock out of date: be sure that it has to."""
    text = '[project]\nname = "x"\ndependencies = ["torch>=2.4"]\n'
    assert digest(text) == "sha256:99665c82abbfed0e7309425252e3553369ef737dbef763468ab67817314c0da9"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("torch>=2", "torch>=2.1"),
        ('"numpy", ', ""),
        (">=3.11", ">=3.12"),
        ('"rich"', '"rich", "click"'),
        ("cli", "gui"),
        ('"ruff"', '"mypy"'),
        ("dev =", "test ="),
        ('"linux-64", ', ""),
        ('"linux-64", "osx-arm64"', '"osx-arm64", "linux-64"'),
        ('"3.12"', '"3.12.4"'),
        ("2026-11-01", "2026-11-02"),
        ("a.org", "c.org"),
        ('name = "a"', 'name = "other"'),
        ('"https://b.org"', '"https://b.org", default = true'),
        ('"https://b.org"', '"https://b.org", explicit = true'),
        ("https://cu.org", "https://cu2.org"),
        ("torch = { index", "numpy = { index"),
        ("2.28", "2.17"),
        ("x[cli]", "y[cli]"),
        ('name = "x"', 'name = "y"'),  # x[cli] is another project's from now on
    ],
)
def test_what_can_change_the_lock_moves_it(before, after):
    assert digest(changed(before, after)) != digest(BASE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('version = "1"', 'version = "2"\ndescription = "new"'),
        ("[project]", "# why\n[project]"),
        ('"torch>=2", "numpy"', '"numpy",\n"torch>=2"'),
        ('"torch>=2"', '"torch>=2", "torch>=2"'),
        ('system = { glibc = "2.28" }', ""),
        ('exclude-newer = "2026-11-01"', "exclude-newer = 2026-11-01T01:00:00+01:00"),
        ("[tool.envforge]", '[tool.envforge]\nunshare = ["torch"]\ndefault-groups = []'),
        ("me:secret@", "you:other@"),
        ("https://unused.org", "https://still-unused.org"),
        ("[tool.envforge]", "[tool.ruff]\nline-length = 99\n[tool.envforge]"),
        ("cli =", "CLI ="),
        ('["pytest", "ruff"]', '[{ include-group = "t" }, "ruff"]\nt = ["pytest"]'),
    ],
)
def test_what_cannot_change_the_lock_does_not(before, after):
    inputs = resolution_inputs(parse_manifest(changed(before, after)))
    inputs["groups"].pop("t", None)
    assert inputs == resolution_inputs(parse_manifest(BASE))


def test_renaming_the_project_and_its_mentions_changes_nothing():
    renamed = changed('name = "x"', 'name = "Y_z"').replace("x[cli]", "y-z[cli]")
    assert digest(renamed) == digest(BASE)


def test_order_of_tables_says_nothing():
    project, rest = BASE.split("\n[project.optional-dependencies]\n")
    assert digest(f"[project.optional-dependencies]\n{rest}\n{project}") == digest(BASE)


def test_no_secret_is_in_it():
    assert "secret" not in json.dumps(resolution_inputs(parse_manifest(BASE)))


CONDA = BASE.replace(
    'system = { glibc = "2.28" }',
    """\
channels = ["https://me:secret@c.org/one", "./two"]
link-scripts = ["tool"]
conda-pypi-map = { mine = "on-pypi" }
system = { glibc = "2.28", cuda = "12.8" }

[tool.envforge.conda-dependencies]
ffmpeg = ">=7"
cudnn = { version = "9.*", build = "h*", platforms = ["linux-64", "osx-arm64"] }
""",
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("c.org/one", "c.org/other"),
        ('"https://me:secret@c.org/one", "./two"', '"./two", "https://me:secret@c.org/one"'),
        ('"./two"', '"./three"'),
        ('mine = "on-pypi"', 'mine = ""'),
        ('cuda = "12.8"', 'cuda = "12.9"'),
        (', cuda = "12.8"', ""),
        ('cuda = "12.8"', 'cuda = "12.8", linux = "5.4"'),
        ('cuda = "12.8"', 'cuda = "12.8", archspec = "x86_64_v3"'),
        ('">=7"', '">=7.1"'),
        ('"h*"', '"*"'),
        ("ffmpeg =", "x264 ="),
        ('platforms = ["linux-64", "osx-arm64"] }', 'platforms = ["linux-64"] }'),
    ],
)
def test_what_conda_packages_depend_on_moves_it(before, after):
    assert before in CONDA
    assert digest(CONDA.replace(before, after)) != digest(CONDA)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("me:secret@", "you:other@"),
        ('link-scripts = ["tool"]', ""),
        ('platforms = ["linux-64", "osx-arm64"] }', 'platforms = ["osx-arm64", "linux-64"] }'),
        ('">=7"', '">= 7"'),
        ('">=7"', '{ version = ">=7" }'),
        ("ffmpeg", "FFmpeg"),
        ('cuda = "12.8"', 'cuda = "12.8", linux = "4.18"'),
        ("c.org/one", "c.org/one/"),
    ],
)
def test_what_conda_packages_do_not_depend_on_does_not(before, after):
    assert before in CONDA
    assert digest(CONDA.replace(before, after)) == digest(CONDA)


@pytest.mark.parametrize(
    "settings",
    ['channels = ["other"]', 'conda-pypi-map = { a = "b" }', 'system = { glibc = "2.28", cuda = "12.8" }'],
)
def test_without_conda_packages_their_settings_say_nothing(settings):
    """Locks that were made before envforge knew conda stay current."""
    plain = BASE.replace('system = { glibc = "2.28" }', "")
    assert digest(plain + settings) == digest(plain)
