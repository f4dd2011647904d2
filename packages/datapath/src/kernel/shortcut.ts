/** The short way between VTEPs (bpf/shortcut.h): where it may be taken, and our program on the interface that carries the tunnel. */
import { hasIpsecPolicies, type Netlink } from '@contiv/netlink';
import { attach, release } from './devices.js';
import type { Program } from './programs.js';
import type { Underlay } from './underlay.js';

/**
 * It is for one interface and IPv4: on a loopback address the routes choose among several, and packets come in by any. Where the host's
 * IPsec encrypts anything, that may be the tunnel, and only the host's own stack knows.
 */
export const isShort = ({ ipv6, loopback }: Pick<Underlay, 'ipv6' | 'loopback'>): boolean => !ipv6 && !loopback && !hasIpsecPolicies();

/**
 * Our program on the underlay's interface.
 * @param known it was put there already; otherwise it is taken off whatever interface an earlier start chose.
 * @returns sentences about what was missing.
 */
export function ensureShortcut(netlink: Netlink, underlay: Underlay, program: Program, known: boolean): string[] {
  const link = !underlay.ipv6 && !underlay.loopback ? netlink.link(underlay.name) : undefined;
  if (!known) release(netlink, 'from_underlay', link ? [link.name] : []);
  if (!link || !attach(netlink, link.index, 'ingress', 'from_underlay', program) || !known) return [];
  return [`the program of ${link.name}, which carries the tunnel, was missing or another`];
}
