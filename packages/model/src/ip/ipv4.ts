import type { Brand } from '../brand.js';

/** IPv4 address in canonical dotted-quad text, e.g. `10.1.2.1`. */
export type Ipv4 = Brand<string, 'Ipv4'>;

const OCTET = /^(0|[1-9][0-9]{0,2})$/;

/** Strict dotted quad (no leading zeros, no short forms, RFC 6943 §3.1.1); `undefined` when it is not one. */
export function parseIpv4(text: string): Ipv4 | undefined {
  return ipv4ToNumber(text) === undefined ? undefined : (text as Ipv4);
}

/** The address as an unsigned 32-bit number in host order; `undefined` for malformed text. */
export function ipv4ToNumber(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!OCTET.test(part)) return undefined;
    const octet = Number(part);
    if (octet > 255) return undefined;
    value = value * 256 + octet;
  }
  return value;
}

/** Numeric value of an address already known to be well formed. */
export function ipv4Value(address: Ipv4): number {
  const value = ipv4ToNumber(address);
  if (value === undefined) throw new RangeError(`not an IPv4 address: ${address}`);
  return value;
}

/** Canonical text of an unsigned 32-bit number. */
export function ipv4FromNumber(value: number): Ipv4 {
  return `${(value >>> 24) & 255}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}` as Ipv4;
}

/** Four bytes in network order. */
export function ipv4Bytes(address: Ipv4): Uint8Array {
  const v = ipv4Value(address);
  return Uint8Array.of((v >>> 24) & 255, (v >>> 16) & 255, (v >>> 8) & 255, v & 255);
}
