#!/bin/bash
# Makes a virtual environment with pip in it. Arguments: the Python to use, the directory.
# Does nothing when a working one is there. On a Debian without python3-venv it installs that package first.
set -euo pipefail

python=$1
venv=$2

if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "venv: Python 3.11 or newer is needed, and '$python' is not; try: make PYTHON=/path/to/python3.11 ..." >&2
    exit 1
fi
echo "venv: creating $venv with $("$python" --version)"
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    "$(dirname "$0")/deb.sh" python3-venv
fi
rm -rf "$venv"
"$python" -m venv "$venv"
