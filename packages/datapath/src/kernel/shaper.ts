/**
 * Bandwidths of groups. Packets of a container whose group has one go through a device whose queue is an HTB: for each group and way a class
 * with its bandwidth, below it one for each of its containers, whose turns come round. Everybody else's packets never see it.
 */
import { type ByteQueue, type HtbClass, isRefused, type Netlink, sameClass } from '@contiv/netlink';
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
const SMALLEST_BURST = 1_600;
/** What a sender leaves for a card to cut up, with the headers of all the frames that it will be. */
const LARGEST_PACKET = 80_000;
/** Of the far end, which lets nothing larger in: the widest frame that any network can have, and more. */
const FAR_MTU = 65_535;
/** Beside its MTU a frame has an Ethernet header, perhaps with a tag. */
const ETHERNET_HEADER = 14;
const TAG = 4;

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
  /** By handle of a container's class. */
  readonly queues: ReadonlyMap<number, ByteQueue>;
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
const LARGEST_BURST = 65_536;
/** How long a full queue makes a packet wait. */
const PATIENCE_S = 0.05;
const LEAST_QUEUE = 32_768;
const MOST_QUEUE = 1_048_576;

/** How long a turn takes, where that is enough for a packet. */
const TURN_S = 0.01;

/**
 * The classes of those who share, where no frame is larger than `frame` bytes. Pure.
 *
 * Whoever has his turn sends a packet even if it is more than the turn is worth, so turns are worth the largest packet there can be: else large
 * packets get more than small ones. Where such a packet takes long, packets are cut into frames before they wait.
 */
export function shapeOf(sharers: readonly Sharer[], frame: number): Shape {
  const slotOf = slots(sharers.map(({ group }) => group));
  const classes = new Map<number, HtbClass>();
  const queues = new Map<number, ByteQueue>();
  for (const { index, group, limit } of sharers) {
    const rate = Math.max(1, Math.round(limit.bytesPerSecond));
    const burst = Math.max(limit.burstBytes, rate * LATENESS_S, SMALLEST_BURST);
    const turn = rate * TURN_S;
    const cut = turn < LARGEST_PACKET && frame < LARGEST_PACKET;
    const quantum = cut ? clamp(turn, frame, LARGEST_PACKET) : LARGEST_PACKET;
    for (const [way, name] of WAYS.entries()) {
      const above = handle(GROUP_BIT + (slotOf.get(group) ?? 0) * 2 + way);
      const own = handle(CONTAINER[name] + index);
      // Turns are taken below it only; the kernel would not change this one.
      const whole = { rate, ceil: rate, burst, ceilBurst: burst, quantum: LARGEST_PACKET };
      classes.set(above, { handle: above, parent: handle(0), ...whole });
      const container = { rate: OWN_RATE, ceil: ANY_RATE, burst: OWN_BURST, ceilBurst: LARGEST_BURST, quantum };
      classes.set(own, { handle: own, parent: above, ...container });
      const limit = clamp(rate * PATIENCE_S, LEAST_QUEUE, MOST_QUEUE);
      queues.set(own, cut ? { limit, frame } : { limit });
    }
  }
  // Groups come before their containers.
  return { classes: [...classes.values()].sort((a, b) => a.parent - b.parent || a.handle - b.handle), queues };
}

/** Without it no bandwidth of this host holds: classes are made for all of its containers, or none waits. */
const lacking = (discipline: 'HTB' | 'TBF', error: unknown): DatapathError =>
  new DatapathError(
    `bandwidths of network profiles are not enforced on this host: its kernel has no ${discipline} queueing discipline (${reasonOf(error)}); try modprobe sch_${discipline.toLowerCase()}`,
  );

export class Shaper {
  readonly #netlink: Netlink;
  readonly #instance: string;
  /** The widest MTU that a network of this host has. */
  readonly #mtu: () => number;
  #ifindex: number;
  /** As last brought about: what differs from it is drift. */
  #known: ReadonlyMap<number, HtbClass> | undefined;
  #sharers: readonly Sharer[] = [];

  constructor(netlink: Netlink, instance: string, mtu: () => number) {
    this.#netlink = netlink;
    this.#instance = instance;
    this.#mtu = mtu;
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
    const end = { noArp: true, noLinkLocal: true };
    const mtu = this.#nearMtu;
    const ifindex =
      link?.index ??
      this.#netlink.addLink({
        kind: 'veth',
        name: SHAPER_DEVICE,
        ...end,
        mtu,
        alias: aliasOf(this.#instance, 'shaper'),
        peer: { name: SHAPER_PEER, ...end, mtu: FAR_MTU, alias: aliasOf(this.#instance, 'shaper peer') },
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
    if (link && link.mtu !== mtu) this.#netlink.setLink(ifindex, { mtu });
    for (const side of [this.#netlink.link(peer), this.#netlink.link(ifindex)]) {
      if (!side || side.up) continue;
      this.#netlink.setLink(side.index, { up: true });
      if (!made) repaired.push(`${side.name} was down`);
    }
    return repaired;
  }

  /** The kernel complains of queues that cut more finely than their device does. */
  get #nearMtu(): number {
    return Math.min(this.#mtu() + TAG, FAR_MTU);
  }

  #addHtb(ifindex: number): void {
    try {
      this.#netlink.setHtb(ifindex, MAJOR);
    } catch (error) {
      this.removeDevice();
      throw lacking('HTB', error);
    }
  }

  /** Writes the classes that are missing or different; `finish` removes the others, when no packet is told to go through them any more. */
  bring(sharers: readonly Sharer[]): {
    readonly written: number;
    readonly repaired: string[];
    readonly finish: (mode: ApplyMode) => number;
  } {
    const shape = shapeOf(sharers, this.#nearMtu + ETHERNET_HEADER);
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
    const queues = new Map(this.#netlink.qdiscs(this.#ifindex).map(({ parent, queue }) => [parent, queue]));
    for (const [above, queue] of shape.queues) {
      const there = queues.get(above);
      if (there?.limit !== queue.limit || there.frame !== queue.frame) this.#setQueue(above, queue);
    }
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

  #setQueue(above: number, queue: ByteQueue): void {
    try {
      this.#netlink.setByteQueue(this.#ifindex, above, queue);
    } catch (error) {
      if (queue.frame === undefined || !isRefused(error, 'ENOENT', 'EOPNOTSUPP')) throw error;
      throw lacking('TBF', error);
    }
  }

  /** Networks have another MTU. */
  resize(): void {
    if (this.#ifindex === 0) return;
    this.#netlink.setLink(this.#ifindex, { mtu: this.#nearMtu });
    this.bring(this.#sharers);
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
