/** What of a data path is on this host, and its removal. Works in whatever state it is, without loading or making anything. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Netlink } from '@contiv/netlink';
import { release } from './kernel/devices.js';
import { removeFirewall } from './kernel/firewall.js';
import { removeInput } from './kernel/iptables.js';
import { BPFFS, instanceDir, instanceOf, isOurs, isPort } from './kernel/names.js';
import { Outside } from './kernel/outside.js';
import { PortLinks } from './kernel/ports.js';
import { releaseBpffs } from './kernel/probe.js';
import { removePins } from './kernel/programs.js';
import { releaseUplinks } from './kernel/uplinks.js';

export interface Remains {
  /** Host-side interfaces of containers. */
  readonly ports: readonly string[];
  /** The tunnel, the DNS service's, the way out of the tenants. */
  readonly devices: readonly string[];
}

const directories = (path: string): string[] => {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
};

function withNetlink<T>(work: (netlink: Netlink) => T): T {
  const netlink = Netlink.open();
  try {
    return work(netlink);
  } finally {
    netlink.close();
  }
}

const portLinks = (netlink: Netlink, instance: string): PortLinks => new PortLinks(netlink, instance, () => 0);

const devicesOf = (netlink: Netlink, instance: string): string[] =>
  netlink.links().flatMap(({ alias, name }) => (isOurs(alias, instance) && !isPort(alias, instance) ? [name] : []));

/** Data paths of which there is anything in this network namespace or pinned. */
export function dataPaths(): string[] {
  const linked = withNetlink((netlink) => netlink.links().flatMap(({ alias }) => instanceOf(alias) ?? []));
  return [...new Set([...linked, ...directories(join(BPFFS, 'contiv'))])].sort();
}

export function findRemains(instance: string): Remains {
  return withNetlink((netlink) => ({
    ports: [...portLinks(netlink, instance).list().keys()].sort(),
    devices: devicesOf(netlink, instance).sort(),
  }));
}

/** Removes interfaces, programs, tables and the firewall's table of one data path. */
export async function removeDatapath(instance: string): Promise<void> {
  const netlink = Netlink.open();
  try {
    const links = portLinks(netlink, instance);
    await links.remove([...links.list().values()]);
    await new Outside(netlink, { instance, mtu: () => 0 }, undefined).remove();
    for (const name of devicesOf(netlink, instance)) netlink.deleteLink(name);
    releaseUplinks(netlink, []);
    release(netlink, 'from_underlay', []);
  } finally {
    netlink.close();
  }
  await removeInput();
  await removeFirewall(instance);
  removePins(instanceDir(instance));
  releaseBpffs();
}
