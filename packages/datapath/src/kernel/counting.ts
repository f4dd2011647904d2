/** Reads the counters the programs keep, one copy per CPU, and adds them up. */
import type { BpfMap } from '@contiv/syscall';
import type { PortCounters } from '../contract.js';
import { u32Key } from '../maps/layout.js';
import { DROP_REASONS } from '../maps/reasons.js';

const WORD = 8;

/** Sums words `0…words` of a per-CPU value. Pure. */
export function sumPerCpu(value: Buffer, words: number): bigint[] {
  const sums = Array.from({ length: words }, () => 0n);
  for (let at = 0; at + words * WORD <= value.length; at += words * WORD) {
    for (let word = 0; word < words; word++) sums[word] = (sums[word] ?? 0n) + value.readBigUInt64LE(at + word * WORD);
  }
  return sums;
}

const reasonName = (number: number): string => DROP_REASONS[number] ?? `reason-${number}`;

export class Counting {
  readonly #counters: BpfMap;
  readonly #portDrops: BpfMap;
  readonly #drops: BpfMap;

  constructor(map: (name: string) => BpfMap) {
    this.#counters = map('counters');
    this.#portDrops = map('port_drops');
    this.#drops = map('drops');
  }

  /** @param index of each port, by name. */
  ports(indexes: ReadonlyMap<string, number>): Map<string, PortCounters> {
    const dropped = new Map<number, Record<string, bigint>>();
    for (const [key, value] of this.#portDrops.entries()) {
      const index = key.readUInt16LE(0);
      const [count = 0n] = sumPerCpu(value, 1);
      const reasons = dropped.get(index) ?? {};
      if (count > 0n) reasons[reasonName(key.readUInt16LE(2))] = count;
      dropped.set(index, reasons);
    }
    const result = new Map<string, PortCounters>();
    for (const [name, index] of indexes) {
      const [rxPackets = 0n, rxBytes = 0n, txPackets = 0n, txBytes = 0n] = sumPerCpu(
        this.#counters.get(u32Key(index)) ?? Buffer.alloc(0),
        4,
      );
      result.set(name, { rxPackets, rxBytes, txPackets, txBytes, dropped: dropped.get(index) ?? {} });
    }
    return result;
  }

  /** What went over the uplinks: their counter is the number no port has. */
  uplinks(): PortCounters {
    return this.ports(new Map([['', 0]])).get('') ?? { rxPackets: 0n, rxBytes: 0n, txPackets: 0n, txBytes: 0n, dropped: {} };
  }

  /** All drops of this host since the tables were made, by reason; reasons that never happened are absent. */
  totals(): Record<string, bigint> {
    const totals: Record<string, bigint> = {};
    for (const [number, name] of DROP_REASONS.entries()) {
      const [count = 0n] = sumPerCpu(this.#drops.get(u32Key(number)) ?? Buffer.alloc(0), 1);
      if (count > 0n) totals[name] = count;
    }
    return totals;
  }

  /** A number that another port had before begins at zero. */
  reset(index: number): void {
    this.#counters.set(u32Key(index), Buffer.alloc(this.#counters.bytesPerValue));
    for (const reason of DROP_REASONS.keys()) {
      const key = Buffer.alloc(4);
      key.writeUInt16LE(index, 0);
      key.writeUInt16LE(reason, 2);
      this.#portDrops.delete(key);
    }
  }
}
