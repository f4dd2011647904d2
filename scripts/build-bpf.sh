#!/usr/bin/env bash
# Compiles the kernel programs: the data path's, and the lab's switch. Called by make when a source is newer than the objects.
# build-bpf.sh OUT [CLANG_FLAG...] compiles another version of the data path's beside the usual one.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  mkdir -p "$(dirname "$2")"
  # The multiarch folder holds asm/types.h, which clang does not look for when it compiles for bpf. -g gives BTF, which maps need.
  clang -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror "-I/usr/include/$(uname -m)-linux-gnu" "${@:3}" -c "$1" -o "$2.new"
  llvm-strip -g "$2.new"
  mv "$2.new" "$2"
}
datapath=packages/datapath/bpf/contiv.bpf.c
trial=packages/datapath/bpf/trial.bpf.c
if [ $# -gt 0 ]; then
  compile "$datapath" "$@"
  compile "$trial" "${1%.bpf.o}-trial.bpf.o" "${@:2}"
else
  compile packages/lab/bpf/switch.bpf.c build/lab-switch.bpf.o
  # Last, for make looks at contiv.bpf.o.
  compile "$trial" build/contiv-trial.bpf.o
  compile "$datapath" build/contiv.bpf.o
fi
