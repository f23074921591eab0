#!/usr/bin/env bash
# Lint, formatting and types.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(scripts/setup.sh lint)
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
