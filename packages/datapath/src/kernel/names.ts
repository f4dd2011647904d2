/** How everything of ours in the kernel is recognised, so that after any crash it can be adopted or removed. */
import { basename, join } from 'node:path';
import type { Link } from '@contiv/netlink';

export const BPFFS = '/sys/fs/bpf';
/** Group of the host-side interfaces of containers; nothing else of this host may bear it. */
export const PORT_GROUP = 0xc0417;
/** Interfaces on their way out: removed together. */
export const DYING_GROUP = 0xc0418;
/** Where our programs sit on an interface's hooks. */
export const FILTER = { priority: 1, handle: 0xc0417 } as const;
/** The same for the tunnel's carrier, which may be an uplink of VLANs as well. */
export const UNDERLAY_FILTER = { priority: 1, handle: 0xc0418 } as const;
export const DNS_DEVICE = 'contivdns';
export const DNS_PEER = 'contivdnsp';

/** The way out of the tenants, as in Contiv. */
export const OUTSIDE_DEVICE = 'contivh0';
export const OUTSIDE_PEER = 'contivh0p';
/** Where packets of containers with a bandwidth wait: they go in at the one end and come out at the other. */
export const SHAPER_DEVICE = 'contivq';
export const SHAPER_PEER = 'contivqp';
/** Interfaces of infra networks, in the host's own namespace. */
export const INFRA_GROUP = 0xc0419;

const STANDARD_PORT = 8472;
export const vxlanDevice = (port: number): string => (port === STANDARD_PORT ? 'contivvx' : `contivvx${port}`);

export const instanceDir = (instance: string): string => join(BPFFS, 'contiv', basename(instance));
/** Alias of an interface of ours; what follows the instance is for people. */
export const aliasOf = (instance: string, what: string): string => `contiv:${instance}:${what}`;
export const isOurs = (alias: string, instance: string): boolean => alias.startsWith(`contiv:${instance}:`);
/** The instance an alias of ours names. */
export const instanceOf = (alias: string): string | undefined => /^contiv:([^:]+):/.exec(alias)?.[1];
/** Alias of a container's host-side interface, told from our other interfaces by the number. */
export const portAlias = (instance: string, at: { readonly vni: number; readonly ip: string }): string =>
  aliasOf(instance, `${at.vni}:${at.ip}`);
export const isPort = (alias: string, instance: string): boolean =>
  isOurs(alias, instance) && /^\d+:/.test(alias.slice(aliasOf(instance, '').length));
/** nftables names are letters, digits and underscores. */
export const nftTable = (instance: string): string => `contiv_${instance.replaceAll(/[^A-Za-z0-9]/g, '_')}`;

/** What Docker calls bridges of its own, as nft takes it. */
export const DOCKERS_BRIDGES = ['docker*', 'br-*'] as const;
/**
 * Interfaces that are only called so, `br-lan`: behind a bridge of Docker's there are containers and nothing else.
 */
export function namesakes(links: readonly Pick<Link, 'index' | 'name' | 'kind' | 'master'>[]): string[] {
  const leadOn = new Set(links.flatMap(({ kind, master }) => (kind === 'veth' || master === undefined ? [] : [master])));
  return links
    .filter(({ index, name, kind }) => /^(docker|br-)[\w.:-]*$/.test(name) && (kind !== 'bridge' || leadOn.has(index)))
    .map(({ name }) => name)
    .sort();
}
