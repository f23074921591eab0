"""``[tool.envforge.variants]``: what it means, what it cannot mean, and how it is edited."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from envforge.errors import ManifestError
from envforge.manifest.digest import inputs_digest
from envforge.manifest.edit import add_requirements, remove_requirements
from envforge.manifest.edit_conda import add_conda_dependencies, remove_conda_dependencies
from envforge.manifest.manifest import Manifest
from envforge.manifest.parse import parse_manifest
from envforge.manifest.requirements import requirements_by_group, requirements_by_variant
from envforge.manifest.targets import manifest_targets

HEAD = """\
[project]
name = "p"
dependencies = ["torch>=2.4", "flash-attn", "p[plots]"]
optional-dependencies = { plots = ["matplotlib"] }

[dependency-groups]
dev = ["pytest", "flash_attn>=2"]

[tool.envforge.conda-dependencies]
ffmpeg = "*"

[[tool.envforge.index]]
name = "cu128"
url = "https://download.pytorch.org/whl/cu128"
explicit = true

[[tool.envforge.index]]
name = "cpu"
url = "https://download.pytorch.org/whl/cpu"
explicit = true

"""
FIRST = HEAD.count("\n")
VARIANTS = """\
[tool.envforge.variants.cuda]
when = { cuda = ">=12.8", platform = ["linux-64", "linux-aarch64"] }
sources = { torch = { index = "cu128" } }
dependencies = ["triton; sys_platform == 'linux'"]
conda-dependencies = { cudnn = "9.*" }

[tool.envforge.variants.Mac_Book]
when = { platform = "osx-arm64", macos = ">= 15" }
remove = ["flash-attn", "conda:ffmpeg"]

[tool.envforge.variants.cpu]
sources = { torch = { index = "cpu" } }
remove = ["torch"]
dependencies = ["torch==2.4.*"]
"""


def read(variants: str = VARIANTS, head: str = HEAD) -> Manifest:
    return parse_manifest(head + variants)


def test_what_variants_say() -> None:
    cuda, mac, cpu = read().settings.variants
    assert (cuda.name, mac.name, cpu.name) == ("cuda", "mac-book", "cpu")
    assert str(cuda.condition) == "cuda >=12.8, platform linux-64 or linux-aarch64"
    assert str(mac.condition) == "macos >=15, platform osx-arm64"
    assert cuda.sources["torch"].index == "cu128"
    assert [each.match_spec for each in cuda.conda_dependencies] == ["cudnn 9.*"]
    assert (mac.removed, mac.conda_removed) == ({"flash-attn"}, {"ffmpeg"})


def test_what_a_variant_asks_for() -> None:
    manifest = read()
    settings = manifest.settings
    found = {
        name: {group: sorted(map(str, each)) for group, each in groups.items()}
        for name, groups in requirements_by_variant(manifest).items()
    }
    assert found["cuda"]["project"] == [
        "flash-attn",
        "matplotlib",
        "torch>=2.4",
        'triton; sys_platform == "linux"',
    ]
    assert found["mac-book"]["project"] == ["matplotlib", "torch>=2.4"]
    assert found["mac-book"]["group:dev"] == ["pytest"]
    assert found["cpu"]["project"] == ["flash-attn", "matplotlib", "torch==2.4.*"]
    cuda, mac, _ = settings.variants
    assert [each.name for each in settings.conda_dependencies_of(cuda)] == ["ffmpeg", "cudnn"]
    assert settings.conda_dependencies_of(mac) == ()
    assert settings.uses_conda


def test_without_variants_there_is_one_answer() -> None:
    manifest = read("")
    assert requirements_by_variant(manifest) == {"": requirements_by_group(manifest)}
    assert [target.id for target in manifest_targets(manifest.settings, "3.12")] == [
        "linux-64",
        "linux-aarch64",
        "osx-arm64",
        "win-64",
    ]


def test_targets_are_where_conditions_can_hold() -> None:
    targets = manifest_targets(read().settings, "3.12")
    assert [target.id for target in targets] == [
        "linux-64:cuda",
        "linux-64:cpu",
        "linux-aarch64:cuda",
        "linux-aarch64:cpu",
        "osx-arm64:mac-book",
        "osx-arm64:cpu",
        "win-64:cpu",
    ]
    assert targets[0].system.cuda == (12, 8)
    assert targets[1].system.cuda is None
    assert targets[4].system.macos == (15, 0)


def test_the_digest_knows_variants() -> None:
    digest = inputs_digest(read())
    assert digest != inputs_digest(read(""))
    assert digest == inputs_digest(read(VARIANTS.replace(">= 15", ">=15").replace("Mac_Book", "mac-book")))
    for old, new in (
        (">=12.8", ">=12.9"),
        ('index = "cpu"', 'index = "cu128"'),
        ('remove = ["torch"]\n', ""),
        ('"conda:ffmpeg"', '"pytest"'),
        ("9.*", "8.*"),
        ("variants.cpu", "variants.slow"),
    ):
        assert digest != inputs_digest(read(VARIANTS.replace(old, new))), old
    order = VARIANTS.split("\n\n")
    assert digest != inputs_digest(read("\n\n".join([order[1], order[0], order[2]])))


@pytest.mark.parametrize(
    ("variants", "line", "says"),
    [
        ("[a]\nwhen = { gpu = 1 }\n[b]", 2, "a.when.gpu: unknown condition"),
        ("[a]\nwhen = { cuda_arch = '>=8' }\n[b]", 2, "did you mean cuda-arch?"),
        ("[a]\nwhen = { platforms = 'linux-64' }\n[b]", 2, "did you mean platform?"),
        ("[a]\nwhen = { cuda = '12.8' }\n[b]", 2, 'write cuda = ">=12.8"'),
        ("[a]\nwhen = { cuda = 12.8 }\n[b]", 2, "12.8 is a number, not a range of versions"),
        ("[a]\nwhen = { cuda = '>=13,<12' }\n[b]", 2, "no version lies in '>=13,<12'"),
        ("[a]\nwhen = { cuda = '' }\n[b]", 2, "a.when.cuda: is empty"),
        ("[a]\nwhen = {}\n[b]", 2, "a.when: is empty"),
        ("[a]\nwhen = 'cuda'\n[b]", 2, "a.when: is a text, not a table"),
        ("[a]\nwhen = { platform = 'linux64' }\n[b]", 2, "did you mean linux-64?"),
        ("[a]\nwhen = { platform = 'osx-64' }\n[b]", 2, "add it to tool.envforge.platforms"),
        ("[a]\nwhen = { platform = [] }\n[b]", 2, "a.when.platform: is empty"),
        ("[a]\nwhen = { platform = 7 }\n[b]", 2, "a.when.platform: is a number, not a list"),
        ("[a]\nwhen = { archspec = 'x86-64-v3' }\n[b]", 2, "did you mean x86_64_v3?"),
        ("[a]\nwhen = { archspec = 'z80' }\n[b]", 2, "unknown micro-architecture 'z80'"),
        ("[a]\nwhen = { cuda = '>=12', macos = '>=14' }\n[b]", 2, "no host is like that"),
        ("[a]\nwhen = { cuda = '>=12' }\n[b]\nwhen = { cuda = '>= 12' }\n[c]", 4, "the same as that of 'a'"),
        ("[a]\n[b]\nwhen = { cuda = '>=12' }", 3, "b.when: can never be chosen: 'a' holds wherever it does"),
        ("[a]\n[b]", 2, "b: can never be chosen: 'a' before it has no `when` either"),
        (
            "[a]\nwhen = { platform = ['linux-64', 'linux-aarch64', 'win-64'] }\n"
            "[b]\nwhen = { cuda = '>=12' }\n[c]",
            4,
            "b.when: can never be chosen: 'a' holds wherever it does, and comes first",
        ),
        ("[a]\nwhen = { cuda = '>=12' }", 1, "no variant can hold on osx-arm64"),
        ("[auto]", 1, "'auto' stands for the choice by the host"),
        ("[a]\nsource = {}", 2, "did you mean sources?"),
        ("[a]\nsources = { torch = { index = 'cu182' } }", 2, "did you mean cu128?"),
        ("[a]\nremove = ['numpy']", 2, "the project does not require 'numpy'"),
        ("[a]\nremove = ['flash-atn']", 2, "did you mean flash-attn?"),
        ("[a]\nremove = ['torch>=2']", 2, "write the name only, without a version"),
        ("[a]\nremove = ['ffmpeg']", 2, 'write "conda:ffmpeg"'),
        ("[a]\nremove = ['conda:torch']", 2, "'torch' is not in tool.envforge.conda-dependencies"),
        ("[a]\nconda-dependencies = { cudnn = 9 }", 2, "is a number, not a text or a table"),
        ("['a b']", 1, "'a b' is no name for a variant"),
        ("[gpu]\nwhen = { cuda = '>=12' }\n[GPU]", 3, "is the same variant as 'gpu'"),
    ],
)
def test_what_cannot_be_meant(
    error_lines: Callable[..., list[str]], variants: str, line: int, says: str
) -> None:
    text = variants.replace("[", "[tool.envforge.variants.", 1)
    text = text.replace("\n[", "\n[tool.envforge.variants.")
    shown = error_lines(read, text)
    assert says in "\n".join(shown)
    assert shown[0].startswith(f"pyproject.toml:{FIRST + line}: tool.envforge.variants"), shown


def test_a_bad_requirement_is_told_with_its_place(error_lines: Callable[..., list[str]]) -> None:
    manifest = read('[tool.envforge.variants.cpu]\ndependencies = ["torch >>2"]\n')
    shown = error_lines(requirements_by_variant, manifest)
    assert f"pyproject.toml:{FIRST + 2}: tool.envforge.variants.cpu.dependencies[0]" in shown[0]


def test_variants_in_other_forms() -> None:
    inline = "[tool.envforge.variants]\ncuda = { when = { cuda = '>=12' } }\nall = {}\n"
    assert [each.name for each in read(inline).settings.variants] == ["cuda", "all"]
    dotted = "[tool.envforge]\nvariants.cuda.when.cuda = '>=12'\nvariants.all = {}\n"
    assert str(read(dotted).settings.variants[0].condition) == "cuda >=12"


def test_requirements_are_edited_in_place() -> None:
    text = HEAD + VARIANTS.replace('dependencies = ["torch==2.4.*"]', 'dependencies = [  # slow\n  "a",\n]')
    added = add_requirements(text, ["apex>=1"], variant="cpu")
    assert added == text.replace('  "a",\n]', '  "a",\n  "apex>=1",\n]')
    assert remove_requirements(added, ["apex"], variant="CPU") == text
    mac = add_requirements(text, ["mlx"], variant="mac_book")
    assert mac == text.replace('"conda:ffmpeg"]', '"conda:ffmpeg"]\ndependencies = ["mlx"]')
    assert [each.text for each in parse_manifest(mac).settings.variants[1].dependencies] == ["mlx"]


def test_conda_dependencies_are_edited_in_place() -> None:
    text = HEAD + VARIANTS
    added = add_conda_dependencies(text, {"nccl": ">=2"}, variant="cuda")
    assert added == text.replace('{ cudnn = "9.*" }', '{ cudnn = "9.*", nccl = ">=2" }')
    assert remove_conda_dependencies(added, ["nccl"], variant="cuda") == text
    cpu = add_conda_dependencies(text, {"mkl": "*"}, variant="cpu")
    assert [each.name for each in parse_manifest(cpu).settings.variants[2].conda_dependencies] == ["mkl"]
    assert parse_manifest(remove_conda_dependencies(cpu, ["mkl"], variant="cpu")) == parse_manifest(text)


def test_a_variant_outlives_its_last_conda_dependency() -> None:
    text = HEAD + "[tool.envforge.variants.gpu.conda-dependencies]\ncudnn = '*'\n"
    left = remove_conda_dependencies(text, ["cudnn"], variant="gpu")
    assert [each.name for each in parse_manifest(left).settings.variants] == ["gpu"]


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda text: add_requirements(text, ["a"], variant="cude"), "did you mean cuda?"),
        (
            lambda text: add_requirements(text, ["a"], variant="new"),
            "[tool.envforge.variants.new] with its `when`",
        ),
        (lambda text: add_conda_dependencies(text, {"a": "*"}, variant="cude"), "did you mean cuda?"),
        (lambda text: remove_requirements(text, ["a"], variant="cude"), "did you mean cuda?"),
        (
            lambda text: remove_requirements(text, ["flash-attn"], variant="cuda"),
            'to leave it out of this variant only: remove = ["flash-attn"] in [tool.envforge.variants.cuda]',
        ),
        (
            lambda text: remove_requirements(text, ["triton"]),
            "triton stands in tool.envforge.variants.cuda.dependencies: remove it with --variant cuda",
        ),
        (
            lambda text: remove_conda_dependencies(text, ["cudnn"]),
            "cudnn stands in cuda: --variant cuda",
        ),
        (
            lambda text: remove_conda_dependencies(text, ["ffmpeg"], variant="cuda"),
            "in tool.envforge.conda-dependencies: without --variant",
        ),
    ],
)
def test_edits_that_are_refused(edit: Callable[[str], str], says: str) -> None:
    with pytest.raises(ManifestError) as caught:
        edit(HEAD + VARIANTS)
    assert says in "\n".join(caught.value.hints)
