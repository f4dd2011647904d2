/** Messages and attributes of rtnetlink (RFC 3549; `<linux/netlink.h>`): bytes in, bytes out, no I/O. Numbers are in this machine's order. */
import { endianness } from 'node:os';

/** Everything below writes little-endian; Node runs on no big-endian machine but s390x. */
if (endianness() !== 'LE') throw new Error('@contiv/netlink needs a little-endian machine');

export const HEADER = 16;
const align = (length: number): number => (length + 3) & ~3;

/** One attribute: a type and its payload. Nested ones are a list of attributes. */
export type Attribute = readonly [type: number, value: Uint8Array | readonly Attribute[]];

/** Marks an attribute as a container of others (NLA_F_NESTED). */
export const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;

export const u8 = (value: number): Buffer => Buffer.of(value);
export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}
/** Ports and protocols travel in network order. */
export function be16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
/** NUL-terminated text. */
export const text = (value: string): Buffer => Buffer.from(`${value}\0`, 'utf8');

export function encodeAttributes(attributes: readonly Attribute[]): Buffer {
  return Buffer.concat(
    attributes.map(([type, value]) => {
      const payload = value instanceof Uint8Array ? value : encodeAttributes(value);
      const bytes = Buffer.alloc(align(4 + payload.length));
      bytes.writeUInt16LE(4 + payload.length, 0);
      bytes.writeUInt16LE(type, 2);
      bytes.set(payload, 4);
      return bytes;
    }),
  );
}

/** A malformed tail is ignored, as the kernel's own parsers do. The last attribute of a type wins. */
export function decodeAttributes(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break;
    found.set(bytes.readUInt16LE(at + 2) & TYPE_MASK, bytes.subarray(at + 4, at + length));
    at += align(length);
  }
  return found;
}

/** Attributes inside the attribute `type`; none when it is absent. */
export function nested(attributes: ReadonlyMap<number, Buffer>, type: number): Map<number, Buffer> {
  const bytes = attributes.get(type);
  return bytes ? decodeAttributes(bytes) : new Map();
}

export function readText(bytes: Buffer | undefined): string {
  if (!bytes) return '';
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
export const readU32 = (bytes: Buffer | undefined): number | undefined => (bytes && bytes.length >= 4 ? bytes.readUInt32LE(0) : undefined);
export const readU8 = (bytes: Buffer | undefined): number | undefined => bytes?.[0];
export const readBe16 = (bytes: Buffer | undefined): number | undefined => (bytes && bytes.length >= 2 ? bytes.readUInt16BE(0) : undefined);

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Buffer;
}

/** @param body the family's own header, e.g. `struct ifinfomsg`. */
export function encodeMessage(type: number, flags: number, sequence: number, body: Uint8Array, attributes: readonly Attribute[]): Buffer {
  const tail = encodeAttributes(attributes);
  const start = HEADER + align(body.length);
  const bytes = Buffer.alloc(start + tail.length);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(body, HEADER);
  bytes.set(tail, start);
  return bytes;
}

/** Splits a datagram into its messages. */
export function decodeMessages(bytes: Buffer): Message[] {
  const messages: Message[] = [];
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length < HEADER || at + length > bytes.length) break;
    messages.push({
      type: bytes.readUInt16LE(at + 4),
      flags: bytes.readUInt16LE(at + 6),
      sequence: bytes.readUInt32LE(at + 8),
      payload: bytes.subarray(at + HEADER, at + length),
    });
    at += align(length);
  }
  return messages;
}
