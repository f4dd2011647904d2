#!/usr/bin/env bash
# One interleaved benchmark run on a lab of its own; arguments go to bin/bench (see docs/benchmarks.md for the last results).
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { printf 'benchmarks make namespaces and engines, which takes root: sudo make bench\n' >&2; exit 1; }
scripts/setup.sh
make --no-print-directory build
namespace=contiv-bench-$$
inside() { nsenter --net="/run/netns/$namespace" env CONTIV_LAB=bench "$@"; }
cleanup() {
  inside bin/lab down --quiet || true
  ip netns del "$namespace" || true
}
ip netns add "$namespace"
trap cleanup EXIT
trap 'exit 130' INT TERM
ip -n "$namespace" link set lo up
inside bin/lab up --store etcd --vlan-uplinks eth2,eth3
inside bin/bench "$@"
