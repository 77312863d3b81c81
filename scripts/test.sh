#!/usr/bin/env bash
# Sets everything up and runs the whole test suite; arguments are passed on to pytest. Safe to call again and again.
#
# The suite runs twice: on ai-edge-litert in .venv, and on tflite-runtime in .venv-tflite-runtime where there is a
# Python 3.11 (the last that engine has wheels for). EDGE_RUNTIME_TEST_ENGINES=litert runs the first alone.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh
engines=${EDGE_RUNTIME_TEST_ENGINES:-litert tflite-runtime}
status=0

if [[ " $engines " = *" litert "* ]]; then
    make_venv .venv "$(need_python)"
    pip_install .venv -e '.[test,lint]'
    echo "== the suite on ai-edge-litert"
    .venv/bin/python -m pytest "$@" || status=$?
fi

python311=$(command -v python3.11 || true)
if [[ " $engines " = *" tflite-runtime "* ]] && "${python311:-false}" -c '' 2>/dev/null; then
    old=.venv-tflite-runtime
    make_venv $old "$python311"
    pip_install $old -e '.[tflite-runtime,test]' flatbuffers
    # The extra leaves both engines in place. Here the newer one steps aside, as on 32-bit Raspberry Pi OS; its file
    # with the model schema still serves the factory of test models, and the folder on PYTHONPATH brings it back.
    aside=$PWD/$old/aside
    packages=$($old/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    if [ -e "$packages/ai_edge_litert" ]; then
        rm -rf "$aside" && mkdir -p "$aside"
        mv "$packages/ai_edge_litert" "$aside/"
    fi
    export EDGE_RUNTIME_TFLITE_SCHEMA=$aside/ai_edge_litert/schema_py_generated.py
    export EDGE_RUNTIME_BOTH_ENGINES=$aside
    echo "== the suite on tflite-runtime"
    $old/bin/python -m pytest "$@" || status=$?
else
    echo "== the suite on tflite-runtime: skipped, it needs a python3.11"
fi
exit $status
