"""Two floors name the marker of a prefix: one name."""

from __future__ import annotations

from envforge.environment.spec import PREFIX_MARKER
from envforge.link.conda_prefix import MARKER


def test_it_is_the_same() -> None:
    assert PREFIX_MARKER == MARKER
