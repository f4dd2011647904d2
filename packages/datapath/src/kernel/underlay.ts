/** The interface that carries the tunnel, found by the VTEP's address. */
import type { Ipv4, Ipv6 } from '@contiv/model';
import { parseIpv4 } from '@contiv/model';
import type { Link, Netlink } from '@contiv/netlink';
import { DatapathError } from '../errors.js';

export interface Underlay {
  readonly name: string;
  readonly mtu: number;
  readonly ipv6: boolean;
  readonly loopback: boolean;
}

/** Outer Ethernet is not counted in an MTU, the inner one is: 14 + 8 (VXLAN) + 8 (UDP) + 20 or 40 (RFC 7348 §5). */
export const overhead = (ipv6: boolean): number => (ipv6 ? 70 : 50);
/** What fits into the tunnel. */
export const containerMtu = ({ mtu, ipv6 }: Pick<Underlay, 'mtu' | 'ipv6'>): number => mtu - overhead(ipv6);
/** IPv6 needs this much of any link (RFC 8200 §5). */
const LEAST_INNER_MTU = 1280;

/** May other hosts be behind it? Not behind loopback, interfaces of ours, or those of Docker. */
const carries = ({ loopback, name, kind, up }: Link): boolean =>
  up && !loopback && !/^(docker|br-|veth|contiv|cv)/.test(name) && kind !== 'vxlan';

export function findUnderlay(netlink: Netlink, vtep: Ipv4 | Ipv6): Underlay {
  const ipv6 = parseIpv4(vtep) === undefined;
  const addresses = netlink.addresses();
  const own = addresses.find((a) => a.ip === vtep);
  const link = own && netlink.link(own.link);
  if (!link) {
    const unfit = new Set(netlink.links().flatMap((l) => (carries(l) ? [] : [l.index])));
    const have = addresses.filter((a) => a.ip.includes(':') === ipv6 && !unfit.has(a.link) && !/^(127\.|169\.254\.|fe80:|::1$)/.test(a.ip));
    throw new DatapathError(
      `the VTEP address ${vtep} is on no interface of this host; give --vtep-ip one of its own: ${have.map((a) => a.ip).join(', ') || 'it has none'}`,
    );
  }
  // On a loopback address any uplink may carry the tunnel: the narrowest counts.
  const carriers = link.loopback ? netlink.links().filter((l) => l.up && !l.loopback && l.kind === '') : [link];
  const mtu = Math.min(...carriers.map((l) => l.mtu), 65_535);
  if (mtu - overhead(ipv6) < LEAST_INNER_MTU) {
    throw new DatapathError(
      `the MTU of ${link.name} is ${mtu}, and the tunnel needs at least ${LEAST_INNER_MTU + overhead(ipv6)}; raise it: ip link set ${link.name} mtu 1500`,
    );
  }
  return { name: link.name, mtu, ipv6, loopback: link.loopback };
}
