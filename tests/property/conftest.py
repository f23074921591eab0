"""New examples at each run, to find what nobody has thought of; the same where a change is judged by them."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("fixed", derandomize=True)
if os.environ.get("ENVFORGE_TEST_EXAMPLES") == "fixed":
    settings.load_profile("fixed")
