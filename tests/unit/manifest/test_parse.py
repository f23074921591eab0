from __future__ import annotations

import subprocess
import sys

import pytest

from envforge.errors import ManifestError
from envforge.manifest.manifest import Declared
from envforge.manifest.parse import parse_manifest
from envforge.struct import replace


def test_a_real_manifest_is_read_whole(read_corpus):
    manifest = parse_manifest(read_corpus("training"))
    assert (manifest.name, manifest.version) == ("disaster-tweets", "0.3.0")
    assert manifest.requires_python == ">=3.11"
    assert manifest.has_build_system
    assert manifest.dependencies[1] == Declared("transformers[torch]~=4.44", "project.dependencies[1]")
    assert [entry.text for entry in manifest.dependencies[3:]] == ['mlflow; sys_platform != "win32"', "wandb"]
    assert manifest.optional_dependencies["serve"] == (
        Declared("fastapi>=0.110", "project.optional-dependencies.serve[0]"),
        Declared("uvicorn[standard]", "project.optional-dependencies.serve[1]"),
    )


def test_every_manifest_of_the_corpus_is_read(corpus_text, file_style):
    manifest = parse_manifest(file_style(corpus_text))
    assert manifest.name


def test_line_endings_change_nothing(corpus_text):
    other = parse_manifest(corpus_text.replace("\n", "\r\n"))
    assert replace(other, text=corpus_text) == parse_manifest(corpus_text)


def test_names_of_extras_are_normalized_and_places_are_as_written(read_corpus):
    extras = parse_manifest(read_corpus("setuptools_library")).optional_dependencies
    assert set(extras) == {"io-extra", "viz"}
    assert extras["io-extra"][0] == Declared("netCDF4", 'project.optional-dependencies."io.extra"[0]')


def test_dynamic_version_is_no_version(read_corpus):
    assert parse_manifest(read_corpus("setuptools_library")).version == ""


def test_reading_imports_neither_packaging_nor_tomlkit():
    """An unchanged sync reads the manifest and its digest: 70 ms each would be most of its time."""
    code = (
        "import sys\n"
        "from envforge.manifest.parse import parse_manifest\n"
        "from envforge.manifest.digest import inputs_digest\n"
        'text = \'[project]\\nname = "x"\\ndependencies = ["torch>=2"]\\n\'\n'
        "assert inputs_digest(parse_manifest(text)).startswith('sha256:')\n"
        "heavy = {'packaging', 'tomlkit', 'difflib', 'email', 'logging'}\n"
        "print(*sorted(heavy.intersection(name.split('.')[0] for name in sys.modules)))\n"
        "print('envforge.manifest.positions' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\nFalse\n"


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing yet\n", "[tool.ruff]\nline-length = 99\n"])
def test_without_a_project_table_init_is_offered(text, error_lines):
    lines = error_lines(parse_manifest, text)
    assert lines == ["pyproject.toml:1: there is no [project] table", "`envforge init` adds one"]


def test_a_file_for_poetry_only_says_what_to_move(error_lines):
    lines = error_lines(
        parse_manifest, '# x\n[tool.poetry]\nname = "x"\n[tool.poetry.dependencies]\nfoo = "*"\n'
    )
    assert lines[0].startswith("pyproject.toml:2: tool.poetry: the project is declared for Poetry only")
    assert lines[1] == "move name, requires-python and dependencies to [project], which Poetry 2 reads too"


@pytest.mark.parametrize(
    ("project", "message", "hint"),
    [
        ('version = "1"', "pyproject.toml:1: project: has no name", 'add name = "my-project"'),
        ('name = ""', "pyproject.toml:2: project.name: is empty", "my-project"),
        (
            'name = "-x-"',
            "pyproject.toml:2: project.name: '-x-' is no name for a project",
            "letter or digit first",
        ),
        ("name = 1", "pyproject.toml:2: project.name: is a number, not a text", 'name = "my-project"'),
        (
            'name = "x"\nversion = 1.0',
            "pyproject.toml:3: project.version: is a number, not a text",
            '"0.1.0"',
        ),
        (
            'name = "x"\ndependencies = "torch"',
            "project.dependencies: is a text, not a list",
            '["torch>=2.4"]',
        ),
        ('name = "x"\ndependencies = ["a", ""]', "project.dependencies[1]: is empty", "torch"),
        (
            'name = "x"\ndependencies = [\n"a",\n1]',
            "pyproject.toml:5: project.dependencies[1]: is a number",
            "torch",
        ),
        (
            'name = "x"\n[project.dependencies]\na = "*"',
            "project.dependencies: is a table, not a list",
            "torch",
        ),
        (
            'name = "x"\noptional-dependencies = []',
            "project.optional-dependencies: is a list, not a table",
            "[",
        ),
        (
            'name = "x"\nrequires-python = 3.11',
            "project.requires-python: is a number, not a text",
            '">=3.11"',
        ),
        (
            'name = "x"\ndependecies = []',
            "pyproject.toml:3: project.dependecies: unknown key",
            "dependencies?",
        ),
        (
            'name = "x"\nrequire-python = ""',
            "project.require-python: unknown key",
            "did you mean requires-python?",
        ),
        (
            'name = "x"\n[project.dependency-groups]',
            "project.dependency-groups: unknown key",
            "at the top level",
        ),
        (
            'name = "x"\n[dependancy-groups]',
            "dependancy-groups: unknown table",
            "did you mean dependency-groups?",
        ),
        ('name = "x"\n[dependencies]', "dependencies: unknown table", "did you mean project.dependencies?"),
        (
            'name = "x"\ndynamic = ["dependencies"]',
            "project.dynamic[0]: dependencies are computed",
            "move them from",
        ),
        (
            'name = "x"\nversion = "1"\ndynamic = ["version"]',
            "cannot be dynamic and be given too",
            "keep one",
        ),
        (
            'name = "x"\n[project.optional-dependencies]\nFoo_Bar = []\nfoo-bar = []',
            "pyproject.toml:5: project.optional-dependencies.foo-bar: is the same extra as 'Foo_Bar'",
            "put both into one",
        ),
    ],
)
def test_one_fault_says_where_what_and_what_would_be_right(project, message, hint, error_lines):
    lines = error_lines(parse_manifest, f"[project]\n{project}\n")
    assert len(lines) == 2
    assert message in lines[0]
    assert hint in lines[1]


def test_dynamic_dependencies_of_poetry_say_where_they_are(error_lines):
    text = '[project]\nname = "x"\ndynamic = ["dependencies"]\n[tool.poetry.dependencies]\na = "*"\n'
    assert "move them from [tool.poetry] to project.dependencies" in error_lines(parse_manifest, text)


def test_keys_of_the_build_backend_are_its_own(read_corpus):
    text = '[project]\nname = "x"\nfuture-key = 1\nkeywords = ["a"]\n[some-tool]\na = 1\n'
    assert parse_manifest(text).name == "x"


def test_all_faults_are_shown_together_in_the_order_of_the_file(error_lines):
    text = (
        "[tool.envforge]\n"
        'platfroms = ["linux-64"]\n'
        "[dependency-groups]\n"
        'dev = ["pytest", 3]\n'
        "[project]\n"
        "dependencies = 1\n"
    )
    assert error_lines(parse_manifest, text, "sub/pyproject.toml") == [
        "sub/pyproject.toml has 4 faults",
        "sub/pyproject.toml:2: tool.envforge.platfroms: unknown key",
        "    did you mean platforms?",
        "sub/pyproject.toml:4: dependency-groups.dev[1]: is a number that cannot stand in a group",
        '    write a requirement, or { include-group = "test" }',
        "sub/pyproject.toml:5: project: has no name",
        '    add name = "my-project"',
        "sub/pyproject.toml:6: project.dependencies: is a number, not a list",
        '    write e.g. dependencies = ["torch>=2.4"]',
    ]


@pytest.mark.parametrize(
    ("text", "message", "shown", "caret"),
    [
        ('[project]\nname = = "x"\n', ":2:8: not valid TOML", 'name = = "x"', 8),
        ('[project]\r\nname = = "x"\r\n', ":2:8: not valid TOML", 'name = = "x"', 8),
        ('[project]\n\tname = = "x"\n', ":2:9: not valid TOML", ' name = = "x"', 9),
        ('[project]\nname = "x', ":2:10: not valid TOML", 'name = "x', 10),
        ("a = 1\na = 2\n", ":2:6: not valid TOML: cannot overwrite a value", "a = 2", 6),
    ],
)
def test_broken_toml_shows_the_line_and_a_caret(text, message, shown, caret, error_lines):
    lines = error_lines(parse_manifest, text)
    assert message in lines[0]
    assert lines[1:] == [shown, " " * (caret - 1) + "^"]


def test_a_password_in_a_broken_line_is_not_shown(error_lines):
    text = '[project]\nname = "x"\n[[tool.envforge.index]]\nurl = "https://me:hunter2@example.org/simple\n'
    lines = error_lines(parse_manifest, text)
    assert "hunter2" not in "\n".join(lines)
    assert lines[1].startswith('url = "https://**********@example.org')


def test_conflict_markers_and_byte_order_marks_are_named(error_lines):
    conflict = '[project]\nname = "x"\n<<<<<<< HEAD\nversion = "1"\n=======\nversion = "2"\n>>>>>>> theirs\n'
    assert "conflict markers" in error_lines(parse_manifest, conflict)[-1]
    assert "byte order mark" in error_lines(parse_manifest, '\ufeff[project]\nname = "x"\n')[-1]


def test_absurd_nesting_is_an_error_not_a_crash():
    with pytest.raises(ManifestError, match="nested too deeply"):
        parse_manifest("a = " + "[" * 100_000 + "]" * 100_000)
