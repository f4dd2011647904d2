/** What several chapters show alike. */
import type { Json, Step } from './step.js';

export const MASTER = 'legacy-swarm-master';
export const WORKER = 'legacy-swarm-worker0';

export const ssh = (host: string): Step => ({ command: `vagrant ssh ${host}` });
export const exit: Step = { command: 'exit' };
export const dockerHost: Step = { command: 'export DOCKER_HOST=tcp://192.168.2.50:2375' };

/** A shell in a container; the commands after it are typed there. */
export const enter = (container: string): Step => ({ command: `docker exec -it ${container} /bin/sh` });

const echo = (ip: string, seq: number): string => `64 bytes from ${ip}: seq=${seq} ttl=64 time=<ms>`;
const statistics = (name: string, count: string): readonly string[] => [
  `--- ${name} ping statistics ---`,
  `${count} packets transmitted, ${count} packets received, 0% packet loss`,
  'round-trip min/avg/max = <n>/<n>/<n> ms',
];

export const ping3 = (name: string, ip: string): Step => ({
  command: `ping -c 3 ${name}`,
  shows: [`PING ${name} (${ip}): 56 data bytes`, echo(ip, 0), echo(ip, 1), echo(ip, 2), ...statistics(name, '3')],
});

/** A ping that goes on until its `^C`. */
export const pingOn = (name: string, ip: string, terminal?: 'second'): Step => ({
  command: `ping ${name}`,
  shows: [`PING ${name} (${ip}): 56 data bytes`, echo(ip, 0), echo(ip, 1), echo(ip, 2)],
  runsOn: true,
  ...(terminal === undefined ? {} : { terminal }),
});
export const pingOff = (name: string, terminal?: 'second'): Step => ({
  command: '^C',
  // All that were sent came back, however many they were.
  shows: [`--- ${name} ping statistics ---`, '<n> packets transmitted, <n> packets received, 0% packet loss'],
  ...(terminal === undefined ? {} : { terminal }),
});

export const run = (container: string, options: string): Step => ({
  command: `docker run -itd --name=${container} ${options} alpine /bin/sh`,
  shows: ['<id>'],
});

export const NETWORK_COLUMNS = [
  'Tenant Network Nw Type Encap type Packet tag Subnet Gateway IPv6Subnet IPv6Gateway Cfgd Tag',
  '------ ------- ------- ---------- ---------- ------- ------ ---------- ----------- ---------',
];

/** The networks of every engine that exist from the beginning, as swarm names them. */
export const OWN_NETWORKS = [MASTER, WORKER].flatMap((host) => [
  `<id> ${host}/bridge bridge local`,
  `<id> ${host}/host host local`,
  `<id> ${host}/none null local`,
]);

/** One of ours as `docker network inspect` shows it. */
export const inspection = (tenant: string, tag: string, containers: Readonly<Record<string, Json>>): Json => [
  {
    Name: tenant === 'default' ? 'contiv-net' : `contiv-net/${tenant}`,
    Id: '<id>',
    Scope: '@SCOPE@',
    Driver: 'netplugin',
    EnableIPv6: false,
    IPAM: { Driver: 'netplugin', Options: { network: 'contiv-net', tenant }, Config: [{ Subnet: '10.1.2.0/24' }] },
    Internal: false,
    Containers: containers,
    Options: { encap: 'vxlan', 'pkt-tag': tag, tenant },
    Labels: {},
  },
];
