/** Texts of the files that make a namespace feel like a host. */
import { join } from 'node:path';
import type { HostPlan } from './hosts.js';
import { initMarker, MODERN_ROOT } from './names.js';
import type { LabOptions } from './options.js';
import { OUTSIDE } from './outside.js';
import { agentIdentity, ENGINE_HOLDER, engineRoot, type Programs } from './services.js';

export interface PlannedFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

const plain = (path: string, text: string): PlannedFile => ({ path, text, mode: 0o644 });
const script = (path: string, text: string): PlannedFile => ({ path, text: `#!/bin/sh\n${text}\n`, mode: 0o755 });

/** Programs of ours that a host's users type. */
const HOST_PROGRAMS = ['netctl', 'netmaster', 'netplugin', 'swarm'] as const;

/** Directory that comes first in a host's PATH. */
export const binDir = (host: HostPlan): string => join(host.dir, 'bin');
export const serviceDir = (host: HostPlan): string => join(host.dir, 'services');
export const runDir = (host: HostPlan): string => join(host.dir, 'run');
export const logDir = (host: HostPlan): string => join(host.dir, 'log');
export const initScript = (host: HostPlan): string => join(host.dir, 'init.sh');

export const hostPath = (host: HostPlan): string => `${binDir(host)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;

export function etcHosts(host: HostPlan, hosts: readonly HostPlan[]): string {
  const lines = ['127.0.0.1 localhost', '::1 localhost ip6-localhost ip6-loopback'];
  for (const h of hosts) lines.push(`${h.ip} ${h.name}${h.index === 0 ? ' netmaster' : ''}`);
  if (!hosts.some((h) => h.index === host.index)) lines.push(`${host.ip} ${host.name}`);
  return `${lines.join('\n')}\n`;
}

/** Files that all hosts rewrite when one joins or leaves. Written in place: the hosts see them through bind mounts. */
export const sharedFiles = (host: HostPlan, hosts: readonly HostPlan[]): PlannedFile[] => [
  plain(join(host.dir, 'etc', 'hosts'), etcHosts(host, hosts)),
];

export function hostFiles(lab: string, options: LabOptions, host: HostPlan, hosts: readonly HostPlan[], programs: Programs): PlannedFile[] {
  const node = `exec ${programs.node}`;
  const bundled = (name: string, before = '') =>
    script(join(binDir(host), name.replaceAll('-', '_')), `${before}${node} ${programs.root}/build/${name}.cjs "$@"`);
  return [
    ...sharedFiles(host, hosts),
    plain(join(host.dir, 'etc', 'hostname'), `${host.name}\n`),
    plain(join(host.dir, 'etc', 'resolv.conf'), `nameserver ${OUTSIDE.dns}\noptions timeout:1 attempts:1\n`),
    { ...script(initScript(host), initText(lab, options, host)), mode: 0o755 },
    script(join(binDir(host), 'service'), `${node} ${programs.root}/build/lab.cjs host-service ${host.dir} "$@"`),
    // The tutorial's commands begin with sudo; a minimal machine has none, and everybody in a host is root.
    script(
      join(binDir(host), 'sudo'),
      'while [ $# -gt 0 ]; do case "$1" in -[nEHSi]) shift;; --) shift; break;; -*) shift;; *=*) export "$1"; shift;; *) break;; esac; done\nexec "$@"',
    ),
    // cluster-health, which the tutorial uses, is a command of etcd's v2 API.
    script(join(binDir(host), 'etcdctl'), 'case " $* " in *" cluster-health "*) export ETCDCTL_API=2;; esac\nexec /usr/bin/etcdctl "$@"'),
    ...HOST_PROGRAMS.filter((name) => programs.built.has(name)).map((name) =>
      bundled(name, name === 'netplugin' ? ownAgent(lab, host) : ''),
    ),
    ...(options.engine === 'modern' ? modernCli(host) : []),
  ];
}

/** By these `netplugin status` and `netplugin teardown` find the host's agent without flags. */
const ownAgent = (lab: string, host: HostPlan): string =>
  Object.entries(agentIdentity(lab, host))
    .map(([name, value]) => `: "\${CONTIV_NETPLUGIN_${name}:=${value}}"; export CONTIV_NETPLUGIN_${name}\n`)
    .join('');

/** The modern engine's own client and its compose plugin, run by their own loader and libraries. */
function modernCli(host: HostPlan): PlannedFile[] {
  const run = (binary: string) =>
    `r=${engineRoot(host)}\nexec "$r"/lib64/ld-linux-*.so.* --library-path "$r/usr/lib/$(uname -m)-linux-gnu:$r/lib/$(uname -m)-linux-gnu" "$r${binary}" "$@"`;
  return [
    script(join(binDir(host), 'docker'), `export DOCKER_CONFIG=${join(host.dir, 'docker-cli')}\n${run('/usr/bin/docker')}`),
    script(join(host.dir, 'docker-cli', 'cli-plugins', 'docker-compose'), run('/usr/libexec/docker/cli-plugins/docker-compose')),
  ];
}

/**
 * What a host's first process does before it becomes init: its own /proc, /run, bpf file system and identity. Cgroups and /sys are the
 * machine's, because engines need the former and remounting the latter hides them.
 */
function initText(lab: string, options: LabOptions, host: HostPlan): string {
  const engine =
    options.engine === 'modern'
      ? `
# The modern engine's root, read-only, with the host's own file systems in it.
e=${engineRoot(host)}
mkdir -p $e ${host.dir}/docker
mount --bind ${MODERN_ROOT} $e
mount -o remount,bind,ro $e
for d in dev proc sys run; do mount --rbind /$d $e/$d; done
mount -t tmpfs -o mode=1777 tmpfs $e/tmp
mount -t tmpfs -o mode=755 tmpfs $e/mnt
mount --rbind /etc/hosts $e/etc/hosts
mount --rbind /etc/resolv.conf $e/etc/resolv.conf
[ ! -d /lib/modules ] || [ ! -d $e/usr/lib/modules ] || mount --rbind /lib/modules $e/usr/lib/modules
mount -t tmpfs -o mode=755 tmpfs $e/var/lib
mkdir -p $e${host.dir}/docker
mount --bind ${host.dir}/docker $e${host.dir}/docker
# A mount namespace with that root, kept by a process: in a mere chroot, docker exec would end up in the machine's root.
unshare --mount --propagation unchanged sh -euc "cd $e; pivot_root . mnt; mount --make-rslave /mnt; umount -l /mnt
  echo \\$\\$ >${ENGINE_HOLDER}; exec sleep infinity" &
until [ -s ${ENGINE_HOLDER} ]; do kill -0 $!; sleep 0.01; done`
      : '';
  return `set -eu
PATH=${hostPath(host)}
# Copies of other namespaces' handles would keep those alive for as long as this host lives.
while umount -l /run/netns/* 2>/dev/null; do :; done
while umount -l /run/netns 2>/dev/null; do :; done
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /run
# Mounts the engine makes below /run are seen through every view of it.
mount --make-shared /run
mkdir -p /run/docker/plugins /run/lock /run/netns
mount -t bpf -o mode=700 bpf /sys/fs/bpf
hostname ${host.name}
for f in hosts hostname resolv.conf; do
  t=$(readlink -m /etc/$f)
  mkdir -p "\${t%/*}"
  [ -e "$t" ] || : >"$t"
  mount --bind ${join(host.dir, 'etc')}/$f "$t"
done
# An engine of 20.10 keeps its identity there.
mkdir -p ${join(host.dir, 'etc', 'docker')}
[ ! -d /etc/docker ] || mount --bind ${join(host.dir, 'etc', 'docker')} /etc/docker${engine}
for d in all default; do
  [ ! -e /proc/sys/net/ipv6 ] || echo 0 >/proc/sys/net/ipv6/conf/$d/disable_ipv6
done
: >${join(runDir(host), 'ready')}
exec tini -- sh -c 'exec sleep infinity' ${initMarker(lab, host.name)}`;
}
