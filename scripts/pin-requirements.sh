#!/usr/bin/env bash
# Resolves pyproject.toml into requirements/*.txt: exact versions with hashes for every Python that we support, and no index address.
set -euo pipefail
bin=$1
"$bin/pip" install --quiet uv
pin() {
  "$bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
    --no-annotate --custom-compile-command "make requirements" "$@"
}
pin pyproject.toml requirements/build.in --extra dev --extra examples --extra bench --output-file requirements/dev.txt
pin pyproject.toml --extra service --extra controller --extra postgresql --extra mysql --extra redis --extra encryption --output-file requirements/image.txt
