#!/bin/sh
# Computes the kept digests (tests/workloads/analysis/digests.json) anew, with a NumPy of choice in an environment of its own.
# PYTHON=<interpreter> (default: python3), NUMPY=<version specifier> (default: >=2.3).
set -eu
cd "$(dirname "$0")/.."

environment=$(mktemp -d)
trap 'rm -rf "$environment"' EXIT
"${PYTHON:-python3}" -m venv "$environment"
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check "numpy${NUMPY:->=2.3}"
for threads in 1 2; do
    "$environment/bin/python" -m tests.workloads.analysis.portable --check --threads "$threads"
done
