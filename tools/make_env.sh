#!/bin/sh
# Create the environment in $1 (default .venv) and install the locked dependencies into it.
# PYTHON=/path/to/python chooses the interpreter; otherwise the first of python3.11, python3.12,
# python3 that runs and is 3.11 or 3.12 is taken.
set -eu
venv=${1:-.venv}

version_of() {
    # a pyenv shim exists for every version and fails for those not selected: run it to know
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

fail() {
    printf 'tbscale: %s\n' "$1" >&2
    exit 2
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        version=$(version_of "$PYTHON")
        case "$version" in
            3.11 | 3.12) python=$PYTHON; return ;;
            "") fail "PYTHON=$PYTHON does not run; pass the path of a Python 3.11 or 3.12" ;;
            *) fail "PYTHON=$PYTHON is Python $version; tbscale needs 3.11 or 3.12 (Cellpose 3 holds numpy below 2.1)" ;;
        esac
    fi
    seen=
    for candidate in python3.11 python3.12 python3 python; do
        version=$(version_of "$candidate")
        case "$version" in
            3.11 | 3.12) python=$candidate; return ;;
            "") ;;
            *) seen="$seen $candidate is $version;" ;;
        esac
    done
    fail "no Python 3.11 or 3.12 found (${seen:- no python on PATH;}) install one, or run make with PYTHON=/path/to/python3.11"
}

if [ -x "$venv/bin/python" ]; then
    version=$(version_of "$venv/bin/python")
    case "$version" in
        3.11 | 3.12) ;;
        *) fail "$venv holds Python ${version:-that does not run}; tbscale needs 3.11 or 3.12: run make distclean, then this again" ;;
    esac
    printf '== environment: %s (Python %s), already there\n' "$venv" "$version"
else
    find_python
    printf '== environment: creating %s with %s (Python %s)\n' "$venv" "$python" "$version"
    { "$python" -m venv "$venv" && [ -x "$venv/bin/python" ]; } || {
        rm -rf "$venv"
        fail "$python -m venv failed; on Debian or Ubuntu install the package python$version-venv"
    }
fi
if "$venv/bin/python" - <<'PYTHON'
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

pins = [line.split("==") for line in Path("requirements.lock").read_text().splitlines() if "==" in line]
try:
    same = all(version(name).split("+")[0] == pin for name, pin in pins)
except PackageNotFoundError:
    same = False
raise SystemExit(0 if same else 1)
PYTHON
then
    printf '== environment: every version of requirements.lock is there\n'
else
    printf '== environment: installing requirements.lock (the first time takes minutes)\n'
    "$venv/bin/python" -m pip install --disable-pip-version-check -r requirements.lock
fi
"$venv/bin/python" -m pip install --disable-pip-version-check --quiet \
    --no-deps --no-build-isolation --editable .
printf '== environment: ready\n'
