"""``python -m envforge``."""

import sys

from envforge.cli import main

if __name__ == "__main__":
    sys.exit(main())
