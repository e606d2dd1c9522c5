#!/bin/sh
# Tests third-party clients against the AWS in memory, each client in an environment of its own under .clients/.
# Arguments go to pytest. Needs the packages of the clients, so it is no part of `make test`.
set -eu
cd "$(dirname "$0")/.."
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
    index=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$index" ]; then
        export UV_DEFAULT_INDEX="$index"
    fi
fi

for lock in requirements/clients/*.lock; do
    name=$(basename "$lock" .lock)
    environment=.clients/$name
    wanted=$(cksum <"$lock")
    if [ "$(cat "$environment/.locked" 2>/dev/null)" != "$wanted" ]; then
        .venv/bin/uv venv --quiet --clear --python .venv/bin/python "$environment"
        .venv/bin/uv pip sync --quiet --python "$environment/bin/python" --require-hashes "$lock"
        printf '%s\n' "$wanted" >"$environment/.locked"
        echo "clients: $name"
    fi
done

exec .venv/bin/python -m pytest clients "$@"
