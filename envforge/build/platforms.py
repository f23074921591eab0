"""Whether what a backend says of an sdist holds for other platforms than the one it was asked on.

Nobody can know what a program would say elsewhere. But setuptools has written into the sdist what its
author's machine was told: where that is something else, and setup.py looks at the platform, it depends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from envforge.errors import RequirementError
from envforge.model.release import CoreMetadata
from envforge.model.requirement import parse_requirement

_PLATFORM = re.compile(
    r"\bsys\.platform\b|\bos\.(?:name|uname)\b|\bplatform\.\w+\(|\bget_platform\b|\bfrom platform import\b"
)
_PYTHON = re.compile(r"\bversion_info\b|\bpython_version|\bhexversion\b|\bPY[23]\b")


def platform_difference(source: Path, metadata: CoreMetadata) -> str:
    """How an sdist's requirements differ between this platform and its author's, ``""`` if nothing tells.

    Args:
        source: the unpacked sdist.
        metadata: what its backend said here.
    """
    script = _read(source / "setup.py")
    recorded = _recorded_names(source)
    if recorded is None or not _PLATFORM.search(script) or _PYTHON.search(script):
        return ""
    here = {requirement.name for requirement in metadata.requires}
    if here == recorded:
        return ""
    return f"here it requires {_listed(here)}, where it was packed {_listed(recorded)}"


def _recorded_names(source: Path) -> set[str] | None:
    """Projects that the author's machine was told to require, None where that is not recorded."""
    folders = [info for info in (*source.glob("*.egg-info"), *source.glob("src/*.egg-info")) if info.is_dir()]
    if len(folders) != 1:
        return None
    return set(_names(_read(folders[0] / "requires.txt")))


def _names(text: str) -> Iterator[str]:
    """Names in a requires.txt: requirements, and ``[extra:marker]`` in between."""
    for line in text.splitlines():
        if line.strip() and not line.startswith("["):
            with suppress(RequirementError):
                yield parse_requirement(line.strip()).name


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
