#!/bin/sh
# Every static check. One line per check that passes, its own output where it fails; all of them run, and one failure fails the whole.
set -u
cd "$(dirname "$0")/.."
bin=.venv/bin
failed=0

check() {
    name=$1
    shift
    if output=$("$@" 2>&1); then
        printf '  ok    %s\n' "$name"
    else
        printf '  FAIL  %s: %s\n%s\n' "$name" "$*" "$output"
        failed=$((failed + 1))
    fi
}

check "format" $bin/ruff format --check .
check "lint rules" $bin/ruff check .
check "types" $bin/mypy
check "import layers" $bin/lint-imports
check "containers" $bin/hadolint docker/cpu.Dockerfile docker/gpu.Dockerfile
check "workflow security" $bin/zizmor --offline --quiet .github
check "workflow schema" $bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
check "dependabot schema" $bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
for script in scripts/*.sh; do
    check "$script" sh -n "$script"
done
check ".ci/run" bash -n .ci/run

if [ "$failed" -gt 0 ]; then
    printf 'lint: %s failed\n' "$failed" >&2
    exit 1
fi
