"""Renew the locks of the known-good stacks: ``python scripts/refresh_lockfiles.py [NAME…]``.

Resolves each manifest in ``lockfiles/`` with the newest versions and prints what moved. A stack that does
not resolve keeps its lock and fails the run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

LOCKFILES = Path(__file__).parent.parent / "lockfiles"


def main() -> int:
    """Renew the named stacks, or all."""
    known = sorted(folder.parent.name for folder in LOCKFILES.glob("*/pyproject.toml"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(known)}")
    names = parser.parse_args().names or known
    failed = [name for name in names if not _refresh(LOCKFILES / name)]
    if failed:
        print(f"not renewed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _refresh(folder: Path) -> bool:
    print(f"{folder.name}:", flush=True)
    command = [sys.executable, "-m", "envforge", "lock", "--upgrade", "--project", str(folder)]
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
