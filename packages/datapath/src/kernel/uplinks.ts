/** The interfaces that lead to the physical network: which of them is in use, and our program on each. */
import { isRefused, type Link, type Netlink } from '@contiv/netlink';
import type { BpfMap } from '@contiv/syscall';
import type { UplinkStatus } from '../contract.js';
import { refusedStations, UPLINK_BYTES, u32Key } from '../maps/layout.js';
import { attach, release } from './devices.js';
import type { Program } from './programs.js';

type Seen = Pick<Link, 'index' | 'up' | 'carrier'> | undefined;

/**
 * Which one carries VLANs: the one in use as long as it can, else the first that can. Coming back is no reason to change: that would cost a
 * second interruption. Pure.
 */
export function chooseUplink(links: readonly Seen[], current: number): number {
  const able = links.filter((link) => link?.up === true && link.carrier);
  return (able.find((link) => link?.index === current) ?? able[0])?.index ?? 0;
}

/** Takes our program off all interfaces but those wanted; answers the indexes of those that had it. */
export function releaseUplinks(netlink: Netlink, wanted: readonly string[]): number[] {
  const released = release(netlink, 'from_uplink', wanted);
  for (const index of released) {
    try {
      netlink.setLink(index, { promiscuous: false });
    } catch (error) {
      // It went meanwhile.
      if (!isRefused(error, 'ENODEV')) throw error;
    }
  }
  return released;
}

export class Uplinks {
  readonly #netlink: Netlink;
  readonly #names: readonly string[];
  readonly #table: BpfMap;
  #links: readonly (Link | undefined)[] = [];
  #active = 0;

  constructor(netlink: Netlink, names: readonly string[], table: BpfMap) {
    this.#netlink = netlink;
    this.#names = [...new Set(names)];
    this.#table = table;
  }

  get any(): boolean {
    return this.#names.length > 0;
  }

  /** Index of the one in use, 0 for none. */
  get active(): number {
    return this.#active;
  }

  get activeMac(): string {
    return this.#links.find((link) => link?.index === this.#active)?.mac ?? '';
  }

  /** The narrowest of those that exist: traffic may change to any of them. */
  get mtu(): number | undefined {
    const mtus = this.#links.flatMap((link) => (link ? [link.mtu] : []));
    return mtus.length === 0 ? undefined : Math.min(...mtus);
  }

  /** Looks at the interfaces; answers whether another one is to be used than before. */
  refresh(current = this.#active): boolean {
    this.#links = this.#names.map((name) => this.#netlink.link(name));
    this.#active = chooseUplink(this.#links, current);
    return this.#active !== current;
  }

  /** Our program on every uplink, which takes in whatever container it is for; answers sentences about what was missing. */
  attach(program: Program): string[] {
    const repaired: string[] = [];
    const present = new Set(this.#links.flatMap((link) => (link ? [link.index] : [])));
    for (const key of this.#table.keys()) if (!present.has(key.readUInt32LE(0))) this.#table.delete(key);
    for (const link of this.#links) {
      if (!link) continue;
      const known = this.#table.get(u32Key(link.index)) !== undefined;
      if (!known) this.#table.set(u32Key(link.index), Buffer.alloc(UPLINK_BYTES));
      if (attach(this.#netlink, link.index, 'ingress', 'from_uplink', program) && known)
        repaired.push(`the program of uplink ${link.name} was missing or another`);
      // Containers have link-layer addresses of their own, which a card would filter out.
      if (!link.promiscuous) this.#netlink.setLink(link.index, { promiscuous: true });
    }
    return repaired;
  }

  /** Takes our program off every interface that is no uplink (any more). */
  release(): void {
    for (const index of releaseUplinks(this.#netlink, this.#names)) this.#table.delete(u32Key(index));
  }

  status(): UplinkStatus[] {
    const byDefault = new Set(this.#netlink.routes().flatMap((r) => (r.length === 0 && r.link !== undefined ? [r.link] : [])));
    return this.#names.map((name, i): UplinkStatus => {
      const link = this.#links[i];
      if (!link) return { name, state: 'missing', mtu: 0, defaultRoute: false, refused: 0n };
      const idle = link.up ? (link.carrier ? 'standby' : 'unplugged') : 'down';
      const counted = this.#table.get(u32Key(link.index));
      return {
        name,
        state: link.index === this.#active ? 'active' : idle,
        mtu: link.mtu,
        defaultRoute: byDefault.has(link.index),
        refused: counted ? refusedStations(counted) : 0n,
      };
    });
  }

  nameOf(ifindex: number): string | undefined {
    return this.#links.find((link) => link?.index === ifindex)?.name;
  }
}
