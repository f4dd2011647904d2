/** The host's own interface in an infra network: its address, and the routes that lead by it. */
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

/**
 * Brings the host's end of a port up to date.
 * @returns what had to be repaired; `undefined` when it is gone, and the pair is good for nothing.
 */
export function ensureHostEnd(netlink: Netlink, port: DatapathPort, host: HostEnd, made: boolean): string[] | undefined {
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
  const key = (r: { readonly ip: string; readonly length: number }): string => `${r.ip}/${r.length}`;
  const held = netlink.routes(link.index).filter((route) => route.gateway === port.ip);
  const wanted = new Map(host.routes.map(({ address, length }) => [`${address}/${length}`, { ip: address, length }]));
  for (const route of held) if (!wanted.has(key(route))) netlink.deleteRoute(route);
  const there = new Set(held.map(key));
  for (const [text, route] of wanted) {
    // By its own address: everything behind is asked for on the link itself, where the gateway answers.
    if (!there.has(text)) netlink.setRoute({ ...route, link: link.index, gateway: port.ip, source: port.ip });
  }
  return made ? [] : repaired;
}
