#!/usr/bin/env bash
# Installs what the project needs on Debian: packages, node modules, and with --modern the root of a current Docker Engine;
# with --tests also what only tests need.
# Does nothing, quickly, when nothing is missing. No daemon of the machine is started or left enabled by it.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
  # the lab's hosts and engines
  etcd-server etcd-client iproute2 iptables nftables util-linux procps tini busybox-static
  # the images
  iperf3 sockperf iputils-ping tcpdump dash
  # the data path: compiler, headers, libraries loaded at run time
  clang llvm libc6-dev linux-libc-dev libbpf-dev libbpf1 libnftables1
  # tests and the tutorial's commands
  jq curl ca-certificates ethtool ncat net-tools debootstrap xz-utils
)
# Docker CE brings a dockerd of its own and excludes Debian's.
if ! dpkg-query -W -f '${db:Status-Status}' docker-ce 2>/dev/null | grep -qx installed; then packages+=(docker.io); fi
daemons=(docker.service docker.socket containerd.service etcd.service)

modern_root=/var/lib/contiv-lab/engines/modern
modern_suite=forky
modern=no
for argument in "$@"; do
  case $argument in
    --modern) modern=yes ;;
    --tests)
      modern=yes
      packages+=(fish zsh bpftool)
      ;;
    -h | --help)
      printf 'Usage: sudo scripts/setup.sh [--modern] [--tests]\n  --modern  also prepare the engine of "bin/lab up --engine modern" (0.8 GB, about a minute)\n  --tests   that, bpftool, and the shells whose completion is tested\n'
      exit 0
      ;;
    *)
      printf 'setup: unknown argument %s; see scripts/setup.sh --help\n' "$argument" >&2
      exit 2
      ;;
  esac
done

say() { printf '%6s s  %s\n' "$SECONDS" "$*"; }
die() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}
need_root() { [ "$(id -u)" -eq 0 ] || die "$1 takes root: sudo scripts/setup.sh"; }

check_node() {
  command -v node >/dev/null && command -v npm >/dev/null || die "Node.js or npm is missing from $PATH; install Node 20.20 or newer there, or under sudo keep your own path: sudo env PATH=\"\$PATH\" make demo"
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 20) ? 0 : 1)' ||
    die "Node $(node --version) is too old; install 20.20 or newer"
}

missing_packages() {
  local installed
  # Fails for packages it has never heard of, which is what is being asked.
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
  comm -23 <(printf '%s\n' "${packages[@]}" | sort -u) <(sed -n 's/^installed //p' <<<"$installed" | sort -u)
}

# Packages may not start their daemons while they are installed; what decides that stands in one file, which is put back afterwards.
policy=/usr/sbin/policy-rc.d
forbid_daemons() {
  if [ -e "$policy" ] || [ -L "$policy" ]; then mv "$policy" "$policy.contiv-setup"; fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}
allow_daemons() {
  rm -f "$policy"
  if [ -e "$policy.contiv-setup" ] || [ -L "$policy.contiv-setup" ]; then mv "$policy.contiv-setup" "$policy"; fi
}

install_packages() {
  local missing=("$@") new=() unit
  need_root 'installing packages'
  command -v apt-get >/dev/null || die "this machine has no apt; install by hand: ${missing[*]}"
  say "installing ${#missing[@]} packages: ${missing[*]}"
  for unit in "${daemons[@]}"; do [ -e "/lib/systemd/system/$unit" ] || new+=("$unit"); done
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  local apt=(apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  trap allow_daemons EXIT
  trap 'exit 130' INT TERM
  forbid_daemons
  "${apt[@]}" update || say 'apt-get update failed; trying with the lists that are there'
  # --no-remove: rather fail than take away something the machine's owner has chosen.
  "${apt[@]}" install -y --no-install-recommends --no-remove "${missing[@]}" >/dev/null ||
    die 'apt could not install the packages above; its message says why'
  # A daemon that came with this installation is the lab's affair and does not start with the machine.
  if command -v systemctl >/dev/null; then
    for unit in "${new[@]}"; do
      [ ! -e "/lib/systemd/system/$unit" ] || systemctl disable --quiet "$unit" >/dev/null 2>&1 || true
    done
  fi
  allow_daemons
  trap - EXIT INT TERM
}

# Any answer will do: not every registry knows how to be pinged.
registry_answers() {
  local said
  said=$(timeout 40 npm ping --fetch-retries=1 --fetch-timeout=15000 --loglevel=error 2>&1) || grep -qE '^npm (error|ERR!) code E[0-9]{3}$' <<<"$said"
}

install_modules() {
  local from=()
  say 'installing node modules'
  # npm itself would try for many minutes, and say nothing.
  if ! registry_answers; then
    say 'the npm registry does not answer; trying with what npm has in its cache'
    from=(--offline)
  fi
  npm ci --no-audit --no-fund --loglevel=error "${from[@]}" ||
    die 'npm could not install the node modules; its message says why. Another registry, or a proxy, is set by npm config set registry|proxy|https-proxy URL'
  # Under sudo they belong to whom the repository belongs.
  chown -R --reference=. node_modules
  touch node_modules/.package-lock.json
}

# The root of Debian's next release, for its Docker Engine; the mirror is the one apt uses here.
prepare_modern() {
  local mirror next proxy
  need_root 'preparing the modern engine'
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' | head -n 1)
  [ -n "$mirror" ] || die "apt has no Debian archive among its sources (run apt-get update once); the modern engine is made of one"
  proxy=$(apt-config dump --format '%v%n' Acquire::http::Proxy)
  say "preparing the modern engine ($modern_suite), once"
  mkdir -p "$(dirname "$modern_root")"
  next=$modern_root.new
  rm -rf "$next"
  # A mount namespace of its own: whatever debootstrap mounts ends with it.
  if ! http_proxy=${proxy:-${http_proxy:-}} unshare --mount --propagation private debootstrap --variant=minbase \
    --include=docker.io,docker-cli,docker-compose,iptables,nftables,iproute2 \
    "$modern_suite" "$next" "$mirror" /usr/share/debootstrap/scripts/sid >"$modern_root.log" 2>&1; then
    tail -n 5 "$modern_root.log" >&2
    die "debootstrap failed; its log is $modern_root.log"
  fi
  rm -rf "$next"/var/cache/apt/archives/*.deb "$next"/var/lib/apt/lists/* "$next/usr/share/doc" "$next/usr/share/man"
  mkdir -p "$next/etc/docker" "$next/usr/lib/modules"
  touch "$next/etc/hosts" "$next/etc/resolv.conf"
  rm -rf "$modern_root"
  mv "$next" "$modern_root"
  rm -f "$modern_root.log"
}

check_node
missing=$(missing_packages)
# shellcheck disable=SC2086  # names of packages, one word each
[ -z "$missing" ] || install_packages $missing
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then install_modules; fi
if [ "$modern" = yes ] && [ ! -x "$modern_root/usr/sbin/dockerd" ]; then prepare_modern; fi
say 'everything needed is installed'
