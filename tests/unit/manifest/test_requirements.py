from __future__ import annotations

import pytest

from envforge.manifest.parse import parse_manifest
from envforge.manifest.requirements import requirements_by_group
from envforge.model.requirement import Requirement


def groups_of(text: str) -> dict[str, list[str]]:
    groups = requirements_by_group(parse_manifest(text))
    return {name: [str(requirement) for requirement in found] for name, found in groups.items()}


def test_keys_are_those_of_the_lock(read_corpus):
    groups = requirements_by_group(parse_manifest(read_corpus("training")))
    assert list(groups) == [
        *("project", "extra:quantize", "extra:serve", "extra:all"),
        *("group:test", "group:lint", "group:dev"),
    ]
    assert groups["project"][1] == Requirement("transformers", ("torch",), "~=4.44")
    assert groups["group:lint"][-1] == Requirement("pytest-cov")


def test_every_manifest_of_the_corpus_is_read(corpus_text):
    assert "project" in groups_of(corpus_text)


def test_extras_that_name_other_extras_are_expanded(read_corpus):
    assert groups_of(read_corpus("training"))["extra:all"] == [
        'bitsandbytes>=0.43; sys_platform == "linux"',
        "fastapi>=0.110",
        "uvicorn[standard]",
    ]


PROJECT = """
[project]
name = "My_Tool"
dependencies = ["base", "my-tool[a]"]
[project.optional-dependencies]
a = ["left; os_name == 'posix'"]
b = ["right", "my.tool[a]; python_version < '3.13'"]
loop = ["my-tool[pool]", "one"]
pool = ["my-tool[loop]", "two"]
[dependency-groups]
dev = ["my-tool[b]", "base"]
"""


def test_a_marker_on_the_project_holds_for_what_it_stands_for():
    groups = groups_of(PROJECT)
    assert groups["project"] == ["base", 'left; os_name == "posix"']
    assert groups["extra:b"] == ["right", 'left; os_name == "posix" and python_version < "3.13"']


def test_extras_may_name_each_other():
    groups = groups_of(PROJECT)
    assert groups["extra:loop"] == ["one", "two"]
    assert groups["extra:pool"] == ["two", "one"]


def test_the_project_in_a_group_brings_its_dependencies_too():
    assert groups_of(PROJECT)["group:dev"] == [
        "base",
        'left; os_name == "posix"',
        "right",
        'left; os_name == "posix" and python_version < "3.13"',
    ]


def test_a_marker_with_or_keeps_its_meaning():
    text = (
        "[project]\nname = \"x\"\ndependencies = [\"x[a]; os_name == 'nt' or os_name == 'posix'\"]\n"
        "[project.optional-dependencies]\na = [\"p; python_version < '3' or python_version > '3.5'\"]\n"
    )
    assert groups_of(text)["project"] == [
        'p; (python_version < "3" or python_version > "3.5") and (os_name == "nt" or os_name == "posix")'
    ]


def test_all_faults_are_one_error_with_line_and_caret(error_lines):
    text = (
        '[project]\nname = "x"\nrequires-python = ">=3,oops"\n'
        'dependencies = [\n  "fine",\n  "torch>=2 extra",\n]\n'
        '[project.optional-dependencies]\ncli = ["rich"]\nall = ["x[cil]"]\n'
        '[dependency-groups]\ntest = ["pytest=8"]\ndev = [{include-group = "test"}]\n'
    )
    assert error_lines(groups_of, text)[0] == "pyproject.toml has 4 faults"
    lines = error_lines(groups_of, text)[1:]
    assert [line for line in lines if not line.startswith(" ")] == [
        "pyproject.toml:3: project.requires-python: '>=3,oops' is not a version specifier",
        "pyproject.toml:6: project.dependencies[1]: 'torch>=2 extra' is not a requirement",
        "pyproject.toml:10: project.optional-dependencies.all[0]: the project has no extra 'cil'",
        "pyproject.toml:12: dependency-groups.test[0]: 'pytest=8' is not a requirement",
    ]
    shown = next(index for index, line in enumerate(lines) if line.endswith("    torch>=2 extra"))
    assert lines[shown + 1].rstrip("^~").endswith(" ")
    assert lines[shown + 1].index("^") >= lines[shown].index("2")
    assert "    did you mean cli?" in lines


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        (
            'dependencies = ["x"]',
            "project.dependencies[0]: the project 'x' requires itself",
            "rename the project",
        ),
        ('dependencies = ["x[a]"]', "the project has no extra 'a'", "add it to optional-dependencies"),
        (
            'requires-python = ">=3.12"\n[tool.envforge]\npython = "3.11"',
            "pyproject.toml:5: tool.envforge.python: 3.11 is not admitted by project.requires-python",
            "change one of the two",
        ),
        (
            '[tool.envforge]\npython = "3.11"\n[tool.envforge.conda-dependencies]\npython = ">=3.12"',
            "conda-dependencies.python: >=3.12 does not admit tool.envforge.python, which is 3.11",
            "change one of the two",
        ),
        (
            '[tool.envforge]\npython = "3.12.4"\n[tool.envforge.conda-dependencies]\npython = "3.12.5.*"',
            "3.12.5.* does not admit tool.envforge.python, which is 3.12.4",
            "change one of the two",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(body, message, hint, error_lines):
    lines = error_lines(groups_of, f'[project]\nname = "x"\n{body}\n')
    assert message in lines[0]
    assert hint in lines[-1]


def test_a_bound_within_a_minor_admits_it():
    assert groups_of(
        '[project]\nname = "x"\nrequires-python = ">=3.11.4"\n[tool.envforge]\npython = "3.11"\n'
    )


@pytest.mark.parametrize(
    "spec", ["*", ">=3.11,<3.13", "3.12.*", ">=3.12.5", "==3.12.99", "* *_cpython", "=3.12"]
)
def test_pythons_that_agree(spec):
    groups_of(
        '[project]\nname = "x"\n[tool.envforge]\npython = "3.12"\n'
        f'[tool.envforge.conda-dependencies]\npython = "{spec}"\n'
    )
