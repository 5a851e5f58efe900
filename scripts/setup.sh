#!/usr/bin/env bash
# Makes the virtual environment in the folder $1 with the pinned requirements. Prints to standard error, so that
# `make -s cluster-kubeconfig` prints a path and nothing else.
set -euo pipefail
venv=$1
exec 1>&2

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }

python=${PYTHON:-}
for candidate in $python python3 python3.14 python3.13 python3.12 python3.11; do
  if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    python=$candidate
    break
  fi
  python=
done

install_python() {
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "Installing python3 and python3-venv with apt-get"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3 python3-venv >/dev/null
  else
    echo "Python 3.11 or newer with its venv module is missing. Install it, for instance:" >&2
    echo "    sudo apt-get install python3 python3-venv" >&2
    exit 1
  fi
}

if [ -z "$python" ]; then
  install_python
  python=python3
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "$("$python" --version) is too old: Resumable Jobs needs Python 3.11 or newer. Name one with PYTHON=…" >&2
    exit 1
  }
fi
"$python" -c 'import ensurepip, venv' 2>/dev/null || install_python

say "Setting up $venv with $("$python" --version) (about half a minute the first time)"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
