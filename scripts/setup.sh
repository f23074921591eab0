#!/usr/bin/env bash
# Make (or bring up to date) the development environment in .cache/dev. Prints its bin folder.
#   scripts/setup.sh [GROUP]     dependency group of pyproject.toml: lint (default, has test), test
# Needs: Python 3.11 or newer with venv. PYTHON=/path/to/python overrides the one that is found.
set -euo pipefail
cd "$(dirname "$0")/.."
group=${1:-lint}
environment=$PWD/.cache/dev

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3 python; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            # The interpreter itself, not a version manager's shim.
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    echo "envforge needs Python 3.11 or newer; set PYTHON=/path/to/python" >&2
    return 1
}

stamp=$environment/.set-up-$group
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
    [ -x "$environment/bin/python" ] || "$(find_python)" -m venv "$environment" >&2
    # --group (PEP 735) needs pip 25.1.
    "$environment/bin/python" -m pip install --quiet --upgrade 'pip>=25.1' >&2
    "$environment/bin/python" -m pip install --quiet --editable '.[keyring,standalone-python]' --group "$group" >&2
    touch "$stamp"
fi
echo "$environment/bin"
