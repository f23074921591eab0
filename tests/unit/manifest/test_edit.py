from __future__ import annotations

import tomllib

import pytest

from envforge.errors import ManifestError, RequirementError
from envforge.manifest.edit import (
    add_requirements,
    create_manifest,
    remove_requirements,
    set_project_name,
)
from envforge.manifest.parse import parse_manifest
from envforge.manifest.requirements import requirements_by_group

HEAD = '[project]\nname = "x"\n'


def added(array: str, *requirements: str) -> str:
    """The array of dependencies after requirements were added."""
    return _array(add_requirements(f"{HEAD}dependencies = {array}\n", requirements))


def removed(array: str, *names: str) -> str:
    return _array(remove_requirements(f"{HEAD}dependencies = {array}\n", names))


def _array(text: str) -> str:
    assert text.startswith(f"{HEAD}dependencies = ")
    assert text.endswith("]\n")
    return text.removeprefix(f"{HEAD}dependencies = ").removesuffix("\n")


@pytest.mark.parametrize(
    ("before", "requirement", "after"),
    [
        ("[]", "torch", '["torch"]'),
        ('["b"]', "a", '["b", "a"]'),
        ('["a", "c"]', "b", '["a", "b", "c"]'),
        ('["b", "c"]', "a", '["a", "b", "c"]'),
        ('["c", "a"]', "b", '["c", "a", "b"]'),
        ('["a", "b",]', "c", '["a", "b", "c",]'),
        ('[ "a", "b" ]', "c", '[ "a", "b", "c" ]'),
        ("[\n]", "a", '[\n    "a",\n]'),
        ("[\n    # none yet\n]", "a", '[\n    # none yet\n    "a",\n]'),
        ('[\n  "a",\n  "b",\n]', "c", '[\n  "a",\n  "b",\n  "c",\n]'),
        ('[\n  "a",\n  "c",\n]', "b", '[\n  "a",\n  "b",\n  "c",\n]'),
        ('[\n  "b",\n  "c",\n]', "a", '[\n  "a",\n  "b",\n  "c",\n]'),
        ('[\n\t"a",\n\t"b"\n]', "c", '[\n\t"a",\n\t"b",\n\t"c"\n]'),
        ('[\n  "a", # one\n  "b" # two\n]', "c", '[\n  "a", # one\n  "b", # two\n  "c"\n]'),
        ('[\n  "a", # one\n  "c", # three\n]', "b", '[\n  "a", # one\n  "b",\n  "c", # three\n]'),
        ('[\n  "a",\n  # about c\n  "c",\n]', "b", '[\n  "a",\n  "b",\n  # about c\n  "c",\n]'),
        ('[\n  "a",\n  "b",\n  # the end\n]', "c", '[\n  "a",\n  "b",\n  "c",\n  # the end\n]'),
        ('["a",\n "b"]', "c", '["a",\n "b",\n "c"]'),
        ('[\n  "a", "c",\n  "d",\n]', "b", '[\n  "a", "b", "c",\n  "d",\n]'),
        ('["a-b", "a_c", "A.d"]', "A_Bc", '[\n    "a-b",\n    "A_Bc",\n    "a_c",\n    "A.d",\n]'),
        ('["a", "b", "c"]', "d", '[\n    "a",\n    "b",\n    "c",\n    "d",\n]'),
        ('["a"]', f"b>=1,!={'1.2.3' * 20}", f'[\n    "a",\n    "b>=1,!={"1.2.3" * 20}",\n]'),
        ('[\n  # b because of x\n  "b",\n  "c",\n]', "a", '[\n  "a",\n  # b because of x\n  "b",\n  "c",\n]'),
        ('[\n  # two\n\n  "b",\n  "c",\n]', "a", '[\n  # two\n\n  "a",\n  "b",\n  "c",\n]'),
        ('[\n  "a",\n  # c because of x\n  "c",\n]', "b", '[\n  "a",\n  "b",\n  # c because of x\n  "c",\n]'),
        ("['a']", 'b; os_name == "nt"', """['a', 'b; os_name == "nt"']"""),
        ('["a"]', "b; os_name == 'nt'", """["a", "b; os_name == 'nt'"]"""),
        ('["a"]', """b; os_name == "it's" """, r"""["a", "b; os_name == \"it's\""]"""),
    ],
)
def test_a_new_requirement_goes_where_a_person_would_put_it(before, requirement, after):
    assert added(before, requirement) == after


@pytest.mark.parametrize(
    ("before", "requirement", "after"),
    [
        ('["torch>=2"]', "torch>=2.4", '["torch>=2.4"]'),
        (
            '[\n  "Torch",  # the framework\n  "b",\n]',
            "torch~=2.4",
            '[\n  "torch~=2.4",  # the framework\n  "b",\n]',
        ),
        ('["a.b[x]==1"]', "A_B", '["A_B"]'),
        ("[\"a; os_name == 'nt'\"]", "a", '["a; os_name == \'nt\'", "a"]'),
        ('["a", "a>1 ; os_name==\'nt\'"]', 'a>2; os_name == "nt"', '["a", \'a>2; os_name == "nt"\']'),
        ('["a", "b", "c", "d"]', "c>=1", '[\n    "a",\n    "b",\n    "c>=1",\n    "d",\n]'),
    ],
)
def test_an_entry_of_the_same_project_and_marker_is_replaced(before, requirement, after):
    assert added(before, requirement) == after


@pytest.mark.parametrize("same", ["torch >= 2.4, < 3", "Torch<3,>=2.4"])
def test_what_is_there_already_is_not_touched(same):
    before = '[ "a", "torch>=2.4,<3", "b",  "c", "d" ]'
    assert added(before, same) == before


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        ('["a"]', "a", "[]"),
        ('[\n  "a",\n]', "a", "[]"),
        ('[\n  # keep me\n  "a",\n]', "a", "[\n  # keep me\n]"),
        ('["a", "b"]', "a", '["b"]'),
        ('["a", "b"]', "b", '["a"]'),
        ('[ "a", "b", ]', "b", '[ "a", ]'),
        ('[\n  "a",\n  "b"\n]', "b", '[\n  "a"\n]'),
        ('[\n  "a",\n  "b"\n]', "a", '[\n  "b"\n]'),
        ('[\n  "a", # one\n  "b", # two\n  "c", # three\n]', "b", '[\n  "a", # one\n  "c", # three\n]'),
        ('[\n  "a",\n\n  # part two\n  "b",\n]', "b", '[\n  "a",\n\n  # part two\n]'),
        ('["a", # one\n "b"]', "b", '["a" # one\n]'),
        ('["a",\n "b"]', "b", '["a"]'),
        ('[\n  "a", "b",\n  "c",\n]', "b", '[\n  "a",\n  "c",\n]'),
        ('[\n  "a", "b", # two\n  "c",\n]', "a", '[\n  "b", # two\n  "c",\n]'),
        ('["a>1; os_name == \'nt\'", "b", "A"]', "a", '["b"]'),
        ('["a.b", "not a requirement", "c"]', "not", '["a.b", "c"]'),
        ('["a" # one\n , "b"]', "a", '["b"]'),
    ],
)
def test_a_removed_requirement_takes_its_comma_and_its_line_along(before, name, after):
    assert removed(before, name) == after


def test_several_at_once():
    assert added("[]", "torch", "numpy>=2") == '["torch", "numpy>=2"]'
    assert removed('["a", "b", "c"]', "c", "A") == '["b"]'
    assert added('["a"]') == '["a"]'


def test_tables_among_requirements_are_left_alone(read_corpus):
    text = read_corpus("training")
    edited = add_requirements(text, ["pre-commit"], group="lint")
    assert 'lint = [\n    "ruff",\n    "mypy",\n    {include-group = "test"},\n    "pre-commit",\n]' in edited
    sorted_list = f'{HEAD}[dependency-groups]\nt = []\na = ["m", "o", {{include-group = "t"}}]\n'
    assert '"m", "n", "o", {' in add_requirements(sorted_list, ["n"], group="a").replace("\n    ", " ")


def test_a_missing_group_is_made(read_corpus):
    edited = add_requirements(HEAD, ["pytest"], group="dev")
    assert edited == f'{HEAD}\n[dependency-groups]\ndev = ["pytest"]\n'
    again = add_requirements(edited, ["sphinx"], group="docs")
    assert again == f'{HEAD}\n[dependency-groups]\ndev = ["pytest"]\ndocs = ["sphinx"]\n'
    assert add_requirements(HEAD, [], group="dev").endswith("[dependency-groups]\ndev = []\n")


def test_a_missing_extra_stands_with_the_project():
    text = f"{HEAD}\n# linting\n[tool.ruff]\n"
    assert add_requirements(text, ["rich"], extra="cli") == (
        f'{HEAD}\n[project.optional-dependencies]\ncli = ["rich"]\n\n# linting\n[tool.ruff]\n'
    )
    text = f"{HEAD}\n[project.urls]\na = 'b' # home\n\n[tool.ruff]\n"
    assert add_requirements(text, ["rich"], extra="a.b") == (
        f"{HEAD}\n[project.urls]\na = 'b' # home\n\n"
        '[project.optional-dependencies]\n"a.b" = ["rich"]\n\n[tool.ruff]\n'
    )


def test_missing_dependencies_stand_in_the_project_table_before_comments_about_the_next():
    text = f"{HEAD}# end of project\n\n# linting\n[tool.ruff]\n"
    assert add_requirements(text, ["a"]) == (
        f'{HEAD}dependencies = ["a"]\n# end of project\n\n# linting\n[tool.ruff]\n'
    )
    assert add_requirements('[project]\n  name = "x" # who\n', ["a"]) == (
        '[project]\n  name = "x" # who\n  dependencies = ["a"]\n'
    )


def test_groups_and_extras_are_found_under_any_spelling(read_corpus):
    edited = add_requirements(read_corpus("out_of_order"), ["rich"], group="dev-tools")
    assert 'Dev_Tools = [ "ipdb", "rich" ]' in edited
    edited = add_requirements(read_corpus("setuptools_library"), ["zarr"], extra="IO_extra")
    assert '  "io.extra" = ["netCDF4", "h5netcdf", "zarr"]' in edited


def test_inline_tables_and_dotted_keys_can_be_edited(read_corpus):
    edited = add_requirements(read_corpus("inline"), ["rich"])
    assert 'dependencies = ["requests", "rich"] }' in edited
    edited = add_requirements(read_corpus("inline"), ["ruff"], group="lint")
    assert tomllib.loads(edited)["dependency-groups"] == {"dev": ["pytest"], "lint": ["ruff"]}
    edited = add_requirements(read_corpus("dotted_keys"), ["numpy"])
    assert 'project.dependencies = ["numpy"]\n' in edited
    edited = remove_requirements(read_corpus("dotted_keys"), ["rich"], extra="cli")
    assert "project.optional-dependencies.cli = []\n" in edited


def test_what_cannot_be_edited_safely_is_refused_not_broken(read_corpus):
    with pytest.raises(ManifestError, match="cannot be edited safely"):
        add_requirements(read_corpus("inline"), ["rich"], extra="cli")


def test_line_endings_and_a_missing_last_newline_survive(corpus_text, file_style):
    text = file_style(corpus_text)
    newline = "\r\n" if "\r\n" in text else "\n"
    for options in ({}, {"group": "brand-new"}, {"group": "dev"}):
        edited = add_requirements(text, ["aaa", "zzz>=1; os_name == 'nt'", "bbb", "ccc"], **options)
        assert edited.count("\n") == edited.count(newline)
        assert edited.endswith("\n") == text.endswith("\n")
        names = [entry.name for entry in _list_of(edited, options)]
        assert {"aaa", "bbb", "ccc", "zzz"} <= set(names)


def _list_of(text, options):
    groups = requirements_by_group(parse_manifest(text))
    return groups[f"group:{options['group']}" if options else "project"]


def test_every_comment_of_the_corpus_survives(corpus_text):
    edited = add_requirements(corpus_text, ["aaa", "mmm", "zzz"])
    edited = add_requirements(edited, ["aaa", "mmm", "zzz"], group="dev")
    untouched = [line for line in corpus_text.splitlines() if "#" in line]
    assert [line for line in edited.splitlines() if "#" in line] == untouched


@pytest.mark.parametrize("bad", ["torch>=", "torch 2", "", "==2", "-e ."])
def test_what_is_no_requirement_is_not_added(bad):
    with pytest.raises(RequirementError):
        add_requirements(HEAD, ["fine", bad])


def test_faults_of_the_manifest_come_first(error_lines):
    assert error_lines(add_requirements, "[project]\n", ["a"])[0] == "pyproject.toml:1: project: has no name"
    assert ":3:" in error_lines(remove_requirements, f"{HEAD}dependencies = 1\n", ["a"])[0]


def test_a_project_required_twice_is_not_guessed_at(error_lines):
    text = f'{HEAD}dependencies = ["a>=1", "b", "A<3"]\n'
    assert error_lines(add_requirements, text, ["a>=2"]) == [
        "pyproject.toml: project.dependencies requires a more than once",
        "project.dependencies[0]: a>=1",
        "project.dependencies[2]: A<3",
        "make them one requirement first",
    ]
    assert "a is asked for twice: a>=1 and a<2" in error_lines(add_requirements, HEAD, ["a>=1", "a<2"])[0]


def test_wrong_names_of_groups(error_lines):
    assert (
        "'my group' is no name for a group" in error_lines(add_requirements, HEAD, ["a"], group="my group")[0]
    )
    assert "'' is no name for an extra" in error_lines(add_requirements, HEAD, ["a"], extra="")[0]
    with pytest.raises(ValueError, match="not in several"):
        add_requirements(HEAD, ["a"], group="a", extra="b")


def test_removing_what_is_not_there_says_where_it_is(read_corpus, error_lines):
    text = read_corpus("training")
    assert error_lines(remove_requirements, text, ["pytest"]) == [
        "pyproject.toml: project.dependencies does not require pytest",
        "pytest stands in dependency-groups.test: remove it with --group test",
    ]
    assert error_lines(remove_requirements, text, ["FastAPI"])[1] == (
        "FastAPI stands in project.optional-dependencies.serve: remove it with --extra serve"
    )
    assert error_lines(remove_requirements, text, ["torch"], group="dev")[1] == (
        "torch stands in project.dependencies: remove it without --group or --extra"
    )


def test_removing_a_misspelled_name_suggests_the_closest(read_corpus, error_lines):
    text = read_corpus("training")
    assert error_lines(remove_requirements, text, ["tranformers", "wand"]) == [
        "pyproject.toml: project.dependencies does not require tranformers, wand",
        "did you mean transformers?",
        "did you mean wandb?",
    ]
    assert error_lines(remove_requirements, text, ["pytset"])[1].startswith(
        "pytest stands in dependency-groups"
    )
    assert error_lines(remove_requirements, text, ["qqq"])[1:] == []
    assert error_lines(remove_requirements, text, ["a"], group="devs") == [
        "pyproject.toml has no dependency group 'devs'",
        "did you mean dev?",
    ]
    assert (
        error_lines(remove_requirements, text, ["a"], extra="gui")[0] == "pyproject.toml has no extra 'gui'"
    )
    assert error_lines(remove_requirements, HEAD, ["a"])[0].endswith(
        "project.dependencies does not require a"
    )


NEW = {"name": "demo", "requires_python": ">=3.11", "python": "3.12", "platforms": ["linux-64", "osx-arm64"]}


def test_a_new_manifest():
    text = create_manifest(None, **NEW)
    assert text == (
        "[project]\n"
        'name = "demo"\n'
        'version = "0.1.0"\n'
        'requires-python = ">=3.11"\n'
        "dependencies = []\n"
        "\n"
        "[tool.envforge]\n"
        'platforms = ["linux-64", "osx-arm64"]\n'
        'python = "3.12"\n'
    )
    assert create_manifest("", **NEW) == text
    assert create_manifest(text, **{**NEW, "name": "other", "platforms": ["win-64"]}) == text


def test_python_and_requires_python_may_be_left_out():
    manifest = parse_manifest(create_manifest(None, name="x", requires_python="", platforms=["win-64"]))
    assert (manifest.requires_python, manifest.settings.python) == ("", "")
    assert manifest.settings.platforms == ("win-64",)


def test_without_settings_there_is_no_table_for_them():
    text = create_manifest(None, name="x", requires_python=">=3.11", platforms=())
    assert "tool" not in text
    assert create_manifest(text, name="x", requires_python=">=3.11", platforms=()) == text


def test_an_existing_file_is_extended_and_nothing_in_it_changes(corpus_text, file_style):
    text = file_style(corpus_text)
    manifest = parse_manifest(text)
    created = create_manifest(text, **NEW)
    after = parse_manifest(created)
    assert after.name == manifest.name
    assert after.dependencies == manifest.dependencies
    assert after.requires_python == (manifest.requires_python or ">=3.11")
    assert after.settings.python == (manifest.settings.python or "3.12")
    rest = iter(created.splitlines())
    kept = [line for line in text.splitlines() if line in rest]  # in this order, others between them
    assert kept == text.splitlines() or manifest.name == "inline"  # whose one line gets longer
    assert create_manifest(created, **NEW) == created


def test_files_of_other_tools_get_a_project():
    text = "# ours\n[tool.ruff]\nline-length = 99\n"
    created = create_manifest(text, **NEW)
    assert created.startswith(f"{text}\n[project]\nname = ")
    assert parse_manifest(created).name == "demo"


def test_a_name_that_is_missing_is_added():
    assert parse_manifest(create_manifest('[project]\nversion = "2"\n', **NEW)).version == "2"
    assert create_manifest("[project]\n[tool.envforge]\n", **NEW) == (
        '[project]\nname = "demo"\nrequires-python = ">=3.11"\ndependencies = []\n'
        '[tool.envforge]\nplatforms = ["linux-64", "osx-arm64"]\npython = "3.12"\n'
    )


def test_dynamic_keys_are_not_given_a_value():
    created = create_manifest('[project]\nname = "x"\ndynamic = ["dependencies"]\n', **NEW)
    assert "dependencies = []" not in created


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ('[tool.poetry]\nname = "x"\n', {}, "declared for Poetry only"),
        ("[project\n", {}, "not valid TOML"),
        ("project = 1\n", {}, "project: is a number, not a table"),
        ("tool = 1\n", {}, "tool: is a number, not a table"),
        ("[project]\ndynamic = 1\n", {}, "project.dynamic: is a number, not a list"),
        ("tool = {}\n", {}, "cannot be edited safely"),
        (None, {"name": "-"}, "'-' is no name for a project"),
        (None, {"platforms": ["linux64"]}, "unknown platform 'linux64'"),
    ],
)
def test_what_create_cannot_begin_with(text, options, message, error_lines):
    assert message in error_lines(create_manifest, text, **{**NEW, **options})[0]


def test_renaming_changes_the_name_only(corpus_text, file_style):
    text = file_style(corpus_text)
    manifest = parse_manifest(text)
    renamed = set_project_name(text, "Other.Name")
    assert parse_manifest(renamed).name == "Other.Name"
    assert set_project_name(renamed, manifest.name) == text
    with pytest.raises(ManifestError, match="is no name for a project"):
        set_project_name(text, "no name")
