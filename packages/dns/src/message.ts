/** DNS messages on the wire, as far as a small server needs them (RFC 1035 §4, RFC 6891). Pure. */
import { AUTHORITATIVE_ANSWER, decode, encode, type OptAnswer, RECURSION_AVAILABLE, RECURSION_DESIRED, type RecordType } from 'dns-packet';

export interface Question {
  /** As asked, without the final dot; DNS compares without case. */
  readonly name: string;
  /** Types without a name come as `UNKNOWN_n`. */
  readonly type: RecordType;
}

export interface Query {
  readonly id: number;
  readonly question: Question;
  readonly recursionDesired: boolean;
  /** Bytes of a UDP answer the asker takes; `undefined` when it does not speak EDNS. */
  readonly udpSize: number | undefined;
}

export const HEADER_BYTES = 12;
/** UDP answers without EDNS (RFC 1035 §4.2.1). */
const PLAIN_UDP_BYTES = 512;
/** What we offer and at most send by UDP: fits every path without fragments (RFC 9715). */
export const EDNS_UDP_BYTES = 1232;
export const MAX_TCP_BYTES = 65_535;

/** Containers come and go: nobody should believe in an address for long. */
const TTL_SECONDS = 5;

export const RCODE = { formatError: 1, serverFailure: 2, notImplemented: 4 } as const;
export type Rcode = (typeof RCODE)[keyof typeof RCODE];

export type Parsed =
  | { readonly kind: 'query'; readonly query: Query }
  /** Not of class IN: passed on unread. */
  | { readonly kind: 'foreign' }
  /** Answered with this code. */
  | { readonly kind: 'refused'; readonly code: Rcode }
  /** Not worth an answer: too short to bear one, or an answer itself. */
  | { readonly kind: 'ignored' };

/** Reads what a client sent; never throws. */
export function parseQuery(bytes: Buffer): Parsed {
  if (bytes.length < HEADER_BYTES || isAnswer(bytes)) return { kind: 'ignored' };
  if ((bytes.readUInt8(2) & 0x78) !== 0) return { kind: 'refused', code: RCODE.notImplemented };
  if (bytes.readUInt16BE(4) !== 1) return { kind: 'refused', code: RCODE.formatError };
  try {
    const { questions, additionals } = decode(bytes);
    const asked = questions?.[0];
    if (!asked) return { kind: 'refused', code: RCODE.formatError };
    if (asked.class !== undefined && asked.class !== 'IN') return { kind: 'foreign' };
    const opt = additionals?.find((record): record is OptAnswer => record.type === 'OPT');
    return {
      kind: 'query',
      query: {
        id: bytes.readUInt16BE(0),
        question: { name: asked.name, type: asked.type },
        recursionDesired: (bytes.readUInt8(2) & 0x01) !== 0,
        udpSize: opt === undefined ? undefined : Math.max(opt.udpPayloadSize, PLAIN_UDP_BYTES),
      },
    };
  } catch {
    return { kind: 'refused', code: RCODE.formatError };
  }
}

export const isAnswer = (bytes: Buffer): boolean => (bytes.readUInt8(2) & 0x80) !== 0;
export const rcodeOf = (bytes: Buffer): number => bytes.readUInt8(3) & 0x0f;
export const isTruncated = (bytes: Buffer): boolean => (bytes.readUInt8(2) & 0x02) !== 0;

/** Bytes an answer by UDP may have. */
export const udpLimit = (query: Query): number => Math.min(query.udpSize ?? PLAIN_UDP_BYTES, EDNS_UDP_BYTES);

/** Root name, type, class, TTL, length and an IPv4 address: no record of ours is shorter. */
const SHORTEST_RECORD = 15;

/** Answer from records of ours: as many as fit, with the truncation bit when some do not. No data: the name exists, the type does not. */
export function encodeAnswer(query: Query, data: readonly string[], limit: number): Buffer {
  const encoded = (count: number) => encodeSome(query, data.slice(0, count));
  // A group may have thousands of containers: few counts are tried, and none that cannot be.
  let [fits, most] = [0, Math.min(data.length, Math.floor(limit / SHORTEST_RECORD))];
  for (let count = most; fits < most; count = Math.ceil((fits + most) / 2)) {
    if (encoded(count).length > limit) most = count - 1;
    else fits = count;
  }
  const bytes = encoded(fits);
  if (fits < data.length) bytes.writeUInt8(bytes.readUInt8(2) | 0x02, 2);
  return bytes;
}

function encodeSome({ id, question: { name, type }, recursionDesired, udpSize }: Query, data: readonly string[]): Buffer {
  return encode({
    type: 'response',
    id,
    flags: AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | (recursionDesired ? RECURSION_DESIRED : 0),
    questions: [{ name, type, class: 'IN' }],
    answers: data.map((value) => ({ name, type: addressType(type), class: 'IN', ttl: TTL_SECONDS, data: value })),
    additionals: udpSize === undefined ? [] : [optRecord],
  });
}

const optRecord: OptAnswer = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: EDNS_UDP_BYTES,
  flags: 0,
  flag_do: false,
  extendedRcode: 0,
  ednsVersion: 0,
  options: [],
};

/** Only these bear one text as data; whoever has data for another type has made a mistake. */
function addressType(type: RecordType): 'A' | 'AAAA' | 'PTR' {
  if (type === 'A' || type === 'AAAA' || type === 'PTR') return type;
  throw new RangeError(`records of type ${type} are not served`);
}

/** A refusal that repeats the question as it came. */
export function encodeRefusal(request: Buffer, code: Rcode): Buffer {
  const end = questionEnd(request);
  const bytes = Buffer.from(request.subarray(0, end ?? HEADER_BYTES));
  bytes.writeUInt8((bytes.readUInt8(2) & 0x79) | 0x80, 2);
  bytes.writeUInt8(0x80 | code, 3);
  bytes.writeUInt16BE(end === undefined ? 0 : 1, 4);
  bytes.fill(0, 6, HEADER_BYTES);
  return bytes;
}

/** Offset behind the first question; `undefined` when there is none that is whole. */
export function questionEnd(bytes: Buffer): number | undefined {
  if (bytes.length < HEADER_BYTES || bytes.readUInt16BE(4) === 0) return undefined;
  let at = HEADER_BYTES;
  for (;;) {
    const length = bytes[at];
    // The first name of a message has nothing to point back to.
    if (length === undefined || length > 63) return undefined;
    at += 1 + length;
    if (length === 0) return at + 4 <= bytes.length ? at + 4 : undefined;
  }
}
