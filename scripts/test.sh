#!/usr/bin/env bash
# Installs, builds, lints and runs all tests; the last line of standard output is the total: "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { printf 'the tests make namespaces and engines, which takes root: sudo make test\n' >&2; exit 1; }

reports=build/reports
failed_steps=()
step() {
  printf '\n== %s\n' "$1"
  "${@:2}" && return 0
  failed_steps+=("$1")
  return 1
}

# Tests send to addresses of the lab. In a network namespace of their own, none of that can leave by the machine's uplink.
namespace=contiv-test-$$
cleanup() {
  [ ! -x bin/lab ] || CONTIV_LAB=test inside bin/lab down --quiet >/dev/null 2>&1
  ip netns del "$namespace" 2>/dev/null
}
inside() { nsenter --net="/run/netns/$namespace" "$@"; }
project() {
  inside env CONTIV_LAB=test node_modules/.bin/vitest run --project "$1" --passWithNoTests \
    --reporter=default --reporter=json --outputFile.json="$reports/$1.json"
}

step setup scripts/setup.sh --tests &&
  rm -rf "$reports" && mkdir -p build &&
  step build make --no-print-directory build &&
  {
    mkdir -p "$reports"
    step lint make --no-print-directory lint
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    ip netns add "$namespace" && ip -n "$namespace" link set lo up
    for name in unit kernel hosts; do step "$name tests" project "$name"; done
  }
printf '\n'
node scripts/sum-tests.mjs "$reports" unit,kernel,hosts "${failed_steps[@]}"
