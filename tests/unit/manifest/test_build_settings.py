"""``[tool.envforge.build.NAME]``: what is read, and what cannot be meant."""

from __future__ import annotations

import pytest

from envforge.errors import ManifestError
from envforge.manifest.build_settings import BuildSettings
from envforge.manifest.digest import inputs_digest
from envforge.manifest.parse import parse_manifest

HEAD = '[project]\nname = "x"\nversion = "1"\n[tool.envforge]\n'
FULL = """
[tool.envforge.build.Flash_Attn]
config-settings = { "--build-option" = "--fast", many = ["a", "b"] }
env = { MAX_JOBS = "4" }
with = ["Torch", "ninja", "torch"]
timeout-s = 3600
"""


def test_all_of_it():
    assert parse_manifest(HEAD + FULL).settings.build == {
        "flash-attn": BuildSettings(
            config_settings={"--build-option": "--fast", "many": ("a", "b")},
            env={"MAX_JOBS": "4"},
            runtime=("torch", "ninja"),
            timeout_s=3600.0,
        )
    }
    assert parse_manifest(HEAD).settings.build == {}


def test_a_lock_depends_on_prebuilt_only():
    assert inputs_digest(parse_manifest(HEAD + FULL)) == inputs_digest(parse_manifest(HEAD))
    patterns = [
        "build.a.prebuilt = 'https://h/a-{version}-py3-none-any.whl'",
        "build.a.prebuilt = ['https://h/a-{version}+{cuda}-py3-none-any.whl', 'https://h/a-{torch}.whl']",
    ]
    manifests = [parse_manifest(HEAD + text) for text in patterns]
    assert [len(each.settings.build["a"].prebuilt) for each in manifests] == [1, 2]
    assert len({inputs_digest(each) for each in (parse_manifest(HEAD), *manifests)}) == 3


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ("build = 1", "tool.envforge.build: is a number, not a table", "[tool.envforge.build]"),
        ("build.a = 1", "tool.envforge.build.a: is a number, not a table", "[tool.envforge.build.a]"),
        ("build.a.flags = 1", "tool.envforge.build.a.flags: unknown key", ""),
        ("build.a.env = { N = 4 }", "build.a.env.N: is a number, not a text", "MAX_JOBS"),
        ("build.a.env = { 'N=1' = '4' }", "build.a.env: 'N=1' is no name of a variable", "NAME ="),
        (
            "build.a.config-settings = { o = 1 }",
            "config-settings.o: is a number, not a text",
            "--build-option",
        ),
        ("build.a.config-settings = { o = [1] }", "config-settings.o[0]: is a number, not a text", ""),
        ("build.a.with = 'torch'", "build.a.with: is a text, not a list", '["torch"]'),
        ("build.a.with = ['torch>=2']", "with[0]: 'torch>=2' is no name of a project", "lock has versions"),
        ("build.a.with = ['A']", "build.a.with[0]: is the project that is to be built", "remove it"),
        ("build.a.prebuilt = 1", "build.a.prebuilt: is a number, not a list", "https://"),
        ("build.a.prebuilt = 'a.whl'", "prebuilt[0]: 'a.whl' is no URL of a wheel", "https://"),
        ("build.a.prebuilt = 'https://h/a.zip'", "is no URL of a wheel", "https://"),
        ("build.a.prebuilt = 'https://u:p@h/a.whl'", "prebuilt[0]: has a password or name in it", "netrc"),
        ("build.a.prebuilt = 'https://h/{abl}.whl'", "{abl} is nothing that is known", "{abi}"),
        ("build.a.timeout-s = true", "build.a.timeout-s: is no number of seconds", "3600"),
        ("build.a.timeout-s = 0", "build.a.timeout-s: is no number of seconds", "3600"),
    ],
)
def test_what_cannot_be_meant_is_refused(body: str, message: str, hint: str):
    with pytest.raises(ManifestError) as caught:
        parse_manifest(HEAD + body)
    told = "\n".join([caught.value.message, *caught.value.context, *caught.value.hints])
    assert message in told
    assert hint in told
