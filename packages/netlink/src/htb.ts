/** Hierarchical token buckets (tc-htb(8)): classes of packets that share a rate, each with a queue of its own. */
import { type Attribute, decodeAttributes, NESTED, nested, readText, text, u32, u64 } from './codec.js';
import { HTB_VERSION, TC_H_ROOT, TC_LINKLAYER_ETHERNET, TCA, TCA_HTB } from './constants.js';
import { tcBody } from './tc.js';

/** Handles are a major number, the discipline's, above 16 bits of a minor one, the class's; 0 stands for the discipline itself. */
export interface HtbClass {
  readonly handle: number;
  /** Of the class above, or of the discipline. */
  readonly parent: number;
  /** Bytes a second that are its own, and that it may have when the class above can spare them. */
  readonly rate: number;
  readonly ceil: number;
  /** Bytes that may leave at once, of either. */
  readonly burst: number;
  readonly ceilBurst: number;
  /** Bytes it may send before its siblings have their turn. */
  readonly quantum: number;
}

/** The kernel keeps a bucket as the time it takes to fill, in units of 64 ns. */
const TICK_NS = 64;
const ticks = (bytes: number, rate: number): number => Math.min(0xffff_ffff, Math.ceil((bytes / rate) * (1e9 / TICK_NS)));
const bytesIn = (time: number, rate: number): number => (time * TICK_NS * rate) / 1e9;
const PARMS_BYTES = 44;
const MAJOR = 0xffff_0000;
const MAX_32 = 0xffff_ffff;

export const rootBody = (link: number, major: number): Buffer => tcBody(link, (major << 16) >>> 0, TC_H_ROOT, 0);
/** What is in no class is not held up. */
export const rootAttributes = (): Attribute[] => [
  [TCA.kind, text('htb')],
  [TCA.options | NESTED, [[TCA_HTB.init, Buffer.concat([u32(HTB_VERSION), u32(10), u32(0), u32(0), u32(0)])]]],
];

export const classBody = (link: number, { handle, parent }: Pick<HtbClass, 'handle' | 'parent'>): Buffer => tcBody(link, handle, parent, 0);

export function classAttributes({ rate, ceil, burst, ceilBurst, quantum }: HtbClass): Attribute[] {
  // struct tc_htb_opt: two rates of 12 bytes, the buckets, the quantum; the rest is the kernel's.
  const parms = Buffer.alloc(PARMS_BYTES);
  parms.writeUInt8(TC_LINKLAYER_ETHERNET, 1);
  parms.writeUInt32LE(Math.min(rate, MAX_32), 8);
  parms.writeUInt8(TC_LINKLAYER_ETHERNET, 13);
  parms.writeUInt32LE(Math.min(ceil, MAX_32), 20);
  parms.writeUInt32LE(ticks(burst, rate), 24);
  parms.writeUInt32LE(ticks(ceilBurst, ceil), 28);
  parms.writeUInt32LE(quantum, 32);
  const wide: Attribute[] = [];
  if (rate > MAX_32) wide.push([TCA_HTB.rate64, u64(rate)]);
  if (ceil > MAX_32) wide.push([TCA_HTB.ceil64, u64(ceil)]);
  return [
    [TCA.kind, text('htb')],
    [TCA.options | NESTED, [[TCA_HTB.parms, parms], ...wide]],
  ];
}

/** `undefined` for a class of another discipline. */
export function decodeClass(payload: Buffer): HtbClass | undefined {
  const attributes = decodeAttributes(payload.subarray(20));
  const options = nested(attributes, TCA.options);
  const parms = options.get(TCA_HTB.parms);
  if (readText(attributes.get(TCA.kind)) !== 'htb' || !parms || parms.length < PARMS_BYTES) return undefined;
  const rate = Number(options.get(TCA_HTB.rate64)?.readBigUInt64LE(0) ?? parms.readUInt32LE(8));
  const ceil = Number(options.get(TCA_HTB.ceil64)?.readBigUInt64LE(0) ?? parms.readUInt32LE(20));
  const handle = payload.readUInt32LE(8);
  const parent = payload.readUInt32LE(12);
  return {
    handle,
    // The kernel writes the discipline itself as the root.
    parent: parent === TC_H_ROOT ? (handle & MAJOR) >>> 0 : parent,
    rate,
    ceil,
    burst: bytesIn(parms.readUInt32LE(24), rate),
    ceilBurst: bytesIn(parms.readUInt32LE(28), ceil),
    quantum: parms.readUInt32LE(32),
  };
}

/** The same class, as the kernel would keep them. */
export function sameClass(a: HtbClass, b: HtbClass): boolean {
  // A tick of the bucket's clock more or less comes of the way there and back.
  const near = (x: number, y: number, rate: number): boolean => Math.abs(ticks(x, rate) - ticks(y, rate)) <= 1;
  const rates = a.rate === b.rate && a.ceil === b.ceil && a.quantum === b.quantum && a.parent === b.parent;
  return rates && near(a.burst, b.burst, a.rate) && near(a.ceilBurst, b.ceilBurst, a.ceil);
}
