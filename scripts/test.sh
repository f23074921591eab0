#!/usr/bin/env bash
# Run the whole test suite on all processors; sets up all it needs. Arguments go to pytest:
#   scripts/test.sh -k lock      scripts/test.sh -n 0 --pdb tests/unit/lock
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(scripts/setup.sh test)
exec "$bin/python" -m pytest -n auto --dist loadfile "$@"
