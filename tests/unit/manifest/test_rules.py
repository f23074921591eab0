"""Constraints, overrides, supplied metadata, kinds of files: from TOML to what a resolution gets."""

from __future__ import annotations

import pytest

from envforge.errors import ManifestError
from envforge.manifest.digest import inputs_digest
from envforge.manifest.manifest import Manifest
from envforge.manifest.parse import parse_manifest
from envforge.manifest.rules import manifest_rules
from envforge.model.requirement import parse_requirement
from envforge.model.rules import Rules
from envforge.model.target import Target

HEAD = '[project]\nname = "x"\nversion = "1"\n[tool.envforge]\n'
LINUX = Target(platform="linux-64", python="3.12")


def manifest_of(body: str) -> Manifest:
    return parse_manifest(HEAD + body)


def rules_of(body: str) -> Rules:
    return manifest_rules(manifest_of(body))


def test_all_of_it():
    rules = rules_of(
        """
        constraints = ["NumPy<2.3", "numpy>=1; sys_platform == 'linux'"]
        overrides = ["protobuf>=5"]
        only-binary = true
        no-binary = ["Flash_Attn"]
        [tool.envforge.metadata]
        flash-attn = { version = "==2.8.3", requires = ["torch", "einops"], requires-python = ">=3.9" }
        other = [{ version = "1.0", requires = [] }, { requires = ["a"] }]
        """
    )
    assert [str(each) for each in rules.constraints["numpy"]] == [
        "numpy<2.3",
        'numpy>=1; sys_platform == "linux"',
    ]
    assert rules.demands(LINUX) == {"numpy": {"<2.3", ">=1"}, "protobuf": {">=5"}}
    assert rules.demands(Target(platform="win-64", python="3.12"))["numpy"] == {"<2.3"}
    supplied = rules.supplied_for("flash-attn", "2.8.3")
    assert supplied is not None
    assert [str(each) for each in supplied.requires] == ["torch", "einops"]
    assert supplied.requires_python == ">=3.9"
    assert rules.supplied_for("flash-attn", "2.8.2") is None
    assert rules.supplied_for("other", "1.0") != rules.supplied_for("other", "2.0")
    assert rules.wants_wheel("numpy")
    assert not rules.wants_wheel("flash-attn")
    assert rules.wants_sdist("flash-attn")
    assert not rules.wants_sdist("numpy")


def test_an_override_keeps_extras_and_the_condition_of_what_it_replaces():
    rules = rules_of("overrides = [\"protobuf>=5; sys_platform == 'linux'\"]")
    replaced = rules.overridden([parse_requirement("protobuf[fast]<4; extra == 'x'"), parse_requirement("a")])
    assert [str(each) for each in replaced] == [
        'protobuf[fast]>=5; extra == "x" and sys_platform == "linux"',
        "a",
    ]


def test_nothing_said_is_nothing_changed():
    assert manifest_of("").settings.rules is None
    assert inputs_digest(manifest_of("")) == inputs_digest(
        manifest_of('constraints = []\nonly-binary = false\nbuild-constraints = ["a<2"]')
    )


@pytest.mark.parametrize(
    "body",
    [
        'constraints = ["a<2"]',
        'overrides = ["a<2"]',
        "only-binary = true",
        'only-binary = ["a"]',
        'no-binary = ["a"]',
        "metadata = { a = { requires = [] } }",
        'metadata = { a = { version = "1", requires = [] } }',
        'metadata = { a = { requires = ["b"] } }',
    ],
)
def test_each_changes_what_a_lock_depends_on(body: str):
    digests = {inputs_digest(manifest_of(text)) for text in ("", body, 'constraints = ["other"]')}
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ('constraints = "a<2"', "tool.envforge.constraints: is a text, not a list", ""),
        (
            'constraints = ["a[x]<2"]',
            "constraints[0]: has extras: a constraint asks for nothing",
            "write a<2",
        ),
        ('constraints = ["a<<2"]', "tool.envforge.constraints[0]", "torch>=2.4"),
        ('build-constraints = ["a<<2"]', "tool.envforge.build-constraints[0]", "torch>=2.4"),
        ('build-constraints = ["a[x]<2"]', "build-constraints[0]: has extras", "write a<2"),
        ('overrides = ["a @ https://h/a.whl"]', "overrides[0]: is a direct reference", "name versions"),
        ("only-binary = 1", "tool.envforge.only-binary: is a number, not a list", "true, or"),
        ('no-binary = ["a>=1"]', "no-binary[0]: 'a>=1' is no name of a project", "name only"),
        ("only-binary = ['a']\nno-binary = ['A']", "no-binary: a is in only-binary too", "remove it"),
        ("only-binary = true\nno-binary = true", "no-binary: everything is in only-binary too", "remove it"),
        ("metadata = { a = 1 }", "tool.envforge.metadata.a: is a number, not a table", "requires = ["),
        ("metadata = { a = {} }", "tool.envforge.metadata.a: says nothing of requirements", "[] for none"),
        ("metadata = { a = { requires = [], nme = 1 } }", "metadata.a.nme: unknown key", ""),
        ("metadata = { a = { requires = ['b<<1'] } }", "metadata.a.requires[0]", "torch>=2.4"),
        ("metadata = { a = { version = '>=1', requires = [] } }", "metadata.a.version: '>=1'", "2.8.3"),
        ("metadata = { a = { requires-python = '3', requires = [] } }", "a.requires-python: '3'", ">=3.11"),
        (
            "metadata = { a = [{ requires = [] }, { requires = [] }] }",
            "metadata.a[1]: there is an entry for every version already",
            "remove one",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(body: str, message: str, hint: str):
    with pytest.raises(ManifestError) as caught:
        rules_of(body)
    told = "\n".join([caught.value.message, *caught.value.context, *caught.value.hints])
    assert message in told
    assert hint in told


def test_all_faults_are_shown_together():
    with pytest.raises(ManifestError) as caught:
        rules_of('constraints = ["a<<2", "b[x]"]')
    assert "2 faults" in caught.value.message
