"""New examples at each run, to find what nobody has thought of; the same where a change is judged by them.

No example has a deadline: a machine that is busy with something else makes no answer wrong.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("new", deadline=None)
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed" if os.environ.get("ENVFORGE_TEST_EXAMPLES") == "fixed" else "new")
