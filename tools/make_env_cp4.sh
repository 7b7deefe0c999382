#!/bin/sh
# Create the environment of Cellpose 4 in $1 (default .venv-cp4): it and the reference need
# versions of torch and numpy that exclude each other, so it cannot live in .venv. About 13 GB.
# PYTHON=/path/to/python chooses the interpreter; otherwise that of .venv is taken.
set -eu
venv=${1:-.venv-cp4}
python=${PYTHON:-.venv/bin/python}

fail() {
    printf 'tbscale: %s\n' "$1" >&2
    exit 2
}

if [ ! -x "$venv/bin/python" ]; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)
    case "$version" in
        3.11 | 3.12) ;;
        *) fail "$python is Python ${version:-that does not run}; run make env first, or pass PYTHON=/path/to/python3.11" ;;
    esac
    printf '== environment: creating %s with %s (Python %s)\n' "$venv" "$python" "$version"
    "$python" -m venv "$venv" || { rm -rf "$venv"; fail "$python -m venv failed"; }
fi
printf '== environment: installing Cellpose 4 into %s (the first time takes minutes)\n' "$venv"
"$venv/bin/python" -m pip install --disable-pip-version-check --quiet \
    torch==2.14.1 torchvision==0.29.1 cellpose==4.2.1.1
"$venv/bin/python" -c 'import cellpose.dynamics' || fail "$venv does not import cellpose; remove it and try again"
printf '== environment: ready\n'
