import type { Brand } from '../brand.js';
import { ipv4ToNumber } from './ipv4.js';

/** IPv6 address in the canonical text of RFC 5952, e.g. `2001:db8::1`. */
export type Ipv6 = Brand<string, 'Ipv6'>;

const GROUP = /^[0-9a-fA-F]{1,4}$/;

/** The address as a 128-bit number; `undefined` for malformed text. Zone ids are refused. */
export function ipv6ToBigInt(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? groups(halves[1] ?? '', true) : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array.from({ length: halves.length === 2 ? missing : 0 }, () => 0), ...tail]) {
    value = (value << 16n) | BigInt(group);
  }
  return value;
}

function groups(text: string, mayEndWithQuad: boolean): number[] | undefined {
  if (text === '') return [];
  const out: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (mayEndWithQuad && i === parts.length - 1 && part.includes('.')) {
      const quad = ipv4ToNumber(part);
      if (quad === undefined) return undefined;
      out.push(quad >>> 16, quad & 0xffff);
    } else {
      if (!GROUP.test(part)) return undefined;
      out.push(Number.parseInt(part, 16));
    }
  }
  return out;
}

/** Canonical text (RFC 5952 §4: lower case, longest run of zeros compressed, first of equals). */
export function ipv6FromBigInt(value: bigint): Ipv6 {
  const parts: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) parts.push(Number((value >> shift) & 0xffffn));
  let best = { start: -1, length: 1 };
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && parts[i + length] === 0) length++;
    if (length > best.length) best = { start: i, length };
    i += Math.max(length - 1, 0);
  }
  const hex = parts.map((p) => p.toString(16));
  if (best.start < 0) return hex.join(':') as Ipv6;
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}` as Ipv6;
}

/** Canonical form of any valid text; `undefined` when malformed. */
export function parseIpv6(text: string): Ipv6 | undefined {
  const value = ipv6ToBigInt(text);
  return value === undefined ? undefined : ipv6FromBigInt(value);
}

/** Numeric value of an address already known to be well formed. */
export function ipv6Value(address: Ipv6): bigint {
  const value = ipv6ToBigInt(address);
  if (value === undefined) throw new RangeError(`not an IPv6 address: ${address}`);
  return value;
}

/** Sixteen bytes in network order. */
export function ipv6Bytes(address: Ipv6): Uint8Array {
  const out = new Uint8Array(16);
  let v = ipv6Value(address);
  for (let i = 15; i >= 0; i--) {
    out[i] = Number(v & 255n);
    v >>= 8n;
  }
  return out;
}
