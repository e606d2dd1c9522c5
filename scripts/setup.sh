#!/bin/sh
# Makes .venv hold exactly what the locks name; does nothing while locks and Python are those of the last time.
# PYTHON=<interpreter> chooses the interpreter (default: that of an existing .venv, else python3).
set -eu
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/.locked
locks="requirements/bootstrap.lock requirements/dev.lock"

fail() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

if [ -n "${PYTHON:-}" ]; then
    python=$PYTHON
elif "$venv/bin/python" -c '' 2>/dev/null; then
    python=$venv/bin/python
else
    python=python3
fi

version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) ||
    fail "\`$python\` does not run. Install Python 3.11 or newer, or name one: make setup PYTHON=/path/to/python3.13"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python 3.11 or newer is needed, \`$python\` is $version. Name another one: make setup PYTHON=/path/to/python3.13"

# The profile's compiled passes, half a second once for each state of their source. Without a C compiler NumPy does their work.
compile_passes() {
    if [ -n "${CC:-}" ] || command -v cc >/dev/null; then
        "$venv/bin/python" workloads/analysis/profile/passes_library.py >/dev/null || echo "setup: so the profile takes nearly twice as long on processors; all else is the same" >&2
    fi
}

# shellcheck disable=SC2086  # a list of files without blanks in their names
wanted="$version $(cat $locks scripts/setup.sh | cksum)"
if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    compile_passes
    exit 0
fi

"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "\`$python\` has no module venv or ensurepip. On Debian and Ubuntu: apt-get install python3-venv"

rm -f "$stamp"  # an interrupted installation must not look finished
installed=$("$venv/bin/python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null || echo none)
if [ "$installed" != "$version" ] || [ ! -x "$venv/bin/pip" ]; then
    echo "setup: creating $venv with Python $version"
    "$python" -m venv --clear "$venv"
fi

echo "setup: installing the locked packages (about 1.8 GB; the first time takes a minute or two)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock

# uv reads neither pip's settings nor, by default, the system's certificate store: networks with an own index or an own authority need both.
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
    index=${PIP_INDEX_URL:-$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$index" ]; then
        export UV_DEFAULT_INDEX="$index"
    fi
fi
# shellcheck disable=SC2086
"$venv/bin/uv" pip sync --quiet --python "$venv/bin/python" --require-hashes $locks

# The command of this checkout. The project itself is not installed: jobs and functions of the rehearsal, which run by the same interpreter,
# have to find what their image holds and nothing else.
cat >"$venv/bin/batchref" <<END
#!$(pwd)/$venv/bin/python
import sys

sys.path.insert(0, "$(pwd)")
from cli.app import main

main()
END
chmod +x "$venv/bin/batchref"

# Bytecode, once: without it every command and every job process pays seconds at its start wherever PYTHONDONTWRITEBYTECODE is set.
# Only the packages that the commands import, which is half of the time that all of them take.
(
    compiler=$(pwd)/$venv/bin/python
    cd "$("$compiler" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    "$compiler" -m compileall -q -j 0 pulumi pulumi_aws boto3 botocore s3transfer awscli moto werkzeug flask jinja2 yaml requests urllib3 \
        cryptography grpc google opentelemetry numpy pyarrow pydantic typer rich mpi4py
)

compile_passes
printf '%s\n' "$wanted" >"$stamp"
echo "setup: done ($venv, Python $version)"
