#!/usr/bin/env bash
# Run the whole test suite; sets up all it needs. Arguments go to pytest: scripts/test.sh -k lock
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(scripts/setup.sh test)
exec "$bin/python" -m pytest "$@"
