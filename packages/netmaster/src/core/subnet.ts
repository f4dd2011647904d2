/** The addresses of a network and of a group's pool, as numbers. */
import {
  formatPrefix,
  ipv4FromNumber,
  ipv4ToNumber,
  ipv6ToBigInt,
  ipv6Value,
  network4,
  type Prefix4,
  type Prefix6,
  parsePrefix6,
  type Range4,
  Refusal,
  size4,
} from '@contiv/model';

export interface Plan4 {
  readonly prefix: Prefix4;
  /** Network address to broadcast address. */
  readonly whole: Range4;
  /** What endpoints may get: the asked range without network and broadcast address; empty when `first > last`. */
  readonly usable: Range4;
  /** What was asked for, for overlap checks: the range as given, or the whole subnet. */
  readonly asked: Range4;
  readonly gateway: number | undefined;
}

export interface Plan6 {
  readonly prefix: Prefix6;
  /** The subnet's lowest address. */
  readonly base: bigint;
  /** What endpoints may get, to the end of the subnet. */
  readonly first: bigint;
  readonly last: bigint;
  readonly gateway: bigint | undefined;
}

/** In anything longer, network and broadcast address are all there is. */
const MAX_LENGTH_4 = 30;
const SUBNET_FORMAT = 'Network subnet format not valid';

/** Addresses of `a/len` or `a-b/len` (format already checked) and the gateway. Throws the refusals of spec/contiv §6.1. */
export function plan4(subnet: string, gateway: string): Plan4 {
  const [addresses = '', digits = ''] = subnet.split('/');
  const [from = '', to] = addresses.split('-');
  const length = Number(digits);
  const first = ipv4ToNumber(from);
  if (first === undefined) throw new Refusal('invalid', SUBNET_FORMAT);
  if (length < 8 || length > 31) throw new Refusal('invalid', `subnet length ${length} not supported`);
  const base = network4(first, length);
  const whole = { first: base, last: base + size4(length) - 1 };
  const last = to === undefined ? whole.last : ipv4ToNumber(to);
  if (last === undefined || last > whole.last || first > last) throw new Refusal('invalid', SUBNET_FORMAT);
  const asked = to === undefined ? whole : { first, last };
  const usable = { first: Math.max(asked.first, whole.first + 1), last: Math.min(asked.last, whole.last - 1) };
  const prefix = { address: ipv4FromNumber(base), length };
  if (length > MAX_LENGTH_4)
    throw new Refusal(
      'invalid',
      `subnet ${formatPrefix(prefix)} is too small: it has no address for a container`,
      'use a length of 8 to 30',
    );
  return { prefix, whole, asked, usable, gateway: gateway === '' ? undefined : gateway4(prefix, whole, gateway) };
}

function gateway4(prefix: Prefix4, whole: Range4, gateway: string): number {
  const value = inside4(prefix, gateway);
  if (value === whole.first || value === whole.last)
    throw new Refusal('invalid', `gateway ${gateway} is the network or broadcast address of ${formatPrefix(prefix)}`);
  return value;
}

/** Number of an address inside the subnet; Contiv's refusal for one outside. Network and broadcast address are no host's. */
export function inside4(prefix: Prefix4, address: string): number {
  const value = ipv4ToNumber(address);
  if (value === undefined) throw new Refusal('invalid', `invalid IP address ${address}`);
  const base = ipv4ToNumber(prefix.address) ?? 0;
  if (network4(value, prefix.length) !== base)
    throw new Refusal(
      'invalid',
      `hostIP ${address} is exceeding beyond subnet ${formatPrefix(prefix)}, hostID ${Math.abs(value - base)}`,
      `give an address inside ${formatPrefix(prefix)}`,
    );
  return value;
}

/** The lowest address is any router's (RFC 4291 §2.6.1), except where there are not more than two (RFC 6164). */
const ALL_USABLE_6 = 127;
/** IPv6 subnets shorter than this are beyond what endpoints could fill (spec/contiv §6.3). */
const MIN_LENGTH_6 = 16;

export function plan6(subnet: string, gateway: string): Plan6 | undefined {
  if (subnet === '') {
    if (gateway !== '') throw new Refusal('invalid', 'ipv6Gateway needs an ipv6Subnet');
    return undefined;
  }
  const prefix = parsePrefix6(subnet);
  if (!prefix) throw new Refusal('invalid', SUBNET_FORMAT);
  if (prefix.length < MIN_LENGTH_6) throw new Refusal('invalid', `subnet length ${prefix.length} not supported`);
  const base = ipv6Value(prefix.address);
  const last = base + (1n << BigInt(128 - prefix.length)) - 1n;
  const first = prefix.length >= ALL_USABLE_6 ? base : base + 1n;
  return { prefix, base, first, last, gateway: gateway === '' ? undefined : inside6(prefix, gateway) };
}

export function inside6(prefix: Prefix6, address: string): bigint {
  const value = ipv6ToBigInt(address);
  if (value === undefined) throw new Refusal('invalid', `invalid IP address ${address}`);
  const base = ipv6Value(prefix.address);
  const host = BigInt(128 - prefix.length);
  if (value >> host !== base >> host)
    throw new Refusal(
      'invalid',
      `hostIP ${address} is exceeding beyond subnet ${formatPrefix(prefix)}`,
      `give an address inside ${formatPrefix(prefix)}`,
    );
  return value;
}

/** `a` or `a-b`; a lone address is a pool of one (spec/contiv §1.3 has it crash). */
export function poolRange(pool: string): Range4 {
  const [from = '', to = from] = pool.split('-');
  const first = ipv4ToNumber(from);
  const last = ipv4ToNumber(to);
  if (first === undefined || last === undefined || first > last) throw new Refusal('invalid', `invalid ip-pool ${pool}`);
  return { first, last };
}
