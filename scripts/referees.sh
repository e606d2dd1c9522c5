#!/bin/sh
# Sends what the stacks make through linters of others, which get an environment of their own under .referees/.
# Arguments go to the judge (--write FOLDER keeps templates and findings). Needs their packages, so it is no part of `make test`.
set -eu
cd "$(dirname "$0")/.."
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
    index=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$index" ]; then
        export UV_DEFAULT_INDEX="$index"
    fi
fi

lock=requirements/referees.lock
environment=.referees
wanted=$(cksum <"$lock")
if [ "$(cat "$environment/.locked" 2>/dev/null)" != "$wanted" ]; then
    .venv/bin/uv venv --quiet --clear --python .venv/bin/python "$environment"
    .venv/bin/uv pip sync --quiet --python "$environment/bin/python" --require-hashes "$lock"
    printf '%s\n' "$wanted" >"$environment/.locked"
fi

exec .venv/bin/python -m referees "$@"
