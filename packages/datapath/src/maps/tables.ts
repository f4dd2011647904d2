/** What each table has to hold for a desired state. Pure: the same state gives the same bytes, in whatever order it is told. */
import type { Ipv4, Ipv6, Mac, PolicySet, Vni } from '@contiv/model';
import { parseIpv4, segmentText, vlanOf } from '@contiv/model';
import type { DatapathEndpoint, DatapathNetwork, DatapathPort, DesiredDatapath } from '../contract.js';
import { CUT_OFF } from '../policy/tables.js';
import {
  addressText,
  DOMAIN_BIT,
  dnsClientBytes,
  endpointBytes,
  endpointKey,
  linkLocal,
  MAX_COPIES,
  macKey,
  macText,
  memberBytes,
  memberKey,
  networkBytes,
  portBytes,
  ROUTER_MAC,
  subnetKey,
  u32Key,
  vtepBytes,
  vtepText,
} from './layout.js';

/** A key's bytes as text that a Map can find. */
export type KeyText = string;
export const keyText = (key: Uint8Array): KeyText => Buffer.from(key).toString('latin1');
export const keyBytes = (key: KeyText): Buffer => Buffer.from(key, 'latin1');
export type Entries = Map<KeyText, Buffer>;

export const TABLES = [
  'rules',
  'rule_addresses',
  'rule_ports',
  'subjects',
  'peers',
  'members',
  'networks',
  'subnets',
  'endpoints',
  'dns_clients',
  'local_macs',
  'ports',
] as const;
export type TableName = (typeof TABLES)[number];
export type Tables = Readonly<Record<TableName, Entries>>;

/** Where a local port is: its interface and its number. */
export interface PortPlace {
  readonly ifindex: number;
  readonly index: number;
  /** The other end is in the host's own namespace. */
  readonly inHost?: boolean;
  /** Its packets wait for their turn in the shaper. */
  readonly limited?: boolean;
}

export const emptyTables = (): Record<TableName, Entries> => ({
  rules: new Map(),
  rule_addresses: new Map(),
  rule_ports: new Map(),
  subjects: new Map(),
  peers: new Map(),
  members: new Map(),
  networks: new Map(),
  subnets: new Map(),
  endpoints: new Map(),
  dns_clients: new Map(),
  local_macs: new Map(),
  ports: new Map(),
});

/** Entries of one endpoint: its addresses, and the link-local one that follows from its MAC where IPv6 is in use. */
export function endpointEntries(endpoint: DatapathEndpoint, place: PortPlace | undefined, domain: number): [Buffer, Buffer][] {
  const { vni, ip, ip6, mac, group, at } = endpoint;
  if ('port' in at && !place) return [];
  const value = endpointBytes({
    group,
    mac,
    vni,
    domain,
    at:
      'port' in at
        ? { ifindex: place?.ifindex ?? 0, port: place?.index ?? 0, inHost: place?.inHost === true, limited: place?.limited === true }
        : at,
  });
  return endpointKeys(vni, domain, mac, ip, ip6).map((key) => [key, value]);
}

/** Under what an endpoint stands: its addresses in its network, and in its domain those that are known beyond it. */
export function endpointKeys(vni: number, domain: number, mac: Mac, ip: Ipv4, ip6: Ipv6 | undefined): Buffer[] {
  const wide: (Ipv4 | Ipv6)[] = ip6 === undefined ? [ip] : [ip, ip6];
  const keys = (ip6 === undefined ? wide : [...wide, linkLocal(mac)]).map((address) => endpointKey(vni, address));
  return domain === vni ? keys : [...keys, ...wide.map((address) => endpointKey(domain, address))];
}

/** Entries of a network's gateway. */
function gatewayEntries({ vni, gateway, gateway6 }: DatapathNetwork, domain: number): [Buffer, Buffer][] {
  const value = endpointBytes({ group: 0, mac: ROUTER_MAC, vni, domain, at: 'router' });
  return [gateway, gateway6].flatMap((ip) =>
    ip === undefined ? [] : [...new Set([vni, domain])].map((key): [Buffer, Buffer] => [endpointKey(key, ip), value]),
  );
}

/**
 * Numbers of the domains on this host. They stay while the domain has a network that is known already, for connections are tracked by them.
 * @param current domain of a network as the kernel has it; `undefined` when the network is new to it.
 */
export function numberDomains(networks: readonly DatapathNetwork[], current: (vni: Vni) => number | undefined): ReadonlyMap<Vni, number> {
  const byName = new Map<string, DatapathNetwork[]>();
  for (const network of networks) {
    if (network.domain === undefined) continue;
    byName.set(network.domain, [...(byName.get(network.domain) ?? []), network]);
  }
  const taken = new Set<number>();
  const numbers = new Map<string, number>();
  for (const [name, members] of byName) {
    const held = members.map(({ vni }) => current(vni) ?? 0).find((number) => number >= DOMAIN_BIT && !taken.has(number));
    if (held === undefined) continue;
    taken.add(held);
    numbers.set(name, held);
  }
  let next = DOMAIN_BIT;
  for (const name of byName.keys()) {
    if (numbers.has(name)) continue;
    do next++;
    while (taken.has(next));
    numbers.set(name, next);
  }
  return new Map(networks.map(({ vni, domain }) => [vni, domain === undefined ? vni : (numbers.get(domain) ?? vni)]));
}

/** Entries of one local port, by table. */
export function portEntries(
  port: DatapathPort,
  place: PortPlace,
  domain: number,
): { ports: [Buffer, Buffer]; dns_clients: [Buffer, Buffer]; local_macs?: [Buffer, Buffer] } {
  return {
    ports: [
      u32Key(place.ifindex),
      portBytes({ ...port, index: place.index, domain, inHost: place.inHost === true, limited: place.limited === true }),
    ],
    dns_clients: [u32Key(place.index), dnsClientBytes(place.ifindex, port.ip, port.mac)],
    ...(vlanOf(port.vni) === undefined ? {} : { local_macs: [macKey(port.vni, port.mac), u32Key(place.ifindex)] }),
  };
}

/** `local` as the port's own endpoint. */
export const endpointOf = ({ name, host: _host, dscp: _dscp, limit: _limit, ...rest }: DatapathPort): DatapathEndpoint => ({
  ...rest,
  at: { port: name },
});

/**
 * @param places interfaces that exist, by name. What refers to one that does not is left out, with a sentence.
 * @param underlay6 VTEPs are IPv6.
 * @param domains number of the domain of each network; a network that is not in it is bridged only.
 * @param subjectOf what leads to the rules of a set. Their own tables change by differences (policy/sets.ts), and are empty here.
 */
export function buildTables(
  desired: DesiredDatapath,
  places: ReadonlyMap<string, PortPlace>,
  underlay6: boolean,
  domains: ReadonlyMap<Vni, number> = numberDomains(desired.networks, () => undefined),
  subjectOf: (set: PolicySet) => Buffer = () => CUT_OFF,
): { readonly tables: Tables; readonly failed: string[] } {
  const tables = emptyTables();
  const failed: string[] = [];
  const domainOf = (vni: Vni): number => domains.get(vni) ?? vni;
  const put = (table: TableName, key: Uint8Array, value: Buffer) => void tables[table].set(keyText(key), value);
  const fits = (vtep: Ipv4 | Ipv6, what: string): boolean => {
    const ok = (parseIpv4(vtep) === undefined) === underlay6;
    if (!ok) failed.push(`${what} has VTEP ${vtep}, but this host's VTEP is IPv${underlay6 ? 6 : 4}; give all hosts VTEPs of one kind`);
    return ok;
  };
  for (const [number, set] of desired.policy?.subjects ?? []) put('subjects', u32Key(number), subjectOf(set));

  for (const peer of desired.peers) if (fits(peer, 'another host')) put('peers', vtepBytes(peer), u32Key(1));

  const locals = new Map<number, number[]>();
  for (const port of desired.ports) {
    const place = places.get(port.name);
    if (!place) {
      failed.push(`interface ${port.name} of ${port.ip} in ${segmentText(port.vni)} is gone; restart its container`);
      continue;
    }
    const entries = portEntries(port, place, domainOf(port.vni));
    put('ports', ...entries.ports);
    put('dns_clients', ...entries.dns_clients);
    if (entries.local_macs) put('local_macs', ...entries.local_macs);
    locals.set(port.vni, [...(locals.get(port.vni) ?? []), place.ifindex]);
  }

  for (const network of desired.networks) {
    const flood = network.arpMode === 'flood';
    // In VLANs broadcasts of the physical network reach all containers, whatever the ARP mode; there are no other hosts to send copies to.
    const vlan = vlanOf(network.vni) !== undefined;
    const here = flood || vlan ? (locals.get(network.vni) ?? []).sort((a, b) => a - b) : [];
    const there = flood && !vlan ? network.floodTo.filter((v) => fits(v, segmentText(network.vni))).sort() : [];
    for (const [kind, count] of [
      ['containers', here.length],
      ['hosts', there.length],
    ] as const) {
      if (count > MAX_COPIES)
        failed.push(
          `${segmentText(network.vni)} has ${count} ${kind}, and broadcasts reach ${MAX_COPIES}; use the ARP mode proxy for networks this large`,
        );
    }
    for (const [i, ifindex] of here.entries()) put('members', memberKey(network.vni, false, i), memberBytes({ ifindex }));
    for (const [i, vtep] of there.entries()) put('members', memberKey(network.vni, true, i), memberBytes({ vtep }));
    const domain = domainOf(network.vni);
    const { gateway, gateway6, subnet, subnet6 } = network;
    const value = networkBytes({ flood, locals: here.length, remotes: there.length, domain, gateway, gateway6 });
    put('networks', u32Key(network.vni), value);
    for (const [key, entry] of gatewayEntries(network, domain)) put('endpoints', key, entry);
    if (domain === network.vni) continue;
    put('subnets', subnetKey(domain, subnet.address, subnet.length), u32Key(network.vni));
    if (subnet6) put('subnets', subnetKey(domain, subnet6.address, subnet6.length), u32Key(network.vni));
  }

  for (const endpoint of desired.endpoints) {
    const { at } = endpoint;
    if ('vtep' in at && !fits(at.vtep, `endpoint ${endpoint.ip} in ${segmentText(endpoint.vni)}`)) continue;
    const place = 'port' in at ? places.get(at.port) : undefined;
    for (const [key, value] of endpointEntries(endpoint, place, domainOf(endpoint.vni))) put('endpoints', key, value);
  }
  return { tables, failed };
}

const place = (number: number): string => (number < DOMAIN_BIT ? segmentText(number) : `routing domain ${number - DOMAIN_BIT}`);

/** An entry in words, for sentences about drift. */
export function describe(table: TableName, key: Buffer): string {
  switch (table) {
    case 'peers':
      return `peer ${vtepText(key)}`;
    case 'rules':
      return `rule of the policy set ${key.readUInt32LE(0)}`;
    case 'rule_addresses':
      return `addresses of the policy set ${key.readUInt32BE(4) >>> 2}`;
    case 'rule_ports':
      return `ports of the policy set ${key.readUInt32BE(4) >>> 2}`;
    case 'subjects':
      return `policy of group ${key.readUInt32LE(0)}`;
    case 'members':
      return `member ${key.readUInt32LE(8)} of the flood list of ${segmentText(key.readUInt32LE(0))}`;
    case 'networks':
      return `network with ${segmentText(key.readUInt32LE(0))}`;
    case 'subnets':
      return `subnet of ${addressText(key.subarray(8))} in ${place(key.readUInt32LE(4))}`;
    case 'endpoints':
      return `endpoint ${addressText(key.subarray(4))} in ${place(key.readUInt32LE(0))}`;
    case 'local_macs':
      return `MAC ${macText(key.subarray(4, 10))} in ${segmentText(key.readUInt32LE(0))}`;
    case 'dns_clients':
      return `DNS client ${key.readUInt32LE(0)}`;
    case 'ports':
      return `port with interface index ${key.readUInt32LE(0)}`;
  }
}
