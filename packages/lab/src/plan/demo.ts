import type { HostPlan } from './hosts.js';

/** Two tenants, one and the same subnet. `docker` is the network's name on the engines. */
export const NETWORKS = [
  { name: 'contiv-net', tenant: 'default', subnet: '10.1.2.0/24', docker: 'contiv-net' },
  { name: 'contiv-net', tenant: 'blue', subnet: '10.1.2.0/24', docker: 'contiv-net/blue' },
] as const;

export interface Container {
  readonly name: string;
  /** Short name of its host. */
  readonly host: 'master' | 'worker0';
  readonly tenant: string;
  /** Docker network. */
  readonly network: string;
}

export const CONTAINERS: readonly Container[] = [
  { name: 'contiv-c1', host: 'master', tenant: 'default', network: 'contiv-net' },
  { name: 'contiv-c2', host: 'worker0', tenant: 'default', network: 'contiv-net' },
  { name: 'contiv-blue-c1', host: 'master', tenant: 'blue', network: 'contiv-net/blue' },
  { name: 'contiv-blue-c2', host: 'worker0', tenant: 'blue', network: 'contiv-net/blue' },
];

/** What runs where, and what to try; no line is longer than 78 columns. `addresses`: container → address. */
export function demoSummary(hosts: readonly HostPlan[], addresses: ReadonlyMap<string, string>): string {
  const widths = [22, 16, 12, 12];
  const row = (cells: readonly string[]) => `  ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('')}`.trimEnd();
  const [first] = hosts;
  const lines = [
    '',
    'What runs where',
    row(['HOST', 'CONTAINER', 'ADDRESS', 'NETWORK', 'TENANT']),
    ...hosts.flatMap((host) =>
      CONTAINERS.filter((c) => host.name.endsWith(`-${c.host}`)).map((c, i) =>
        row([i === 0 ? host.name : '', c.name, addresses.get(c.name) ?? '?', c.network.split('/')[0] ?? '', c.tenant]),
      ),
    ),
    '',
    ...hosts.map((host) => row([host.name, `engine ${host.engine}`])),
    ...(first ? [row(['all engines as one', `tcp://${first.ip}:2375`])] : []),
    ...hosts.filter((host) => host.isMaster).map((host) => row(['netmaster', `http://${host.ip}:9999`])),
    '',
    'Same subnet, same addresses, and neither tenant sees the other. Try:',
    '  sudo bin/lab ssh master                 a shell on the first host; there:',
    '    netctl net ls -a                      networks of all tenants',
    '    docker network inspect contiv-net     as Docker sees one',
    '    docker exec -it contiv-c1 ping contiv-c2',
    '    netctl net create --subnet=10.9.0.0/24 my-net',
    '    docker run --rm -it --net=my-net alpine sh',
    ...(first ? [`${`  docker -H tcp://${first.ip}:2375 ps`.padEnd(42)}containers of all hosts`] : []),
    '  sudo bin/lab status                     hosts, services, processes',
    '  sudo bin/lab service worker0 netplugin kill',
    '                                          pings go on without the agent',
    '  sudo bin/lab down                       remove all of it',
    '',
  ];
  return `${lines.join('\n')}\n`;
}
