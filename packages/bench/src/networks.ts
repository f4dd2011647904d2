/** The networks that suites compare, on both hosts: ours (VXLAN, without and with a gateway, and VLAN), Docker's overlay and a bridge. */
import { docker, eventually, MASTER, netctl, onHost, WORKER } from './lab.js';

export const OURS = 'bench-net';
export const OURS_OUT = 'bench-gateway';
export const VLAN = 'bench-vlan';
export const OVERLAY = 'bench-overlay';
export const BRIDGE = 'bench-bridge';

/** Makes what is missing of them. */
export async function ensureNetworks(): Promise<void> {
  const on = (host: string, network: string) => docker(host, 'network', 'inspect', network);
  const missing = (network: string) =>
    on(MASTER, network).then(
      () => false,
      () => true,
    );
  if (await missing(OURS)) await netctl('net', 'create', '--subnet=10.77.0.0/24', OURS);
  if (await missing(OURS_OUT)) await netctl('net', 'create', '--subnet=10.75.0.0/24', '--gateway=10.75.0.254', OURS_OUT);
  if (await missing(VLAN)) await netctl('net', 'create', '-e', 'vlan', '-p', '112', '--subnet=10.78.0.0/24', VLAN);
  if (await missing(OVERLAY)) await docker(MASTER, 'network', 'create', '-d', 'overlay', '--attachable', '--subnet=30.77.0.0/24', OVERLAY);
  if (await missing(BRIDGE)) await docker(MASTER, 'network', 'create', BRIDGE);
  for (const host of [MASTER, WORKER])
    for (const network of [OURS, OURS_OUT, VLAN, OVERLAY]) await eventually(`${network} on ${host}`, () => on(host, network));
}

/** Removes them with all that ran in them, and the servers on the second host. */
export async function removeNetworks(): Promise<void> {
  for (const host of [MASTER, WORKER]) {
    const names = (await docker(host, 'ps', '-aq', '--filter', 'ancestor=bench')).split('\n').filter(Boolean);
    if (names.length > 0) await docker(host, 'rm', '-f', ...names);
    await docker(host, 'network', 'rm', BRIDGE, OVERLAY).catch(() => undefined);
  }
  await onHost(
    WORKER,
    'sh',
    '-c',
    'for p in $(pidof iperf3 sockperf); do [ "$(readlink /proc/$p/ns/net)" = "$(readlink /proc/self/ns/net)" ] && kill $p; done; true',
  );
  for (const network of [OURS, OURS_OUT, VLAN]) await netctl('net', 'rm', network).catch(() => undefined);
}
