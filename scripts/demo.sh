#!/usr/bin/env bash
# The main job on real input, from nothing: a small machine-learning project that adds its packages
# from PyPI, locks them for four platforms, syncs the one it is on, fits a model and draws a plot.
#   scripts/demo.sh          scikit-learn, pandas, matplotlib
#   scripts/demo.sh torch    the same with PyTorch (several GB)
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(scripts/setup.sh test)
envforge=$bin/envforge
examples=$PWD/scripts/demo
project=$(mktemp -d "${TMPDIR:-/tmp}/envforge-demo.XXXXXX")
# The folder stays, so that you can look around.
cd "$project"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
step() { say "\$ envforge $*"; "$envforge" "$@"; }

if [ "${1:-}" = torch ]; then
    packages=(torch pandas matplotlib)
    script=fit_torch.py
else
    packages=(scikit-learn pandas matplotlib)
    script=fit_sklearn.py
fi

say "A new project in $project"
step init
step add "${packages[@]}"

say "The manifest records what was asked for:"
cat pyproject.toml
say "The lock has everything, for every platform:"
head -n 40 envforge.lock
echo "… $(wc -l < envforge.lock) lines"

step sync
step tree --depth 1
step run python "$examples/$script" "$project/plot.png"
say "Done: $project/plot.png"
