"""``python benchmarks/run.py``: the same as ``python -m benchmarks``, from any folder."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder is what Python put there; its modules are imported by their package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    runpy.run_module("benchmarks", run_name="__main__", alter_sys=True)
