#!/usr/bin/env bash
# Sets everything up in .venv and runs the main job; arguments are passed on. Safe to call again and again.
#
#   scripts/run.sh                                              the bundled model; a camera, or drawn shapes without one
#   scripts/run.sh --model detect.tflite                        camera 0
#   scripts/run.sh --model detect.tflite --source street.mp4
#   scripts/run.sh --desktop --model detect.tflite --display    with the OpenCV build that can open a window
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
was=$PWD
cd "$here"
. scripts/venv.sh

desktop=no
if [ "${1:-}" = --desktop ]; then
    desktop=yes
    shift
fi
# picamera2 comes from Debian's packages only, so a Pi's environment looks at the system's too.
options=()
[ -e /usr/lib/python3/dist-packages/picamera2 ] && options+=(--system-site-packages)
make_venv .venv "$(need_python)" "${options[@]}"
pip_install .venv -e .
# Whoever installed the headless build last, the tests for instance, has overwritten the module that both share.
if [ "$desktop" = yes ] && ! .venv/bin/python -c 'from edge_runtime.outputs.window import has_gui; exit(not has_gui())'; then
    echo "swapping the headless OpenCV for the one with windows"
    apt_install libgl1 libglib2.0-0 libsm6 libxext6 || true
    .venv/bin/python -m pip uninstall --quiet -y opencv-python-headless opencv-python
    .venv/bin/python -m pip install --quiet --disable-pip-version-check opencv-python
fi
cd "$was"
exec "$here/.venv/bin/python" -m edge_runtime "$@"
