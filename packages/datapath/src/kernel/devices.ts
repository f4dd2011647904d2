/** The two devices every host has: the tunnel's end and the DNS service's. Each is made with its program on it before it is up. */
import { readFileSync } from 'node:fs';
import { type Ipv4, ipv4FromNumber, ipv4Value, type Mac, macOfIpv4, type Prefix4, parseIpv4 } from '@contiv/model';
import { isRefused, type Link, type Netlink } from '@contiv/netlink';
import { DNS_SERVICE_IP } from '../contract.js';
import { DatapathError, reasonOf } from '../errors.js';
import {
  aliasOf,
  DNS_DEVICE,
  DNS_PEER,
  FILTER,
  isOurs,
  OUTSIDE_DEVICE,
  OUTSIDE_PEER,
  PORT_GROUP,
  UNDERLAY_FILTER,
  vxlanDevice,
} from './names.js';
import type { Program, ProgramName } from './programs.js';

export interface Device {
  readonly ifindex: number;
}

/** Link-layer address that answers for the DNS service. */
export function dnsMac(): Mac {
  const ip = parseIpv4(DNS_SERVICE_IP);
  if (ip === undefined) throw new RangeError(DNS_SERVICE_IP);
  return macOfIpv4(ip);
}

const filterOf = (name: ProgramName) => (name === 'from_underlay' ? UNDERLAY_FILTER : FILTER);

/** Puts a program on a hook unless it sits there already; answers whether it had to. */
export function attach(netlink: Netlink, link: number, hook: 'ingress' | 'egress', name: ProgramName, program: Program): boolean {
  const filter = filterOf(name);
  const place = { link, hook, ...filter };
  const held = netlink.filters(link, hook).find((f) => f.priority === filter.priority && f.handle === filter.handle);
  if (held?.programId === program.id) return false;
  if (!held) netlink.addClsact(link);
  netlink.setFilter(place, program.fd, `contiv-${name}`);
  return true;
}

/** Takes a program off the ingress of all interfaces that are not ours but those wanted; answers the indexes of those that had it. */
export function release(netlink: Netlink, name: ProgramName, wanted: readonly string[]): number[] {
  const released: number[] = [];
  const { priority, handle } = filterOf(name);
  for (const link of netlink.links()) {
    if (link.group === PORT_GROUP || wanted.includes(link.name)) continue;
    const held = netlink.filters(link.index, 'ingress');
    if (!held.some((f) => f.priority === priority && f.handle === handle && f.name === `contiv-${name}`)) continue;
    try {
      netlink.deleteFilter({ link: link.index, hook: 'ingress', priority, handle });
      const others = (['ingress', 'egress'] as const).some((hook) => netlink.filters(link.index, hook).length > 0);
      if (!others) netlink.deleteClsact(link.index);
    } catch (error) {
      // It went meanwhile.
      if (!isRefused(error, 'ENODEV')) throw error;
    }
    released.push(link.index);
  }
  return released;
}

/** Throws when an interface with one of our names is somebody else's. */
export function foreign(link: Link, instance: string): void {
  if (isOurs(link.alias, instance)) return;
  throw new DatapathError(
    `an interface ${link.name} exists that is not of the data path "${instance}"${link.alias === '' ? '' : ` (${link.alias})`}; remove it: ip link del ${link.name}`,
  );
}

/** @returns sentences about what had to be repaired; `made` when the device is new. */
export function ensureTunnel(
  netlink: Netlink,
  options: { readonly port: number; readonly instance: string; readonly mtu: number },
  program: Program | undefined,
): { readonly ifindex: number; readonly made: boolean; readonly repaired: string[] } {
  const { port, instance, mtu } = options;
  const name = vxlanDevice(port);
  const repaired: string[] = [];
  let link = netlink.link(name);
  if (link) {
    foreign(link, instance);
    if (link.vxlan?.external !== true || link.vxlan.port !== port) {
      netlink.deleteLink(link.index);
      link = undefined;
    }
  }
  const made = link === undefined;
  try {
    const ifindex =
      link?.index ??
      netlink.addLink({ kind: 'vxlan', name, port, external: true, mtu, alias: aliasOf(instance, 'tunnel'), noLinkLocal: true });
    if (program && attach(netlink, ifindex, 'ingress', 'from_tunnel', program) && !made)
      repaired.push(`the program of ${name} was missing or another`);
    if (link?.up !== true) {
      netlink.setLink(ifindex, { up: true });
      if (!made) repaired.push(`${name} was down`);
    }
    if (link && link.mtu !== mtu) {
      netlink.setLink(ifindex, { mtu });
      repaired.push(`${name} had MTU ${link.mtu} instead of ${mtu}`);
    }
    return { ifindex, made, repaired };
  } catch (error) {
    if (made) netlink.deleteLink(name);
    if (isRefused(error, 'EADDRINUSE', 'EBUSY', 'EEXIST')) throw new DatapathError(portTaken(netlink, port, name));
    if (isRefused(error, 'EOPNOTSUPP')) {
      throw new DatapathError(`this kernel lacks vxlan devices (CONFIG_VXLAN): ${reasonOf(error)}; try modprobe vxlan`);
    }
    throw error;
  }
}

/** Tunnel devices of ours on another UDP port, left from a start with another --vxlan-port, would go on taking frames in. */
export function removeOtherTunnels(netlink: Netlink, options: { readonly port: number; readonly instance: string }): void {
  for (const link of netlink.links({ kind: 'vxlan' }))
    if (isOurs(link.alias, options.instance) && link.name !== vxlanDevice(options.port)) netlink.deleteLink(link.index);
}

/** Docker's; their vxlan devices live in namespaces of their own, so that only the port shows them. */
const OVERLAY_PORT = 4789;
const OVERLAY = "Docker's own overlay networks (or by a program: ss -ulpn sport = :4789)";

function portTaken(netlink: Netlink, port: number, own: string): string {
  const device = netlink.links({ kind: 'vxlan' }).find((l) => l.vxlan?.port === port && l.name !== own);
  const holder = device ? `the vxlan device ${device.name}` : port === OVERLAY_PORT ? OVERLAY : udpHolder(port);
  return `UDP port ${port} of this host is taken by ${holder}; free it, or choose another one with --vxlan-port on all hosts`;
}

function udpHolder(port: number): string {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  for (const file of ['/proc/thread-self/net/udp', '/proc/thread-self/net/udp6']) {
    try {
      if (readFileSync(file, 'utf8').includes(`:${hex} `)) return `a program (see: ss -ulpn sport = :${port})`;
    } catch {
      // No IPv6 in this kernel.
    }
  }
  return 'somebody else';
}

/** A device of the host that only our programs stand behind: what the host sends there they take, what they put there the host receives. */
export interface HostDevice {
  readonly name: string;
  readonly peer: string;
  /** For people: what it is. */
  readonly what: string;
  readonly program: ProgramName;
  readonly mac: Mac;
  readonly address: { readonly ip: Ipv4; readonly length: number };
  readonly route?: { readonly ip: Ipv4; readonly length: number };
}

const ip = (text: string): Ipv4 => {
  const parsed = parseIpv4(text);
  if (parsed === undefined) throw new RangeError(text);
  return parsed;
};

export const DNS: HostDevice = {
  name: DNS_DEVICE,
  peer: DNS_PEER,
  what: 'dns',
  program: 'from_dns',
  mac: dnsMac(),
  address: { ip: ip(DNS_SERVICE_IP), length: 32 },
  route: { ip: ip('169.254.128.0'), length: 19 },
};

/** Address and MAC as in Contiv: 172.19.255.254 and 02:02:ac:13:ff:fe of 172.19.0.0/16. */
export function outsideDevice(privateSubnet: Prefix4): HostDevice {
  const own = ipv4FromNumber(ipv4Value(privateSubnet.address) + 0xfffe);
  return {
    name: OUTSIDE_DEVICE,
    peer: OUTSIDE_PEER,
    what: 'outside',
    program: 'from_outside',
    mac: macOfIpv4(own),
    address: { ip: own, length: 16 },
  };
}

/** Gives those devices of this instance that are there another MTU. */
export function resizeDevices(netlink: Netlink, options: { readonly port: number; readonly instance: string; readonly mtu: number }): void {
  for (const name of [vxlanDevice(options.port), DNS_DEVICE, DNS_PEER, OUTSIDE_DEVICE, OUTSIDE_PEER]) {
    const link = netlink.link(name);
    if (link && isOurs(link.alias, options.instance)) netlink.setLink(link.index, { mtu: options.mtu });
  }
}

/** @returns sentences about what had to be repaired; `made` when the device is new. */
export function ensureHostDevice(
  netlink: Netlink,
  options: { readonly instance: string; readonly mtu: number },
  device: HostDevice,
  program: Program | undefined,
): { readonly ifindex: number; readonly made: boolean; readonly repaired: string[] } {
  const { instance, mtu } = options;
  const { name, mac, address, route } = device;
  const repaired: string[] = [];
  let link = netlink.link(name);
  if (link) {
    foreign(link, instance);
    if (!netlink.link(device.peer) || link.mac !== mac) {
      netlink.deleteLink(link.index);
      link = undefined;
    }
  }
  const made = link === undefined;
  const end = { mtu, noArp: true, noLinkLocal: true };
  const ifindex =
    link?.index ??
    netlink.addLink({
      kind: 'veth',
      name,
      mac,
      ...end,
      alias: aliasOf(instance, device.what),
      peer: { name: device.peer, ...end, alias: aliasOf(instance, `${device.what} peer`) },
    });
  if (program && attach(netlink, ifindex, 'egress', device.program, program) && !made)
    repaired.push(`the program of ${name} was missing or another`);
  for (const side of [netlink.link(device.peer), netlink.link(ifindex)]) {
    if (!side) continue;
    if (side.mtu !== mtu) {
      netlink.setLink(side.index, { mtu });
      repaired.push(`${side.name} had MTU ${side.mtu} instead of ${mtu}`);
    }
    if (side.up) continue;
    netlink.setLink(side.index, { up: true });
    if (!made) repaired.push(`${side.name} was down`);
  }
  if (!netlink.addresses(ifindex).some((a) => a.ip === address.ip)) {
    netlink.addAddress({ link: ifindex, ...address });
    if (!made) repaired.push(`${name} had lost its address ${address.ip}`);
  }
  if (route) {
    const held = netlink.routes(ifindex).filter((r) => r.ip === route.ip);
    if (!held.some((r) => r.length === route.length)) {
      netlink.setRoute({ ...route, link: ifindex, source: address.ip });
      if (!made) repaired.push(`the route to ${route.ip}/${route.length} was missing`);
    }
    // An earlier version's, which took more than is ours.
    for (const wider of held) if (wider.length < route.length) netlink.deleteRoute(wider);
  }
  return { ifindex, made, repaired };
}
