"""``python -m envforge.cli``: the same as ``envforge``, with a Python of one's choice."""

from __future__ import annotations

import sys

from envforge.cli import main

if __name__ == "__main__":
    sys.exit(main())
