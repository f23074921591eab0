"""torch on the real PyPI: CUDA where Linux is, none on the Mac, one version for all variants."""

from __future__ import annotations

from pathlib import Path

import pytest

from envforge.errors import NetworkError
from envforge.lock.parse import parse_lock
from envforge.net.client import HttpClient
from envforge.net.settings import NetworkSettings

from support.projects import Project

PYPI = "https://pypi.org/simple"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    try:
        HttpClient(NetworkSettings(retries=2, timeout_s=20)).get(f"{PYPI}/torch/")
    except NetworkError as error:
        pytest.skip(f"pypi.org cannot be reached: {error.message}")
    return Project(tmp_path, PYPI)


def test_the_default_cuda_of_torch(project: Project) -> None:
    project.write(
        "torch>=2.6",
        settings='platforms = ["linux-64", "osx-arm64"]',
        tables="[tool.envforge.variants.cuda]\nwhen = { cuda = '>=12.4' }\n[tool.envforge.variants.any]",
    )
    project.done("lock", timeout_s=120)
    lock = parse_lock(project.lock.read_text())
    names = {
        target.id: {lock.packages[i].name for i in target.package_ids(target.groups)}
        for target in lock.targets
    }
    assert [*names] == ["linux-64:cuda", "linux-64:any", "osx-arm64:any"]
    assert any(name.startswith("nvidia-") for name in names["linux-64:cuda"])
    assert not any(name.startswith("nvidia-") for name in names["osx-arm64:any"])
    assert len([each for each in lock.packages.values() if each.name == "torch"]) == 1
