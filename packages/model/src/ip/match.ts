import { ipv4ToNumber } from './ipv4.js';
import { ipv6ToBigInt } from './ipv6.js';
import { parsePrefix4, parsePrefix6 } from './prefix.js';

/** Addresses a rule speaks of, first and last included. */
export interface AddressRange {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
}

/** IPv4 before IPv6, then by the first address, then by the last. */
export function compareRanges(a: AddressRange | undefined, b: AddressRange | undefined): number {
  if (!a || !b) return Number(!a) - Number(!b);
  if (a.family !== b.family) return a.family - b.family;
  const difference = a.first === b.first ? a.last - b.last : a.first - b.first;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/**
 * An address, a prefix, or a range: `10.1.1.5`, `10.1.0.0/16`, `10.1.1.5-20`, `10.1.1.5-10.1.2.7`, `2001:db8::/64`,
 * `2001:db8::1-2001:db8::9`. Behind a range a length says in which subnet it lies and nothing more, as in a network's subnet.
 * `undefined` for anything else; everybody (`/0`) is said by leaving the address out.
 */
export function parseAddressRange(text: string): AddressRange | undefined {
  const [span = '', length, ...more] = text.split('/');
  const [first = '', last, ...others] = span.split('-');
  if (more.length > 0 || others.length > 0 || (length !== undefined && !/^[1-9][0-9]{0,2}$/.test(length))) return undefined;
  return first.includes(':') ? range6(first, last, length) : range4(first, last, length);
}

function range4(first: string, last: string | undefined, length: string | undefined): AddressRange | undefined {
  const prefix = parsePrefix4(`${first}/${length ?? 32}`);
  if (!prefix) return undefined;
  if (last !== undefined) {
    // The short form changes the last octet only.
    const end = /^[0-9]+$/.test(last) ? first.replace(/[0-9]+$/, last) : last;
    return ordered(4, ipv4ToNumber(first), ipv4ToNumber(end));
  }
  const base = ipv4ToNumber(prefix.address);
  return ordered(4, base, base === undefined ? undefined : base + 2 ** (32 - prefix.length) - 1);
}

function range6(first: string, last: string | undefined, length: string | undefined): AddressRange | undefined {
  const prefix = parsePrefix6(`${first}/${length ?? 128}`);
  if (!prefix) return undefined;
  if (last !== undefined) return ordered(6, ipv6ToBigInt(first), ipv6ToBigInt(last));
  const base = ipv6ToBigInt(prefix.address);
  return ordered(6, base, base === undefined ? undefined : base + (1n << BigInt(128 - prefix.length)) - 1n);
}

function ordered(family: 4 | 6, first: number | bigint | undefined, last: number | bigint | undefined): AddressRange | undefined {
  if (first === undefined || last === undefined || last < first) return undefined;
  return { family, first: BigInt(first), last: BigInt(last) };
}
