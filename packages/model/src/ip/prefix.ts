import { type Ipv4, ipv4FromNumber, ipv4ToNumber } from './ipv4.js';
import { type Ipv6, ipv6FromBigInt, ipv6ToBigInt } from './ipv6.js';

/** An IPv4 prefix: `address` is the network address (host bits cleared), `length` 0–32. */
export interface Prefix4 {
  readonly address: Ipv4;
  readonly length: number;
}

/** An IPv6 prefix: `address` is the network address (host bits cleared), `length` 0–128. */
export interface Prefix6 {
  readonly address: Ipv6;
  readonly length: number;
}

function split(text: string, max: number): [string, number] | undefined {
  const slash = text.indexOf('/');
  const digits = text.slice(slash + 1);
  if (slash < 0 || !/^(0|[1-9][0-9]{0,2})$/.test(digits) || Number(digits) > max) return undefined;
  return [text.slice(0, slash), Number(digits)];
}

/** Number of addresses of an IPv4 prefix length. */
export const size4 = (length: number): number => 2 ** (32 - length);

/** First address of the prefix that `value` lies in. */
export const network4 = (value: number, length: number): number => value - (value % size4(length));

/** `a.b.c.d/len`, host bits tolerated and cleared; `undefined` when malformed. */
export function parsePrefix4(text: string): Prefix4 | undefined {
  const parts = split(text, 32);
  const value = parts && ipv4ToNumber(parts[0]);
  if (!parts || value === undefined) return undefined;
  return { address: ipv4FromNumber(network4(value, parts[1])), length: parts[1] };
}

/** `v6/len`, host bits tolerated and cleared; `undefined` when malformed. */
export function parsePrefix6(text: string): Prefix6 | undefined {
  const parts = split(text, 128);
  const value = parts && ipv6ToBigInt(parts[0]);
  if (!parts || value === undefined) return undefined;
  const host = BigInt(128 - parts[1]);
  return { address: ipv6FromBigInt((value >> host) << host), length: parts[1] };
}

export const formatPrefix = (prefix: Prefix4 | Prefix6): string => `${prefix.address}/${prefix.length}`;

/** Does the IPv4 prefix contain the address (text)? Malformed text is in no prefix. */
export function contains4(prefix: Prefix4, address: string): boolean {
  const value = ipv4ToNumber(address);
  const base = ipv4ToNumber(prefix.address);
  return value !== undefined && base !== undefined && network4(value, prefix.length) === base;
}

/** Does the IPv6 prefix contain the address (text)? Malformed text is in no prefix. */
export function contains6(prefix: Prefix6, address: string): boolean {
  const value = ipv6ToBigInt(address);
  const base = ipv6ToBigInt(prefix.address);
  const host = BigInt(128 - prefix.length);
  return value !== undefined && base !== undefined && value >> host === base >> host;
}
