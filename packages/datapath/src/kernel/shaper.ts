/**
 * Bandwidths of groups. Packets of a container whose group has one go through a device whose queue is an HTB: for each group and way a class
 * with its bandwidth, below it one for each of its containers, whose turns come round. Everybody else's packets never see it.
 */
import { type HtbClass, type Netlink, sameClass } from '@contiv/netlink';
import type { ApplyMode, RateLimit } from '../contract.js';
import { DatapathError, reasonOf } from '../errors.js';
import { attach, foreign } from './devices.js';
import { aliasOf, isOurs, SHAPER_DEVICE, SHAPER_PEER } from './names.js';
import type { Program } from './programs.js';

/** As in bpf/shape.h. */
const MAJOR = 0x0c04;
const CONTAINER = { out: 0x2000, in: 0x4000 } as const;
const WAYS = ['out', 'in'] as const;
/** Classes of groups: this bit, then fourteen of a number, then the way. */
const GROUP_BIT = 0x8000;
const GROUP_SLOTS = 0x3fff;

/** What a container has of its own although others want it all, and what it may have when they want nothing: nearly none, and all. */
const OWN_RATE = 1_000;
const OWN_BURST = 1_600;
const ANY_RATE = 12_500_000_000;
const LARGEST_FRAME = 65_536;
const SMALLEST_QUANTUM = 1_600;
/** The widest frame that any network of ours has, and more. */
const MTU = 65_535;

const clamp = (value: number, least: number, most: number): number => Math.round(Math.min(Math.max(value, least), most));
const handle = (minor: number): number => (MAJOR << 16) + minor;

/** A container that shares its group's bandwidth. */
export interface Sharer {
  /** Of its port. */
  readonly index: number;
  readonly group: number;
  readonly limit: RateLimit;
}

export interface Shape {
  readonly classes: readonly HtbClass[];
  /** Bytes that may wait, by handle of a container's class. */
  readonly queues: ReadonlyMap<number, number>;
}

/** Numbers of the groups: the same as long as no two groups of this host are a multiple of 16,383 apart. */
function slots(groups: Iterable<number>): ReadonlyMap<number, number> {
  const taken = new Map<number, number>();
  const used = new Set<number>();
  for (const group of [...new Set(groups)].sort((a, b) => a - b)) {
    let slot = group % GROUP_SLOTS;
    while (used.has(slot)) slot = (slot + 1) % GROUP_SLOTS;
    used.add(slot);
    taken.set(group, slot);
  }
  return taken;
}

/** A timer that is late by this much must not cost bandwidth. */
const LATENESS_S = 0.004;
/** How long a full queue makes a packet wait. */
const PATIENCE_S = 0.05;

/** The classes of those who share. Pure. */
export function shapeOf(sharers: readonly Sharer[]): Shape {
  const slotOf = slots(sharers.map(({ group }) => group));
  const classes = new Map<number, HtbClass>();
  const queues = new Map<number, number>();
  for (const { index, group, limit } of sharers) {
    const rate = Math.max(1, Math.round(limit.bytesPerSecond));
    const burst = Math.max(limit.burstBytes, rate * LATENESS_S, SMALLEST_QUANTUM);
    const quantum = clamp(rate * 0.01, SMALLEST_QUANTUM, LARGEST_FRAME);
    for (const [way, name] of WAYS.entries()) {
      const above = handle(GROUP_BIT + (slotOf.get(group) ?? 0) * 2 + way);
      const own = handle(CONTAINER[name] + index);
      // Turns are taken below it only; the kernel would not change this one.
      const whole = { rate, ceil: rate, burst, ceilBurst: burst, quantum: LARGEST_FRAME };
      classes.set(above, { handle: above, parent: handle(0), ...whole });
      const container = { rate: OWN_RATE, ceil: ANY_RATE, burst: OWN_BURST, ceilBurst: LARGEST_FRAME, quantum };
      classes.set(own, { handle: own, parent: above, ...container });
      queues.set(own, clamp(rate * PATIENCE_S, LARGEST_FRAME / 2, 16 * LARGEST_FRAME));
    }
  }
  // Groups come before their containers.
  return { classes: [...classes.values()].sort((a, b) => a.parent - b.parent || a.handle - b.handle), queues };
}

export class Shaper {
  readonly #netlink: Netlink;
  readonly #instance: string;
  #ifindex: number;
  /** As last brought about: what differs from it is drift. */
  #known: ReadonlyMap<number, HtbClass> | undefined;
  #sharers: readonly Sharer[] = [];

  constructor(netlink: Netlink, instance: string) {
    this.#netlink = netlink;
    this.#instance = instance;
    const link = netlink.link(SHAPER_DEVICE);
    this.#ifindex = link && isOurs(link.alias, instance) ? link.index : 0;
  }

  /** 0: there is none. */
  get ifindex(): number {
    return this.#ifindex;
  }

  /** Makes the device where there is none; answers what had to be repaired. */
  ensureDevice(program: Program | undefined): string[] {
    const repaired: string[] = [];
    let link = this.#netlink.link(SHAPER_DEVICE);
    if (link) foreign(link, this.#instance);
    if (link && !this.#netlink.link(SHAPER_PEER)) {
      this.#netlink.deleteLink(link.index);
      link = undefined;
    }
    const made = link === undefined;
    const lost = made && this.#ifindex !== 0;
    const end = { mtu: MTU, noArp: true, noLinkLocal: true };
    const ifindex =
      link?.index ??
      this.#netlink.addLink({
        kind: 'veth',
        name: SHAPER_DEVICE,
        ...end,
        alias: aliasOf(this.#instance, 'shaper'),
        peer: { name: SHAPER_PEER, ...end, alias: aliasOf(this.#instance, 'shaper peer') },
      });
    this.#ifindex = ifindex;
    if (lost) repaired.push(`the device ${SHAPER_DEVICE} was missing`);
    const peer = this.#netlink.link(SHAPER_PEER)?.index ?? 0;
    if (program && attach(this.#netlink, peer, 'ingress', 'from_shaper', program) && !made)
      repaired.push(`the program of ${SHAPER_PEER} was missing or another`);
    if (!this.#netlink.qdiscs(ifindex).some(({ kind, handle: at }) => kind === 'htb' && at === handle(0))) {
      this.#addHtb(ifindex);
      if (!made) repaired.push(`the queue of ${SHAPER_DEVICE} was missing`);
    }
    for (const side of [this.#netlink.link(peer), this.#netlink.link(ifindex)]) {
      if (!side || side.up) continue;
      this.#netlink.setLink(side.index, { up: true });
      if (!made) repaired.push(`${side.name} was down`);
    }
    return repaired;
  }

  #addHtb(ifindex: number): void {
    try {
      this.#netlink.setHtb(ifindex, MAJOR);
    } catch (error) {
      this.removeDevice();
      throw new DatapathError(
        `bandwidths of network profiles are not enforced on this host: its kernel has no HTB queueing discipline (${reasonOf(error)}); try modprobe sch_htb`,
      );
    }
  }

  /** Writes the classes that are missing or different; `finish` removes the others, when no packet is told to go through them any more. */
  bring(sharers: readonly Sharer[]): {
    readonly written: number;
    readonly repaired: string[];
    readonly finish: (mode: ApplyMode) => number;
  } {
    const shape = shapeOf(sharers);
    const held = new Map(this.#netlink.htbClasses(this.#ifindex).map((htb) => [htb.handle, htb]));
    const wanted = new Map(shape.classes.map((htb) => [htb.handle, htb]));
    const repaired: string[] = [];
    let written = 0;
    for (const htb of shape.classes) {
      const there = held.get(htb.handle);
      if (there && sameClass(there, htb)) continue;
      // The kernel moves no class below another one.
      if (there && there.parent !== htb.parent) this.#netlink.deleteHtbClass(this.#ifindex, htb.handle);
      this.#netlink.setHtbClass(this.#ifindex, htb);
      const known = this.#known?.get(htb.handle);
      if (known && sameClass(known, htb)) repaired.push(`class ${htb.handle.toString(16)} of ${SHAPER_DEVICE} was missing or changed`);
      else written++;
    }
    const limits = new Map(this.#netlink.qdiscs(this.#ifindex).map(({ parent, limit }) => [parent, limit]));
    for (const [above, limit] of shape.queues)
      if (limits.get(above) !== limit) this.#netlink.setByteQueue(this.#ifindex, above, above & 0xffff, limit);
    this.#known = wanted;
    this.#sharers = sharers;
    const finish = (mode: ApplyMode): number => {
      if (mode === 'add') return 0;
      // Containers go before their groups.
      const gone = [...held.values()].filter((htb) => !wanted.has(htb.handle)).sort((a, b) => b.parent - a.parent);
      for (const htb of gone) this.#netlink.deleteHtbClass(this.#ifindex, htb.handle);
      return gone.length;
    };
    return { written, repaired, finish };
  }

  /** One container more. */
  add(sharer: Sharer): void {
    this.bring([...this.#sharers.filter(({ index }) => index !== sharer.index), sharer]);
  }

  exchange(program: Program): void {
    const peer = this.#ifindex === 0 ? undefined : this.#netlink.link(SHAPER_PEER);
    if (peer) attach(this.#netlink, peer.index, 'ingress', 'from_shaper', program);
  }

  /** With all that waits in it. Answers whether there was one. */
  removeDevice(): boolean {
    const index = this.#ifindex;
    this.#ifindex = 0;
    this.#known = undefined;
    this.#sharers = [];
    return index !== 0 && this.#netlink.deleteLink(index);
  }
}
