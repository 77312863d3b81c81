# Sourced by the other scripts: finds a Python, makes a virtual environment, installs what a list asks for once.

need_python() { # need_python: prints a python3 of 3.11 or later
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "edge-runtime needs Python 3.11 or later; install it, or name one: PYTHON=/path/to/python3 $0" >&2
    exit 2
}

as_root() { # as_root COMMAND...: runs it as root if that needs no password
    if [ "$(id -u)" = 0 ]; then "$@"; elif sudo -n true 2>/dev/null; then sudo "$@"; else return 1; fi
}

apt_install() { # apt_install PACKAGE...: installs what is missing, or says the line that would
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    echo "installing Debian packages: ${missing[*]}"
    if ! command -v apt-get >/dev/null || ! as_root true ||
        ! { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }; then
        echo "could not; do it yourself with: sudo apt install ${missing[*]}" >&2
        return 1
    fi
}

make_venv() { # make_venv FOLDER PYTHON [OPTION...]
    local folder=$1 python=$2
    shift 2
    [ -x "$folder/bin/python" ] && "$folder/bin/python" -c '' 2>/dev/null && return
    echo "making the virtual environment $folder"
    "$python" -c 'import ensurepip' 2>/dev/null || apt_install python3-venv || exit 2
    "$python" -m venv --clear "$@" "$folder"
}

pip_install() { # pip_install FOLDER ARGUMENT...: once for this pyproject.toml and these arguments
    local folder=$1 stamp
    shift
    stamp=$(sha256sum <pyproject.toml | cut -c 1-16)
    # The tests' list holds all that a run needs, so that "-e ." after it has nothing to do.
    grep -qxF "$stamp $*" "$folder/.installed" 2>/dev/null && return
    [ "$*" = "-e ." ] && grep -q "^$stamp -e" "$folder/.installed" 2>/dev/null && return
    echo "installing into $folder: $*"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
    echo "$stamp $*" >>"$folder/.installed"
}
