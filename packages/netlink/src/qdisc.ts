/**
 * Queueing disciplines, and the queues of classes: so many bytes, kept as they come (tc-bfifo(8)) or taken apart into frames first (tc-tbf(8), which
 * holds up nothing here).
 */
import { type Attribute, decodeAttributes, NESTED, nested, readText, readU32, text, u32, u64 } from './codec.js';
import { TC_LINKLAYER_ETHERNET, TCA, TCA_TBF } from './constants.js';
import { tcBody } from './tc.js';

export const qdiscsBody = (link: number): Buffer => tcBody(link, 0, 0, 0);

/** The queue of a class. */
export interface ByteQueue {
  /** Bytes that may wait. */
  readonly limit: number;
  /** What the sender left for a card to cut up is cut before it waits, into frames of at most so many bytes; absent: it waits whole. */
  readonly frame?: number;
}

const TBF_PARMS_BYTES = 36;
/** Bytes a second at which any frame passes in no time, as the kernel counts it: in nanoseconds. */
const NO_DELAY = 2 ** 47;

/** The two kinds have other numbers of their own, for the kernel makes no queue of another kind under a number that is taken. */
export const byteQueueBody = (link: number, parent: number, queue: ByteQueue): Buffer =>
  tcBody(link, (((parent & 0x7fff) | (queue.frame === undefined ? 0 : 0x8000)) << 16) >>> 0, parent, 0);

export function byteQueueAttributes({ limit, frame }: ByteQueue): Attribute[] {
  if (frame === undefined)
    return [
      [TCA.kind, text('bfifo')],
      [TCA.options, u32(limit)],
    ];
  // struct tc_tbf_qopt: two rates of 12 bytes, the limit, the bucket, and a length that only a second rate would use; there it can be read back.
  const parms = Buffer.alloc(TBF_PARMS_BYTES);
  parms.writeUInt8(TC_LINKLAYER_ETHERNET, 1);
  parms.writeUInt32LE(0xffff_ffff, 8);
  parms.writeUInt32LE(limit, 24);
  parms.writeUInt32LE(frame, 32);
  return [
    [TCA.kind, text('tbf')],
    [
      TCA.options | NESTED,
      [
        [TCA_TBF.parms, parms],
        [TCA_TBF.rate64, u64(NO_DELAY)],
        [TCA_TBF.burst, u32(frame)],
      ],
    ],
  ];
}

function decodeByteQueue(kind: string, attributes: ReadonlyMap<number, Buffer>): ByteQueue | undefined {
  if (kind === 'bfifo') {
    const limit = readU32(attributes.get(TCA.options));
    return limit === undefined ? undefined : { limit };
  }
  const parms = kind === 'tbf' ? nested(attributes, TCA.options).get(TCA_TBF.parms) : undefined;
  return parms && parms.length >= TBF_PARMS_BYTES ? { limit: parms.readUInt32LE(24), frame: parms.readUInt32LE(32) } : undefined;
}

export interface Qdisc {
  readonly link: number;
  readonly kind: string;
  readonly handle: number;
  readonly parent: number;
  /** `undefined` for disciplines that are no such queue. */
  readonly queue: ByteQueue | undefined;
}

export function decodeQdisc(payload: Buffer): Qdisc {
  const attributes = decodeAttributes(payload.subarray(20));
  const kind = readText(attributes.get(TCA.kind));
  return {
    link: payload.readInt32LE(4),
    kind,
    handle: payload.readUInt32LE(8),
    parent: payload.readUInt32LE(12),
    queue: decodeByteQueue(kind, attributes),
  };
}
