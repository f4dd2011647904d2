/** What the data path of this host has to hold, from what the cluster and this host know. Pure: order of input does not matter. */
import type { Mirror } from '@contiv/client';
import type { DatapathEndpoint, DatapathNetwork, DatapathOutside, DatapathPort, DesiredDatapath } from '@contiv/datapath';
import {
  DEFAULT_PRIVATE_SUBNET,
  type EndpointState,
  type HostState,
  type Ipv4,
  type Ipv6,
  type Mac,
  macOfIpv4,
  type NetworkState,
  networkKey,
  parseIpv4,
  parseIpv6,
  parseMac,
  parsePrefix4,
  parsePrefix6,
} from '@contiv/model';
import { groupNumber, Policies, UNKNOWN_GROUP } from './policy.js';
import { vniOf } from './segment.js';
import type { EndpointRecord, InfraRecord } from './state/records.js';

type Vtep = Ipv4 | Ipv6;

const parseVtep = (text: string): Vtep | undefined => parseIpv4(text) ?? parseIpv6(text);
const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Entry of an endpoint on another host; `undefined` while its network, or the way there, is unknown. */
export function remoteEndpoint(mirror: Mirror, host: string, endpoint: EndpointState): DatapathEndpoint | undefined {
  if (endpoint.host === host) return undefined;
  const network = mirror.networks.get(networkKey(endpoint.tenant, endpoint.network));
  const vni = network && vniOf(network);
  const there = mirror.hosts.get(endpoint.host);
  const vtep = parseVtep(there?.vtepIp ?? '');
  const way = network?.encap === 'vlan' ? ({ uplink: true } as const) : vtep && { vtep };
  const ip = parseIpv4(endpoint.ip);
  const mac = parseMac(endpoint.mac);
  if (vni === undefined || way === undefined || ip === undefined || mac === undefined) return undefined;
  const ip6 = endpoint.ip6 === undefined ? undefined : parseIpv6(endpoint.ip6);
  const group = groupNumber(mirror.groups, endpoint.tenant, endpoint.group, vni);
  const mtu = narrowerMtu(network?.encap ?? 'vxlan', there, mirror.hosts.get(host));
  const at = { ...way, ...(mtu === undefined ? {} : { mtu }) };
  return { vni, ip, ...(ip6 === undefined ? {} : { ip6 }), mac, group, at };
}

/** What fits on the way to an endpoint, where that is less than some network of this host can send. */
function narrowerMtu(encap: NetworkState['encap'], there: HostState | undefined, here: HostState | undefined): number | undefined {
  if (!there || !here) return undefined;
  const inTunnel = Math.min(there.mtu, here.mtu) - (parseIpv4(there.vtepIp) === undefined ? 70 : 50);
  const onVlan = Math.min(there.uplinkMtu ?? Number.POSITIVE_INFINITY, here.uplinkMtu ?? Number.POSITIVE_INFINITY);
  const way = encap === 'vlan' ? onVlan : inTunnel;
  const widest = Math.max(here.mtu - (parseIpv4(here.vtepIp) === undefined ? 70 : 50), here.uplinkMtu ?? 0);
  return way < widest ? way : undefined;
}

/** Port of a local endpoint; `undefined` while its network is unknown. */
export function portOf(mirror: Mirror, record: EndpointRecord): DatapathPort | undefined {
  const network = mirror.networks.get(networkKey(record.ref.tenant, record.ref.network));
  const vni = network && vniOf(network);
  const ip = parseIpv4(record.ip);
  if (vni === undefined || ip === undefined) return undefined;
  const ip6 = record.ip6 === undefined ? undefined : parseIpv6(record.ip6);
  const mac: Mac = parseMac(record.mac) ?? macOfIpv4(ip);
  const member = membership(mirror, record);
  const group = member === 'unread' ? UNKNOWN_GROUP : groupNumber(mirror.groups, record.ref.tenant, member.group, vni);
  const profile = member === 'unread' ? {} : profileOf(mirror, record.ref.tenant, member.group);
  return { name: record.port, vni, ip, ...(ip6 === undefined ? {} : { ip6 }), mac, group, ...profile };
}

/**
 * Which group an endpoint of this host is in. One that neither its network nor an option put into a group may have a label that does: where there
 * are groups, nothing passes until its container has been looked at (`unread`), for a moment after its start.
 */
export function membership(
  mirror: Mirror,
  { ref, endpointId, labelsRead }: EndpointRecord,
): { readonly group: string | undefined } | 'unread' {
  const known = mirror.endpoints.get(`${ref.network}.${ref.tenant}-${endpointId}`);
  const group = known ? known.group : ref.group;
  if (group !== undefined || labelsRead === true || known?.containerId !== undefined) return { group };
  const grouped = [...mirror.groups.values()].some((g) => g.tenant === ref.tenant && g.network === ref.network);
  return grouped ? 'unread' : { group };
}

/** What the network profile of a group says of its containers' packets. */
function profileOf(mirror: Mirror, tenant: string, group: string | undefined): Pick<DatapathPort, 'dscp' | 'limit'> {
  const name = group === undefined ? undefined : mirror.groups.get(`${tenant}:${group}`)?.netProfile;
  const profile = name === undefined ? undefined : mirror.netprofiles.get(`${tenant}:${name}`);
  if (!profile) return {};
  const { dscp, bitsPerSecond, burstBytes } = profile;
  return {
    ...(dscp === 0 ? {} : { dscp }),
    ...(bitsPerSecond === 0 ? {} : { limit: { bytesPerSecond: Math.ceil(bitsPerSecond / 8), burstBytes } }),
  };
}

const isRouting = (mirror: Mirror): boolean => mirror.global?.fwdMode === 'routing';

/** Keys of the networks this host has to know: those it has endpoints in, infra networks, and those that their tenants route to. */
export function participation(mirror: Mirror, locals: Iterable<EndpointRecord>): Set<string> {
  const keys = new Set<string>();
  const tenants = new Set<string>();
  for (const { stage, ref } of locals) {
    if (stage === 'deleting') continue;
    keys.add(networkKey(ref.tenant, ref.network));
    tenants.add(ref.tenant);
  }
  for (const network of mirror.networks.values()) {
    if (network.nwType !== 'infra') continue;
    keys.add(network.key);
    tenants.add(network.tenant);
  }
  if (isRouting(mirror)) for (const network of mirror.networks.values()) if (tenants.has(network.tenant)) keys.add(network.key);
  return keys;
}

/** The infra network that leads this host into the vxlan networks of its tenant (spec/contiv §6.7). */
const HOST_ACCESS = 'contivh1';

/** Port of this host's own address in an infra network. */
function infraPort(mirror: Mirror, record: InfraRecord): DatapathPort | undefined {
  const network = mirror.networks.get(record.key);
  const ip = parseIpv4(record.ip);
  const mac = parseMac(record.mac);
  if (network?.nwType !== 'infra' || ip === undefined || mac === undefined) return undefined;
  const leads = network.network === HOST_ACCESS && network.tenant === 'default' && network.encap === 'vxlan' && isRouting(mirror);
  const behind = [...mirror.networks.values()].filter((n) => n.tenant === network.tenant && n.nwType === 'data' && n.encap === 'vxlan');
  const prefixes = leads ? behind.map(({ subnet }) => `${subnet.address}/${subnet.length}`).sort(byText) : [];
  return {
    name: record.port,
    vni: vniOf(network),
    ip,
    mac,
    group: 0,
    host: { name: network.network, length: network.subnet.length, routes: prefixes.flatMap((text) => parsePrefix4(text) ?? []) },
  };
}

/** The network's entry, flooded to `floodTo`. */
function networkEntry(mirror: Mirror, network: NetworkState, floodTo: ReadonlySet<Vtep>): DatapathNetwork | undefined {
  const vni = vniOf(network);
  const subnet = parsePrefix4(`${network.subnet.address}/${network.subnet.length}`);
  if (subnet === undefined) return undefined;
  const subnet6 = network.subnet6 && parsePrefix6(`${network.subnet6.address}/${network.subnet6.length}`);
  return {
    vni,
    arpMode: mirror.global?.arpMode ?? 'proxy',
    subnet,
    ...(subnet6 === undefined ? {} : { subnet6 }),
    ...gateways(mirror, network),
    floodTo: [...floodTo].sort(byText),
  };
}

/**
 * Routed, a tenant's networks are one domain, and each is left by its own gateway. Bridged, nobody but us could be the gateway of a vxlan
 * network: it leads outside then, and to no other network. That of a vlan network is the physical network's.
 */
function gateways(mirror: Mirror, network: NetworkState): Pick<DatapathNetwork, 'domain' | 'gateway' | 'gateway6'> {
  if (!isRouting(mirror) && network.encap !== 'vxlan') return {};
  const gateway = network.gateway === undefined ? undefined : parseIpv4(network.gateway);
  const gateway6 = network.gateway6 === undefined ? undefined : parseIpv6(network.gateway6);
  const ours = { ...(gateway === undefined ? {} : { gateway }), ...(gateway6 === undefined ? {} : { gateway6 }) };
  return isRouting(mirror) ? { domain: network.tenant, ...ours } : ours;
}

/**
 * In place of the default where a host uses that already, as Docker does with its third network or so: a range that no network routes
 * (RFC 2544, benchmarks), and one more.
 */
const SPARE_SUBNETS = ['198.19.0.0/16', '198.18.0.0/16', '10.254.0.0/16'].flatMap((text) => parsePrefix4(text) ?? []);

/** The way outside: as soon as a network with a gateway of ours has somebody here. */
function outsideOf(
  mirror: Mirror,
  networks: readonly DatapathNetwork[],
  ports: readonly DatapathPort[],
  records: readonly EndpointRecord[],
): DatapathOutside | undefined {
  const privateSubnet = parsePrefix4(mirror.global?.pvtSubnet ?? '');
  const ipv6 = networks.some((network) => network.gateway6 !== undefined);
  if (privateSubnet === undefined || !(ipv6 || networks.some((network) => network.gateway !== undefined))) return undefined;
  const there = new Set(ports.map((port) => port.name));
  const published = records.flatMap(({ port, published: all }) =>
    there.has(port)
      ? (all ?? []).map(({ hostIp: given, ...rest }) => {
          const hostIp = given === undefined ? undefined : (parseIpv4(given) ?? parseIpv6(given));
          return { port, ...rest, ...(hostIp === undefined ? {} : { hostIp }) };
        })
      : [],
  );
  const spareSubnets = mirror.global?.pvtSubnet === DEFAULT_PRIVATE_SUBNET ? SPARE_SUBNETS : [];
  return { privateSubnet, spareSubnets, ipv6, published: published.sort((a, b) => a.hostPort - b.hostPort || byText(a.port, b.port)) };
}

/**
 * @param locals this host's endpoints. Those being created take part in their network already, so that it is in the data path before
 *   their interface is; their port comes with the interface.
 * Two endpoints with one address are what a mirror shows that lags behind: the local one is newer then. Only when netmaster itself has said
 * that the address is another's (`disputed`) the port is left out, and passes nothing. No interface of a container goes before the container.
 */
export function desiredDatapath(
  mirror: Mirror,
  host: string,
  locals: Iterable<EndpointRecord>,
  policies: Policies = new Policies(),
  infra: Iterable<InfraRecord> = [],
): DesiredDatapath {
  const records = [...locals];
  const takesPart = participation(mirror, records);
  const endpoints = new Map<string, DatapathEndpoint>();
  const flood = new Map<string, Set<Vtep>>();
  for (const endpoint of mirror.endpoints.values()) {
    const key = networkKey(endpoint.tenant, endpoint.network);
    if (!takesPart.has(key)) continue;
    const entry = remoteEndpoint(mirror, host, endpoint);
    if (!entry) continue;
    endpoints.set(`${entry.vni}|${entry.ip}`, entry);
    if (!('vtep' in entry.at)) continue;
    const vteps = flood.get(key) ?? new Set<Vtep>();
    flood.set(key, vteps.add(entry.at.vtep));
  }
  const ports: DatapathPort[] = [];
  for (const record of records) {
    if (record.stage !== 'ready') continue;
    const port = portOf(mirror, record);
    if (!port || record.disputed === true) continue;
    ports.push(port);
    const { name, dscp: _dscp, limit: _limit, ...addresses } = port;
    endpoints.set(`${port.vni}|${port.ip}`, { ...addresses, at: { port: name } });
  }
  for (const record of infra) {
    const port = infraPort(mirror, record);
    if (!port || endpoints.has(`${port.vni}|${port.ip}`)) continue;
    ports.push(port);
    const { name, host: _end, ...addresses } = port;
    endpoints.set(`${port.vni}|${port.ip}`, { ...addresses, at: { port: name } });
  }
  const networks: DatapathNetwork[] = [];
  for (const key of [...takesPart].sort(byText)) {
    const network = mirror.networks.get(key);
    const entry = network && networkEntry(mirror, network, flood.get(key) ?? new Set());
    if (entry) networks.push(entry);
  }
  const peers = new Set<Vtep>();
  for (const other of mirror.hosts.values()) {
    const vtep = other.name === host ? undefined : parseVtep(other.vtepIp);
    if (vtep !== undefined) peers.add(vtep);
  }
  const outside = outsideOf(mirror, networks, ports, records);
  return {
    ...(outside === undefined ? {} : { outside }),
    peers: [...peers].sort(byText),
    networks,
    endpoints: [...endpoints].sort(([a], [b]) => byText(a, b)).map(([, entry]) => entry),
    ports: ports.sort((a, b) => byText(a.name, b.name)),
    idle: records
      .filter((record) => record.stage !== 'deleting')
      .map((record) => record.port)
      .filter((name) => !ports.some((port) => port.name === name))
      .sort(byText),
    // Groups and networks nobody is in yet as well: a container must find its rules there.
    policy: policies.of(mirror, new Set([...takesPart].map((key) => key.slice(0, key.indexOf(':'))))),
  };
}
