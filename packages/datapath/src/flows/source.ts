/** Where the agent learns of connections: the ring for what happens, the tables for what is. */
import type { Vni } from '@contiv/model';
import { type BpfMap, RingBuffer } from '@contiv/syscall';
import { sumPerCpu } from '../kernel/counting.js';
import { networkDomain, u32Key } from '../maps/layout.js';
import {
  type FlowEvent,
  type FlowLimits,
  isExpired,
  isTold,
  LEFT_OUT,
  type LeftOut,
  limitBytes,
  parseEvent,
  parseTracked,
  type TrackedConnection,
} from './codec.js';

/** The programs' clock: units of 2^30 ns since boot. */
export const nowUnits = (): number => Number(process.hrtime.bigint() >> 30n);

export interface FlowSource {
  /** How much the kernel tells; nothing without limits. */
  limit(limits: FlowLimits | undefined): void;
  /** What happened since the last call, also to an agent before this one; at most `most` events. Answers how many. */
  read(take: (event: FlowEvent) => void, most: number): number;
  /**
   * The connections at present whose beginning was told, one after the other: in a flood most are not, and cost next to nothing here. A full
   * table takes a tenth of a second.
   */
  connections(): Iterable<TrackedConnection>;
  /** Records left out since the tables were made. */
  leftOut(): Readonly<Record<LeftOut, number>>;
  /** Networks by the number of their routing domain. */
  domains(): ReadonlyMap<number, readonly Vni[]>;
}

export class KernelFlows implements FlowSource {
  readonly #map: (name: string) => BpfMap;
  /** Mapped at first use; gone for good once closed. */
  #ring: RingBuffer | undefined;
  #closed = false;
  readonly #departed: () => TrackedConnection[];

  /** @param departed connections that ended because a container left, since the last call. */
  constructor(map: (name: string) => BpfMap, departed: () => TrackedConnection[] = () => []) {
    this.#map = map;
    this.#departed = departed;
  }

  limit(limits: FlowLimits | undefined): void {
    this.#map('flow_limits').set(u32Key(0), limitBytes(limits));
  }

  read(take: (event: FlowEvent) => void, most: number): number {
    if (this.#closed) return 0;
    this.#ring ??= new RingBuffer(this.#map('flows'));
    const told = this.#ring.read((bytes) => {
      const event = parseEvent(bytes);
      if (event) take(event);
    }, most);
    if (told >= most) return told;
    // Their beginnings have all been read.
    const departed = this.#departed();
    for (const connection of departed) take({ kind: 'ended', connection });
    return told + departed.length;
  }

  *connections(): Generator<TrackedConnection, void, undefined> {
    const now = nowUnits();
    for (const name of ['connections4', 'connections6']) {
      for (const [key, value] of this.#map(name).walk()) {
        if (!isTold(value)) continue;
        const connection = parseTracked(key, value);
        if (!isExpired(connection, now)) yield connection;
      }
    }
  }

  leftOut(): Record<LeftOut, number> {
    const count = (number: number) => Number(sumPerCpu(this.#map('flow_left_out').get(u32Key(number)) ?? Buffer.alloc(0), 1)[0] ?? 0n);
    const [opened, denied, logged, room] = LEFT_OUT.map((_, number) => count(number));
    return { opened: opened ?? 0, denied: denied ?? 0, logged: logged ?? 0, room: room ?? 0 };
  }

  domains(): Map<number, Vni[]> {
    const domains = new Map<number, Vni[]>();
    for (const [key, value] of this.#map('networks').entries()) {
      const domain = networkDomain(value);
      domains.set(domain, [...(domains.get(domain) ?? []), key.readUInt32LE(0) as Vni]);
    }
    return domains;
  }

  close(): void {
    this.#closed = true;
    this.#ring?.close();
    this.#ring = undefined;
  }
}
