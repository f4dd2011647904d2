/** The host's own interface in an infra network: its address, and the routes that lead by it. */
import { contains4, type Prefix4, parsePrefix4 } from '@contiv/model';
import type { Netlink } from '@contiv/netlink';
import type { DatapathPort, HostEnd } from '../contract.js';
import { DatapathError } from '../errors.js';

/** Throws when somebody else's interface has the name. */
export function refuseTaken(netlink: Netlink, { name }: HostEnd): void {
  if (netlink.link(name))
    throw new DatapathError(
      `infra network ${name} cannot be carried by this host: an interface ${name} exists already; rename one of them`,
    );
}

const MAIN_TABLE = 254;
const textOf = ({ ip, length }: { readonly ip: string; readonly length: number }): string => `${ip}/${length}`;

/**
 * Whose way the route would take: that of another interface whose subnet holds the prefix, or which leads to just that. The host would lose its own
 * neighbours, for good where the kernel's route is replaced.
 */
function inTheWayOf(netlink: Netlink, link: number): (prefix: Prefix4) => string | undefined {
  const ways = [
    ...netlink.addresses().map((own) => ({ ...own, whole: true })),
    ...netlink.routes().flatMap(({ table, link: by = link, ...to }) => (table === MAIN_TABLE ? [{ ...to, link: by, whole: false }] : [])),
  ].flatMap(({ link: by, whole, ...to }) => {
    const prefix = by === link || to.length === 0 ? undefined : parsePrefix4(textOf(to));
    return prefix ? [{ by, whole, prefix }] : [];
  });
  return ({ address, length }) => {
    const way = ways.find(({ whole, prefix }) =>
      whole ? prefix.length <= length && contains4(prefix, address) : prefix.length === length && prefix.address === address,
    );
    return way && `${netlink.link(way.by)?.name ?? `interface ${way.by}`} leads to ${way.prefix.address}/${way.prefix.length} already`;
  };
}

/**
 * Brings the host's end of a port up to date.
 * @returns what had to be repaired, and where it cannot lead; `undefined` when it is gone, and the pair is good for nothing.
 */
export function ensureHostEnd(
  netlink: Netlink,
  port: DatapathPort,
  host: HostEnd,
  made: boolean,
): { readonly repaired: string[]; readonly failed: string[] } | undefined {
  const repaired: string[] = [];
  const outer = netlink.link(port.name);
  const link = outer?.peerIndex === undefined || outer.elsewhere ? undefined : netlink.link(outer.peerIndex);
  if (!link) return undefined;
  if (link.name !== host.name) {
    netlink.setLink(link.index, { name: host.name });
    repaired.push(`${host.name} was called ${link.name}`);
  }
  if (!netlink.addresses(link.index).some((a) => a.ip === port.ip && a.length === host.length)) {
    netlink.addAddress({ link: link.index, ip: port.ip, length: host.length });
    repaired.push(`${host.name} had lost its address ${port.ip}`);
  }
  if (!link.up) {
    netlink.setLink(link.index, { up: true });
    repaired.push(`${host.name} was down`);
  }
  const failed: string[] = [];
  const inTheWay = inTheWayOf(netlink, link.index);
  const wanted = new Map<string, { ip: string; length: number }>();
  for (const prefix of host.routes) {
    const route = { ip: prefix.address, length: prefix.length };
    const why = inTheWay(prefix);
    if (why === undefined) wanted.set(textOf(route), route);
    else
      failed.push(
        `${host.name} does not lead to the network ${textOf(route)}: ${why}; give the network another subnet to reach it from here`,
      );
  }
  const held = netlink.routes(link.index).filter((route) => route.gateway === port.ip);
  for (const route of held) if (!wanted.has(textOf(route))) netlink.deleteRoute(route);
  const there = new Set(held.map(textOf));
  for (const [text, route] of wanted) {
    // By its own address: everything behind is asked for on the link itself, where the gateway answers.
    if (!there.has(text)) netlink.setRoute({ ...route, link: link.index, gateway: port.ip, source: port.ip });
  }
  return { repaired: made ? [] : repaired, failed };
}
