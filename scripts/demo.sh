#!/usr/bin/env bash
# The main job on real input, from nothing: a small machine-learning project that adds its packages
# from PyPI, locks them for four platforms, syncs the one it is on, fits a model and draws a plot.
#   scripts/demo.sh          scikit-learn, pandas, matplotlib
#   scripts/demo.sh torch    the same with PyTorch (several GB)
#   scripts/demo.sh conda    conda and PyPI together: a channel is made of this machine's own software
#                            (Python, a C library, a program), because conda-forge cannot be had everywhere
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

if [ "${1:-}" = conda ]; then
    checkout=$OLDPWD
    say "A conda channel, made of what this machine has"
    "$bin/python" "$checkout/scripts/build_channel.py" "$project/channel"
    say "A new project in $project"
    step init --python "$("$bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" --platform linux-64
    sed -i 's|^\[tool.envforge\]|&\nchannels = ["./channel"]|' pyproject.toml
    step add --conda greet conda-hello
    step add pandas
    say "The manifest records what was asked for:"
    cat pyproject.toml
    step tree --depth 1
    step why libgreet
    step run sh -c 'greet && conda-hello && python -c "import pandas, sys; print(pandas.__version__, sys.base_prefix)"'
    say "Done: $project"
    exit
elif [ "${1:-}" = torch ]; then
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
