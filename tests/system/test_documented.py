"""Every block of the documentation that is marked ``console run`` runs, in an empty folder."""

from __future__ import annotations

import re
import shlex
import sys

import pytest

from support.distributions import make_wheel
from support.projects import CHECKOUT, MINOR, Project
from support.simple_index import SimpleIndex

BLOCK = re.compile(r"^```console run\n(.*?)^```", re.MULTILINE | re.DOTALL)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="written for POSIX shells")


def blocks() -> list[tuple[str, str]]:
    pages = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
    return [
        (page.relative_to(CHECKOUT).as_posix(), block)
        for page in pages
        for block in BLOCK.findall(page.read_text(encoding="utf-8"))
    ]


def test_there_are_blocks() -> None:
    assert len(blocks()) >= 10


@pytest.mark.parametrize("page, block", blocks(), ids=[page for page, _ in blocks()])
def test_block(page: str, block: str, project: Project, index: SimpleIndex) -> None:
    version = "__version__ = '1.17.0'\n"
    index.add(make_wheel("six", "1.17.0", files={"six.py": version}), make_wheel("iniconfig", "2.3.0"))
    for line in block.splitlines():
        assert line.startswith("$ envforge "), f"{page}: {line}"
        # The pages speak of one Python; the tests run on others, too.
        words = [MINOR if word == "3.12" else word for word in shlex.split(line)[2:]]
        project.done(*words)
        if words[0] == "init" and project.manifest.exists():
            project.use_index()
