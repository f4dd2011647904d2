/** Which private subnet the containers of this host have outside. */
import { formatPrefix, type Ipv4, ipv4Value, type Prefix4, parseIpv4, parsePrefix4 } from '@contiv/model';
import type { Netlink } from '@contiv/netlink';
import { DatapathError } from '../errors.js';
import { OUTSIDE_DEVICE } from './names.js';

interface Held {
  readonly ip: string;
  readonly length: number;
  readonly on: string;
}

/** A sentence when the subnet, or a part of it, is in use on this host already. Pure. */
export function collision(privateSubnet: Prefix4, held: readonly Held[]): string | undefined {
  const first = ipv4Value(privateSubnet.address);
  const last = first + 0xffff;
  for (const { ip, length, on } of held) {
    const parsed = parseIpv4(ip);
    if (parsed === undefined || length === 0) continue;
    const size = 2 ** (32 - length);
    const start = Math.floor(ipv4Value(parsed) / size) * size;
    if (start > last || start + size - 1 < first) continue;
    return `the private subnet ${formatPrefix(privateSubnet)} collides with ${ip}/${length} of ${on} on this host, so containers have no way outside; choose another one: netctl global set --private-subnet`;
  }
  return undefined;
}

/** The first that nothing uses. One that is in use by us already stays: another would cut what goes by it. Pure. */
export function choose(wanted: readonly [Prefix4, ...Prefix4[]], inUse: Ipv4 | undefined, held: readonly Held[]): Prefix4 {
  const own = wanted.filter((subnet) => subnet.address === inUse);
  const free = [...own, ...wanted].find((subnet) => collision(subnet, held) === undefined);
  if (free) return free;
  throw new DatapathError(collision(wanted[0], held) ?? '');
}

/** Of the device that is there: an agent of another version may have left it, whose tables tell this one nothing. */
function subnetOf(netlink: Netlink, device: number | undefined): Ipv4 | undefined {
  const own = device === undefined ? [] : netlink.addresses(device);
  return own.flatMap(({ ip, length }) => parsePrefix4(`${ip}/${length}`)?.address ?? [])[0];
}

/** Chooses by what this host's interfaces and routes hold; throws one sentence when every one is taken. @param before the one that was in use. */
export function freeSubnet(netlink: Netlink, wanted: readonly [Prefix4, ...Prefix4[]], before: Ipv4 | undefined): Prefix4 {
  const own = netlink.link(OUTSIDE_DEVICE)?.index;
  const names = new Map(netlink.links().map((link) => [link.index, link.name]));
  const name = (link: number | undefined): string => (link === undefined ? 'a route' : (names.get(link) ?? `interface ${link}`));
  const addresses = netlink.addresses().filter((a) => a.link !== own);
  const routes = netlink.routes().filter((r) => r.link !== own);
  return choose(wanted, subnetOf(netlink, own) ?? before, [
    ...addresses.map(({ ip, length, link }) => ({ ip, length, on: name(link) })),
    ...routes.map(({ ip, length, link }) => ({ ip, length, on: name(link) })),
  ]);
}
