/**
 * What is there besides the hosts: an "outside world" behind every host's default route, and behind the trunk a physical server and a router
 * on access ports. Each is a namespace that dies with the lab; the addresses of the outside exist nowhere else (RFC 5737, RFC 3849).
 */
import { macOf } from './mac.js';
import { type LabNames, namespaceOf } from './names.js';
import type { LabOptions } from './options.js';

export const STATIONS = ['world', 'server', 'router'] as const;
export type Station = (typeof STATIONS)[number];

export const stationNamespace = (names: LabNames, station: Station): string => namespaceOf(names.lab, station);

export const OUTSIDE = {
  /** The fabric's own, by which the hosts come. */
  gateway: '203.0.113.1',
  gateway6: '2001:db8:113::1',
  router: '203.0.113.2',
  router6: '2001:db8:113::2',
  web: '203.0.113.80',
  web6: '2001:db8:113::80',
  dns: '203.0.113.53',
  dns6: '2001:db8:113::53',
} as const;

/** Names the outside's DNS server knows; all others do not exist. */
export const OUTSIDE_NAMES: Readonly<Record<string, { readonly ip: string; readonly ip6: string }>> = Object.fromEntries(
  ['contiv.com', 'contiv.github.io', 'www.example.com'].map((name) => [name, { ip: OUTSIDE.web, ip6: OUTSIDE.web6 }]),
);

/** VLANs that have an access port: the switch tags what comes in by it and untags what goes out. The kernel program knows the same. */
export const ACCESS_VLANS = [
  { vlan: 112, server: '10.1.3.200', router: '10.1.3.254', net: '10.1.3.0', server6: 'fd00:1:3::200', router6: 'fd00:1:3::254' },
  { vlan: 113, server: '10.1.4.200', router: '10.1.4.254', net: '10.1.4.0', server6: 'fd00:1:4::200', router6: 'fd00:1:4::254' },
] as const;
type AccessVlan = (typeof ACCESS_VLANS)[number];

export const STATION_ADDRESS: Readonly<Record<Station, string>> = {
  world: OUTSIDE.web,
  server: ACCESS_VLANS[0].server,
  router: ACCESS_VLANS[0].router,
};

/** Fabric-side end of an access port. */
export const accessPort = (station: Station, { vlan }: AccessVlan): string => `${station}-v${vlan}`;
/** The other end: the server's first one is a plain machine's. */
const stationDevice = (station: Station, { vlan }: AccessVlan): string => (station === 'server' && vlan === 112 ? 'eth0' : `vlan${vlan}`);
const ACCESS_STATIONS = ['server', 'router'] as const;
/** The fabric's ends of all stations' cables. */
export const STATION_PORTS: readonly string[] = [
  'world-eth0',
  'router-eth0',
  ...ACCESS_VLANS.flatMap((access) => ACCESS_STATIONS.map((station) => accessPort(station, access))),
];
/** Alias of the outside's bridge once all stations are there. */
export const CABLED = 'contiv-lab:cabled';

export const STATION_SYSCTLS: readonly (readonly [string, string])[] = [
  ['net.ipv6.conf.all.disable_ipv6', '0'],
  ['net.ipv6.conf.default.disable_ipv6', '0'],
  // An address is asked for on its own VLAN only.
  ['net.ipv4.conf.all.arp_ignore', '1'],
];
export const ROUTER_SYSCTLS: readonly (readonly [string, string])[] = [
  ...STATION_SYSCTLS,
  ['net.ipv4.ip_forward', '1'],
  ['net.ipv6.conf.all.forwarding', '1'],
];

/** Run in the fabric, once; the stations' namespaces exist. */
export function stationCables(names: LabNames, options: LabOptions): string[] {
  const plug = (station: Station, port: string, device: string, bridge: string, mtu: number) => [
    `link add ${port} mtu ${mtu} type veth peer name ${device} address ${macOf(names.lab, `${station}/${device}`)} mtu ${mtu} netns ${stationNamespace(names, station)}`,
    `link set ${port} master ${bridge}`,
    `link set ${port} up`,
  ];
  return [
    'link add outside type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
    `addr add ${OUTSIDE.gateway}/24 dev outside`,
    `addr add ${OUTSIDE.gateway6}/64 dev outside nodad`,
    'link set outside up',
    ...plug('world', 'world-eth0', 'eth0', 'outside', 1500),
    ...plug('router', 'router-eth0', 'eth0', 'outside', 1500),
    ...ACCESS_VLANS.flatMap((access) =>
      ACCESS_STATIONS.flatMap((station) =>
        plug(station, accessPort(station, access), stationDevice(station, access), 'trunk', options.mtu),
      ),
    ),
  ];
}

/** Commands of tc that make an access port of a bridge's port, run in the fabric. `object`: build/lab-switch.bpf.o. */
export const accessPortFilters = (object: string): string[] =>
  ACCESS_VLANS.flatMap((access) =>
    ACCESS_STATIONS.flatMap((station) => {
      const port = accessPort(station, access);
      return [
        `qdisc add dev ${port} clsact`,
        `filter add dev ${port} ingress bpf da obj ${object} sec from_access/${access.vlan}`,
        `filter add dev ${port} egress bpf da obj ${object} sec to_access/${access.vlan}`,
      ];
    }),
  );

/** Run in a station's namespace after {@link stationCables}. */
export function stationLines(station: Station): string[] {
  const address = (ip: string, length: number, device: string) =>
    `addr add ${ip}/${length} dev ${device}${ip.includes(':') ? ' nodad' : ''}`;
  const access = (on: 'server' | 'router') =>
    ACCESS_VLANS.flatMap((vlan) => {
      const device = stationDevice(on, vlan);
      return [address(vlan[on], 24, device), address(vlan[`${on}6`], 64, device), `link set ${device} up`];
    });
  switch (station) {
    case 'world':
      return [
        'link set lo up',
        ...[OUTSIDE.web, OUTSIDE.dns].map((ip) => address(ip, 24, 'eth0')),
        ...[OUTSIDE.web6, OUTSIDE.dns6].map((ip) => address(ip, 64, 'eth0')),
        'link set eth0 up',
        // It knows the way back to the VLANs, and everybody else through the hosts' gateway.
        ...ACCESS_VLANS.map(({ net }) => `route add ${net}/24 via ${OUTSIDE.router}`),
        `route add default via ${OUTSIDE.gateway}`,
        `route add default via ${OUTSIDE.gateway6}`,
      ];
    case 'server':
      return ['link set lo up', ...access('server'), `route add default via ${ACCESS_VLANS[0].router}`];
    case 'router':
      return [
        'link set lo up',
        ...access('router'),
        address(OUTSIDE.router, 24, 'eth0'),
        address(OUTSIDE.router6, 64, 'eth0'),
        'link set eth0 up',
        `route add default via ${OUTSIDE.gateway}`,
      ];
  }
}
