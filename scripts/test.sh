#!/usr/bin/env bash
# Sets everything up and runs the whole test suite; arguments are passed on to pytest. Safe to call again and again.
#
# The suite runs twice: on ai-edge-litert in .venv, and on tflite-runtime in .venv-tflite-runtime where there is a
# Python 3.11 (the last that engine has wheels for). Then the tests of the window run in .venv-window, with the OpenCV
# build that has windows, where there is a virtual X server (Debian: xvfb xdotool libgl1 libglib2.0-0 libsm6 libxext6).
# TEST_PARTS=litert runs the first part alone; the others are called tflite-runtime and window.
# Two tests run at a time; TEST_JOBS says how many, 0 for one after the other with their output.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh
parts=${TEST_PARTS:-litert tflite-runtime window}
jobs=(-n "${TEST_JOBS:-2}")
status=0

wants() { # wants PART WHAT-IS-MISSING: is this part asked for, and nothing missing?
    [[ " $parts " = *" $1 "* ]] || return 1
    [ -z "$2" ] || echo "== $1: skipped, it needs $2"
    [ -z "$2" ]
}

if wants litert ""; then
    make_venv .venv "$(need_python)"
    pip_install .venv -e '.[test,lint,optimize,onnx,remote]'
    echo "== litert: the suite on ai-edge-litert"
    .venv/bin/python -m pytest "${jobs[@]}" "$@" || status=$?
fi

python311=$(command -v python3.11 || true)
"${python311:-false}" -c '' 2>/dev/null && missing="" || missing="a python3.11"
if wants tflite-runtime "$missing"; then
    old=.venv-tflite-runtime
    make_venv $old "$python311"
    pip_install $old -e '.[tflite-runtime,test,evaluate]' flatbuffers
    # The extra leaves both engines in place. Here the newer one steps aside, as on 32-bit Raspberry Pi OS; its file
    # with the model schema still serves the factory of test models, and the folder on PYTHONPATH brings it back.
    aside=$PWD/$old/aside
    packages=$($old/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    if [ -e "$packages/ai_edge_litert/interpreter.py" ]; then
        rm -rf "$aside" && mkdir -p "$aside"
        mv "$packages/ai_edge_litert" "$aside/"
    fi
    echo "== tflite-runtime: the suite on tflite-runtime"
    TEST_TFLITE_SCHEMA=$aside/ai_edge_litert/schema_py_generated.py TEST_BOTH_ENGINES=$aside \
        $old/bin/python -m pytest "${jobs[@]}" "$@" || status=$?
fi

command -v Xvfb >/dev/null && command -v xdotool >/dev/null && missing="" || missing="Debian's packages xvfb and xdotool"
if wants window "$missing"; then
    make_venv .venv-window "$(need_python)"
    # Two builds of OpenCV share the module cv2, so the package comes without its dependencies here.
    pip_install .venv-window opencv-python numpy psutil imutils pytest hypothesis jsonschema
    echo "== window: the tests of the window, on a virtual X server"
    PYTHONPATH=$PWD .venv-window/bin/python -m pytest tests/outputs/test_window.py "$@" || status=$?
fi
exit $status
