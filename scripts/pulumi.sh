#!/bin/sh
# Says in which folder the Pulumi CLI is, with its host for Python, for the tests that hold our engine to it:
#   1. the one on PATH;
#   2. the one that an earlier call has built;
#   3. one built now, where Go is, from the modules that scripts/pulumi/*/go.sum pin: four minutes on two cores, once. --ready leaves this out.
# Where there is none it says why and how to get one, and exits with 3.
set -eu
cd "$(dirname "$0")/pulumi"

fail() {
    printf 'pulumi.sh: %s\n' "$1" >&2
    exit 3
}

case "${1:-}" in "" | --ready) ;; *) fail "unknown argument $1; only --ready is known" ;; esac

if found=$(command -v pulumi) && command -v pulumi-language-python >/dev/null; then
    dirname "$found"
    exit 0
fi

# shellcheck disable=SC2012  # names without blanks
pins=$(cat ../pulumi.sh cli/go.mod cli/go.sum cli/python/*.go host/go.mod host/go.sum | cksum | tr ' ' '-')
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/batch-reference
bin=$cache/pulumi-$pins
if [ -x "$bin/pulumi" ]; then
    printf '%s\n' "$bin"
    exit 0
fi
[ "${1:-}" != --ready ] || fail "no Pulumi CLI on PATH, and none is built; \`make pulumi\` builds one where Go is, or install it: https://www.pulumi.com/docs/install/"
command -v go >/dev/null || fail "no Pulumi CLI on PATH, and no Go to build one; install either: https://www.pulumi.com/docs/install/ or https://go.dev/dl/"

mkdir -p "$cache"
partial=$(mktemp -d "$cache/partial.XXXXXX")
trap 'rm -rf "$partial"' EXIT
trap 'exit 1' INT TERM HUP
{
    (cd cli && go build -mod=readonly -o "$partial/pulumi" github.com/pulumi/pulumi/pkg/v3/cmd/pulumi)
    # The host's newest module is not served by the module proxy; this one runs the present SDK, with the SDK's present launcher beside it.
    # The program of cli/python stands before it and writes the code of an import, which it cannot.
    (cd cli && go build -mod=readonly -o "$partial/pulumi-language-python" ./python)
    (cd host && go build -mod=readonly -o "$partial/pulumi-language-python-older" github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python)
    sdk=$(cd cli && go list -mod=readonly -m -f '{{.Dir}}' github.com/pulumi/pulumi/sdk/v3)
    cp "$sdk/python/cmd/pulumi-language-python-exec" "$partial/"
} >&2
chmod 755 "$partial" "$partial/pulumi-language-python-exec"
# two builds at once make the same, and the first to be ready stays
mv "$partial" "$bin" 2>/dev/null || [ -x "$bin/pulumi" ]
rm -rf "$bin"/partial.*
printf '%s\n' "$bin"
