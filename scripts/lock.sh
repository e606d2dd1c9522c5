#!/bin/sh
# Resolves pyproject.toml into the locks: versions with hashes for every platform, and no address of an index.
# Keeps what is locked where it still fits; arguments go to the resolver (--upgrade, --upgrade-package NAME).
set -eu
cd "$(dirname "$0")/.."
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
export UV_CUSTOM_COMPILE_COMMAND="make lock"

# lock <file> <extras> [options]
lock() {
    file=$1
    extras=$(printf -- '--extra %s ' $2)
    shift 2
    # shellcheck disable=SC2086  # a list of options
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url $extras "$@" \
        pyproject.toml --output-file "$file"
    echo "lock: $file"
}

lock requirements/bootstrap.lock "bootstrap" "$@"
lock requirements/dev.lock "infra workloads analysis local dev" "$@"
# What is tested is what is deployed: the other locks take the versions of dev.lock.
lock requirements/cpu.lock "workloads" --constraint requirements/dev.lock
lock requirements/gpu.lock "workloads analysis gpu" --constraint requirements/dev.lock "$@"
# The toolchain pip of `pulumi install` reads this name and place.
lock requirements.txt "infra" --constraint requirements/dev.lock

# Each third-party client in an environment of its own, for their packages do not fit together; so the linters of others.
for wanted in requirements/clients/*.in requirements/referees.in; do
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url "$@" \
        "$wanted" --output-file "${wanted%.in}.lock"
    echo "lock: ${wanted%.in}.lock"
done
