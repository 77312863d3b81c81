#!/usr/bin/env bash
# Checks form and types: ruff format, ruff check, mypy strict. "scripts/lint.sh --fix" mends what can be mended.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh
make_venv .venv "$(need_python)"
pip_install .venv -e '.[test,lint,optimize,onnx,remote]'
if [ "${1:-}" = --fix ]; then
    .venv/bin/ruff format .
    .venv/bin/ruff check --fix .
else
    .venv/bin/ruff format --check .
    .venv/bin/ruff check .
fi
.venv/bin/mypy
