"""One project, locked once, for a laptop, a box without GPU, two generations of drivers and aarch64.

The indexes behave as PyTorch's do: a folder for each kind of hardware, local versions, wheels of several
platforms. What a host has is said by ``CONDA_OVERRIDE_CUDA``, as users do on login nodes.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from envforge.host.facts import host_platform
from envforge.lock.parse import parse_lock
from envforge.manifest.parse import parse_manifest
from envforge.model.accelerators import Gpu, HostFacts, NvidiaDriver
from envforge.plan.variant_choice import choose_variant

from support.accelerator_index import AcceleratorIndex
from support.distributions import Distribution, make_wheel
from support.projects import Project

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of the environment are POSIX here")


def _can_rename_host() -> bool:
    command = ["unshare", "--uts", "sh", "-c", "hostname a-test"]
    return which("unshare") is not None and subprocess.run(command, capture_output=True).returncode == 0


TAGS = {
    "linux-64": "manylinux_2_28_x86_64",
    "linux-aarch64": "manylinux_2_28_aarch64",
    "osx-arm64": "macosx_14_0_arm64",
    "win-64": "win_amd64",
}


def torch(version: str, platform: str, *requires: str) -> Distribution:
    return make_wheel("torch", version, tag=f"py3-none-{TAGS[platform]}", requires=["typing-x", *requires])


@pytest.fixture
def index() -> Iterator[AcceleratorIndex]:
    """torch 2.8 and 2.9 for CUDA 12.8 and 13.0, 2.9 and 2.10 for processors, 2.10 on PyPI."""
    with AcceleratorIndex() as index:
        index.add(make_wheel("typing-x", "0.9"), make_wheel("typing-x"))
        index.add(make_wheel("metal"), make_wheel("app"))
        index.add(make_wheel("flash", requires=["typing-x>=1"]))
        for platform in TAGS:
            index.add(torch("2.10.0", platform))
        for build, version in (("cu128", "2.8.0"), ("cu128", "2.9.0"), ("cu130", "2.9.0")):
            index.add_build(build, make_wheel(f"nvidia-{build}"))
            for platform in ("linux-64", "linux-aarch64", "win-64"):
                index.add_build(build, torch(f"{version}+{build}", platform, f"nvidia-{build}"))
            index.add(make_wheel(f"nvidia-{build}"))
        for version in ("2.9.0", "2.10.0"):
            index.add_build("cpu", torch(version, "osx-arm64"))
            for platform in ("linux-64", "linux-aarch64", "win-64"):
                index.add_build("cpu", torch(f"{version}+cpu", platform))
        yield index


@pytest.fixture
def project(tmp_path: Path, index: AcceleratorIndex) -> Project:
    project = Project(tmp_path, index.url)
    write(project, index, VARIANTS)
    project.variables["CONDA_OVERRIDE_CUDA"] = ""
    return project


VARIANTS = """
[tool.envforge.variants.new]
when = { cuda = ">=13.0" }
sources = { torch = { index = "cu130" } }

[tool.envforge.variants.old]
when = { cuda = ">=12.8,<13" }
sources = { torch = { index = "cu128" } }

[tool.envforge.variants.mac]
when = { platform = "osx-arm64" }
dependencies = ["metal"]
remove = ["flash"]

[tool.envforge.variants.cpu]
sources = { torch = { index = "cpu" } }
"""


def write(project: Project, index: AcceleratorIndex, variants: str) -> None:
    indexes = "\n".join(
        f'[[tool.envforge.index]]\nname = "{build}"\nurl = "{index.build_url(build)}"\nexplicit = true'
        for build in ("cu128", "cu130", "cpu")
    )
    project.write("torch>=2.8", "flash", tables=f"{indexes}\n{variants}")


def told_cuda(project: Project, version: str) -> None:
    project.variables["CONDA_OVERRIDE_CUDA"] = version


def locked_targets(project: Project) -> dict[str, dict[str, str]]:
    """Target id → name → version."""
    lock = parse_lock(project.lock.read_text())
    return {
        target.id: {
            lock.packages[i].name: lock.packages[i].version for i in target.package_ids(target.groups)
        }
        for target in lock.targets
    }


def test_every_host_gets_its_own_from_one_lock(project: Project, index: AcceleratorIndex) -> None:
    project.done("lock")
    text = project.lock.read_text()
    targets = locked_targets(project)
    assert [*targets][:3] == ["linux-64:new", "linux-64:old", "linux-64:cpu"]
    # one release for all that can have it, whatever its build is called
    assert {packages["torch"] for packages in targets.values()} == {
        *("2.9.0+cu130", "2.9.0+cu128", "2.9.0+cpu", "2.9.0"),
        "2.10.0",  # PyPI has no other, and only the Mac's own variant asks there
    }
    assert targets["linux-64:new"].keys() == {"torch", "flash", "typing-x", "nvidia-cu130"}
    assert targets["osx-arm64:mac"].keys() == {"torch", "metal", "typing-x"}
    assert targets["osx-arm64:cpu"]["torch"] == "2.9.0"

    manifest = parse_manifest(project.manifest.read_text())
    lock = parse_lock(text)

    def file_on(host: HostFacts) -> str:
        choice = choose_variant(manifest.settings.variants, host)
        target_id = f"{host.platform}:{choice.name}"
        package = next(
            each for each in lock.packages.values() if each.name == "torch" and _is_for(each, target_id)
        )
        return package.file_for(target_id).filename

    def driver(major: int, minor: int) -> NvidiaDriver:
        return NvidiaDriver(cuda=(major, minor), gpus=(Gpu(name="GPU", capability=(9, 0)),))

    assert (
        file_on(HostFacts(platform="osx-arm64", macos=(15, 1)))
        == "torch-2.10.0-py3-none-macosx_14_0_arm64.whl"
    )
    assert file_on(HostFacts(platform="linux-64", nvidia=driver(13, 1))) == (
        "torch-2.9.0+cu130-py3-none-manylinux_2_28_x86_64.whl"
    )
    assert file_on(HostFacts(platform="linux-aarch64", nvidia=driver(12, 9))) == (
        "torch-2.9.0+cu128-py3-none-manylinux_2_28_aarch64.whl"
    )
    assert (
        file_on(HostFacts(platform="win-64", nvidia=driver(12, 4)))
        == "torch-2.9.0+cpu-py3-none-win_amd64.whl"
    )
    assert project.done("lock", "--check").code == 0
    assert project.lock.read_text() == text


def _is_for(package: Any, target_id: str) -> bool:
    return any(target_id in file.targets for file in package.files)


@pytest.mark.skipif(host_platform() != "linux-64", reason="wheels are for Linux on x86-64 here")
def test_a_host_is_synced_to_what_it_has_and_stays_so(project: Project) -> None:
    synced = project.done("sync", "--json").json
    assert (synced["variant"], project.installed()["torch"]) == ("cpu", "2.9.0+cpu")
    assert "up to date" in project.done("sync").err

    # a driver appears: nothing flips by itself, and that is said
    told_cuda(project, "12.9")
    kept = project.done("run", "--", "python", "-c", "import torch; print(torch.version)")
    assert kept.out == "2.9.0+cpu\n"
    chosen = project.done("sync", "--variant", "auto")
    assert "Variant old: this host has CUDA 12.9" in chosen.err
    assert project.installed()["torch"] == "2.9.0+cu128"

    # and goes away again
    told_cuda(project, "")
    assert project.done("run", "python", "-c", "import torch; print(torch.version)").out == "2.9.0+cu128\n"
    project.done("add", "--no-sync", "app")
    warned = project.done("sync")
    assert "variant old is kept, although this host no longer meets it: no NVIDIA driver" in warned.err
    assert "envforge sync --variant auto" in warned.err

    # what is named wins, and is kept to
    project.done("sync", "--variant", "new")
    assert project.installed()["torch"] == "2.9.0+cu130"
    assert "up to date" in project.done("sync").err
    assert "up to date" in project.done("sync").err
    project.variables["ENVFORGE_VARIANT"] = "cpu"
    assert project.done("run", "python", "-c", "import torch; print(torch.version)").out == "2.9.0+cpu\n"
    project.variables["ENVFORGE_VARIANT"] = "auto"
    assert project.done("sync", "--json").json["variant"] == "cpu"
    assert "torch 2.9.0+cpu" in project.done("tree").out
    assert "torch 2.9.0+cu130" in project.done("tree", "--variant", "new").out
    assert "linux-64:old" in project.done("why", "--variant", "old", "nvidia-cu128").out


def test_removing_and_adding_a_variant_moves_nothing_else(project: Project, index: AcceleratorIndex) -> None:
    project.done("lock")
    before = locked_targets(project)
    index.add_build("cpu", torch("2.9.1+cpu", "linux-64"))
    index.add(make_wheel("flash", "9.0"))
    start = VARIANTS.index("[tool.envforge.variants.mac]")
    write(project, index, VARIANTS[start:])
    told = project.done("lock", "--refresh").err
    after = locked_targets(project)
    assert after == {target: packages for target, packages in before.items() if target in after}
    assert set(before) - set(after) == {
        f"{platform}:{name}"
        for platform in ("linux-64", "linux-aarch64", "win-64")
        for name in ("new", "old")
    }
    assert "- target linux-64:new" in told
    assert "cu1" not in project.lock.read_text()

    write(project, index, VARIANTS)
    project.done("lock")
    assert locked_targets(project) == before


def test_a_project_without_variants_has_no_trace_of_them(project: Project, index: AcceleratorIndex) -> None:
    write(project, index, "")
    project.done("lock")
    document = json.loads(project.lock.read_text())
    assert document["version"] == 1
    assert "variant" not in project.lock.read_text()
    assert document["packages"]["torch"]["files"][0]["targets"] == ["osx-arm64"]
    project.fails("sync", "--variant", "cuda", code=2, says=["the project has no variants"])


def test_requirements_of_a_variant_are_added_and_removed(project: Project) -> None:
    project.done("add", "--no-sync", "--variant", "old", "app")
    assert 'dependencies = ["app>=1.0"]' in project.manifest.read_text()
    targets = locked_targets(project)
    assert {target for target, packages in targets.items() if "app" in packages} == {
        "linux-64:old",
        "linux-aarch64:old",
        "win-64:old",
    }
    project.done("remove", "--no-sync", "--variant", "old", "app")
    assert not any("app" in packages for packages in locked_targets(project).values())
    project.fails("add", "--variant", "odl", "app", says=["has no variant 'odl'", "did you mean old?"])
    project.fails(
        "remove",
        "--variant",
        "old",
        "flash",
        says=["flash stands in project.dependencies", 'remove = ["flash"]'],
    )


@pytest.mark.parametrize(
    ("variants", "says"),
    [
        (
            '[tool.envforge.variants.gpu]\nwhen = { cuda = ">=12" }\n'
            'sources = { flash = { index = "cu128" } }\n'
            "[tool.envforge.variants.cpu]",
            [
                "index 'cu128' has no project named 'flash'",
                "tool.envforge.variants.gpu.sources sends flash there",
            ],
        ),
        (
            '[tool.envforge.variants.gpu]\ndependencies = ["typing-x<1"]',
            ["flash and typing-x<1 (variant gpu)", "variant gpu needs typing-x<1", "linux-64:gpu"],
        ),
        (
            '[tool.envforge.variants.gpu]\nsources = { torch = { index = "cu130" } }',
            [
                *("torch", "osx-arm64:gpu", "variant gpu takes torch from index 'cu130' only"),
                "or do without the variant: remove [tool.envforge.variants.gpu]",
            ],
        ),
    ],
    ids=["index lacks it", "conflict with the base", "index lacks the platform"],
)
def test_failures_name_the_variant(
    project: Project, index: AcceleratorIndex, variants: str, says: list[str]
) -> None:
    write(project, index, variants)
    project.fails("lock", says=says)


def test_no_variant_for_this_host(project: Project, index: AcceleratorIndex) -> None:
    variants = VARIANTS[: VARIANTS.index("[tool.envforge.variants.cpu]")]
    write(project, index, variants)
    told_cuda(project, "12.4")
    project.done("lock")
    project.fails(
        "sync",
        says=[
            "no variant of the project is for this host",
            "CUDA 12.4",
            "new needs cuda >=13.0: CUDA 12.4",
            "old needs cuda >=12.8,<13: CUDA 12.4",
            "ENVFORGE_VARIANT=",
        ],
    )
    project.fails("sync", "--variant", "nwe", code=2, says=["no variant named 'nwe'", "did you mean new?"])
    project.variables["ENVFORGE_VARIANT"] = "mac"
    project.fails("sync", says=["variant mac is not for", "it is locked for osx-arm64"])


@pytest.mark.skipif(host_platform() != "linux-64", reason="wheels are for Linux on x86-64 here")
@pytest.mark.skipif(not _can_rename_host(), reason="needs a host name of its own (unshare --uts)")
def test_another_host_on_the_same_files_has_its_own_choice(project: Project) -> None:
    other = ("unshare", "--uts", "sh", "-c", 'hostname gpu-node-7 && exec "$@"', "sh")
    project.done("sync")
    project.variables["CONDA_OVERRIDE_CUDA"] = "13.0"
    # the stamp of the first host does not vouch for the second, and its choice is not taken over
    assert "Variant new: this host has CUDA 13.0" in project.done("sync", prefix=other).err
    assert "up to date" in project.done("sync", prefix=other).err
    project.variables["CONDA_OVERRIDE_CUDA"] = ""
    assert project.done("sync", "--json", "--dry-run").json["variant"] == "cpu"
    assert project.done("sync", "--json", "--dry-run", prefix=other).json["variant"] == "new"


def test_the_choice_is_made_again_when_conditions_are_edited(
    project: Project, index: AcceleratorIndex
) -> None:
    told_cuda(project, "12.4")
    assert project.done("sync", "--json", "--dry-run").json["variant"] == "cpu"
    project.done("sync")
    write(project, index, VARIANTS.replace(">=12.8,<13", ">=12.4,<13"))
    assert project.done("sync", "--json").json["variant"] == "old"
    # one that was named is kept
    project.done("sync", "--variant", "cpu")
    write(project, index, VARIANTS.replace(">=12.8,<13", ">=12.3,<13"))
    assert project.done("sync", "--json").json["variant"] == "cpu"
    # until it is gone
    write(project, index, VARIANTS.replace("variants.cpu", "variants.plain"))
    assert project.done("sync", "--json").json["variant"] == "plain"


def test_the_tree_of_a_project_that_is_not_for_this_host(project: Project, index: AcceleratorIndex) -> None:
    write(project, index, VARIANTS[: VARIANTS.index("[tool.envforge.variants.cpu]")])
    project.done("lock")
    assert "linux-64:new" in project.done("tree").err
    assert "osx-arm64:mac" in project.done("tree", "--platform", "osx-arm64").err
    assert "linux-64:old" in project.done("tree", "--variant", "old").err
    project.fails("tree", "--variant", "mac", says=["variant mac is not for linux-64"])
    project.fails("tree", "--variant", "nwe", says=["no variant named 'nwe'", "did you mean new?"])


def test_an_age_as_a_limit(project: Project, index: AcceleratorIndex) -> None:
    """All files of the index are from the first day of 2026."""

    def write_limit(*settings: str) -> None:
        project.write("app", "metal", settings="\n".join(settings))

    write_limit('exclude-newer = "1h"')
    project.done("lock")
    text = project.lock.read_text()
    assert json.loads(text)["exclude-newer"] == "PT1H"
    assert "up to date" in project.done("lock").err
    project.done("lock", "--upgrade")
    assert project.lock.read_text() == text  # nothing of the day is in it

    write_limit('exclude-newer = "20000d"')
    project.fails("lock", says=["app"])
    write_limit('exclude-newer = "20000d"', 'exclude-newer-package = { App = false, metal = "2 hours" }')
    project.done("lock")
    assert project.locked == {"app": "1.0", "metal": "1.0"}
    write_limit('exclude-newer = "1h"', 'exclude-newer-package = { app = "2025-12-31" }')
    project.fails("lock", says=["app"])
    write_limit()
    project.fails("lock", "--exclude-newer", "20000 days", says=["app"])
    project.fails("lock", "--exclude-newer", "sometime", code=2, says=["is no date and no age"])


def test_a_bucket_s_refusal_names_the_index(project: Project, index: AcceleratorIndex) -> None:
    index.absent = 403
    write(
        project,
        index,
        '[tool.envforge.variants.gpu]\nwhen = { cuda = ">=12" }\nsources = { flash = { index = "cu128" } }\n'
        "[tool.envforge.variants.cpu]",
    )
    project.fails("lock", says=["cu128", "403", "tool.envforge.variants.gpu.sources"])
