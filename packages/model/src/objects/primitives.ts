/**
 * The checks of spec/contiv §1.2. Each carries Contiv's own sentence as its message, so that the first issue of a parse,
 * taken in alphabetical order of the fields, is what the user reads.
 */
import { z } from 'zod';
import { ipv4ToNumber } from '../ip/ipv4.js';
import { ipv6ToBigInt } from '../ip/ipv6.js';
import { parsePrefix6 } from '../ip/prefix.js';

const LABEL = '[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]';
/** One or more dot-separated labels of letters, digits and inner hyphens. */
export const NAME = new RegExp(`^((${LABEL})\\.)*(${LABEL})$`);
const OCTET = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const QUAD = `(${OCTET}\\.){3}${OCTET}`;
const SUBNET = new RegExp(`^${QUAD}(-${QUAD})?/(3[01]|[12][0-9]|[1-9])$`);
const POOL = new RegExp(`^(${QUAD}(-${QUAD})?)?$`);
/** An address, or a range of its last octet, with its length. */
export const ROUTER_IP = new RegExp(`^${QUAD}(-${OCTET})?/(3[01]|[12][0-9]|[1-9])$`);
const PRIVATE_SUBNET = new RegExp(`^${QUAD}/16$`);

/** Contiv's sentence; what would be right follows on a line of its own, which becomes the refusal's hint. */
const sentence = (text: string, rule: string): string => (rule === '' ? text : `${text}\n${rule}`);
export const tooLong = (field: string, max?: number): string =>
  sentence(`${field} string too long`, max === undefined ? '' : `at most ${max} characters`);
export const badFormat = (field: string, rule = ''): string => sentence(`${field} string invalid format`, rule);
export const outOfBound = (field: string, min: number, max: number): string => sentence(`${field} Value Out of bound`, `${min} to ${max}`);

export const NAME_RULE = 'letters, digits and hyphens between them; no underscore, no slash';
const SUBNET_RULE = 'a.b.c.d/length with a length of 8 to 30, or a range of it: a.b.c.d-e.f.g.h/length';

/** The key in a posted object. The one in the path counts, and the fields it is made of have limits of their own. */
export const postedKey = z.string({ error: 'key must be a string' }).max(1_024, tooLong('key', 1_024)).optional();

/** A host's label: its name, or what `--host` of netplugin says. Unlike other names it may have underscores. */
export const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;
export const HOST_NAME_RULE = 'a host name has letters, digits, dots, hyphens and underscores';

/** Text of at most `max` characters; absent means empty, as a Go decoder leaves it. */
export const bounded = (field: string, max: number) =>
  // Later checks are spared texts that are too long: some of them take more than linear time.
  z.string({ error: `${field} must be a string` }).max(max, { error: tooLong(field, max), abort: true });

/** NAME: required. */
export const name = (field: string, max = 64) => bounded(field, max).regex(NAME, badFormat(field, NAME_RULE)).prefault('');

/** NAME or empty. */
export const optionalName = (field: string, max = 64) =>
  bounded(field, max)
    .refine((v) => v === '' || NAME.test(v), badFormat(field, NAME_RULE))
    .prefault('');

/** A host's label, or empty. */
export const optionalHost = (field: string) =>
  bounded(field, 253)
    .refine((v) => v === '' || HOST_NAME.test(v), badFormat(field, HOST_NAME_RULE))
    .prefault('');

/** Any text up to `max` characters. */
export const freeText = (field: string, max: number) => bounded(field, max).prefault('');

/** One of the words; `empty` says whether nothing at all is fine as well. */
export const word = (field: string, words: readonly string[], empty: boolean) =>
  bounded(field, 64)
    .refine((v) => words.includes(v) || (empty && v === ''), badFormat(field, words.join(' or ')))
    .meta({ enum: empty ? ['', ...words] : [...words] })
    .prefault('');

export const matching = (field: string, pattern: RegExp, max: number, rule = '') =>
  bounded(field, max).regex(pattern, badFormat(field, rule)).prefault('');

/** Any text that can be seen, up to `max` characters: required. */
export const label = (field: string, max: number) => matching(field, /^[^\p{Cc}\p{Cs}]+$/u, max, 'any characters that can be seen');

/** `a.b.c.d/len` or `a.b.c.d-e.f.g.h/len`, length 1–31. */
export const subnet4 = (field: string) => matching(field, SUBNET, 64, SUBNET_RULE);
/** Empty, an address, or a range `a-b`. */
export const addressPool = (field: string) => matching(field, POOL, 64, 'a.b.c.d, or a range a.b.c.d-e.f.g.h');
/** `a.b.c.d/16`, or empty for "as it is". */
export const privateSubnet = (field: string) =>
  bounded(field, 64)
    .refine((v) => v === '' || PRIVATE_SUBNET.test(v), badFormat(field, 'a.b.c.d/16'))
    .prefault('');

export const optionalIp4 = (field: string) =>
  bounded(field, 64)
    .refine((v) => v === '' || ipv4ToNumber(v) !== undefined, badFormat(field, 'a.b.c.d'))
    .prefault('');

export const optionalIp6 = (field: string) =>
  bounded(field, 64)
    .refine((v) => v === '' || ipv6ToBigInt(v) !== undefined, badFormat(field, 'an IPv6 address such as fd00::1'))
    .prefault('');

/** Empty or an IPv6 prefix of length 1–128. */
export const optionalSubnet6 = (field: string) =>
  bounded(field, 64)
    .refine(
      (v) => {
        const prefix = v === '' ? undefined : parsePrefix6(v);
        return v === '' || (prefix !== undefined && prefix.length >= 1);
      },
      badFormat(field, 'an IPv6 prefix such as fd00:1::/64'),
    )
    .prefault('');

/** Empty, `tcp`, `udp`, `icmp` or a number of IANA's list. */
export const protocol = (field: string) =>
  bounded(field, 64)
    .refine((v) => v === '' || protocolNumber(v) !== undefined, badFormat(field, 'tcp, udp, icmp or a number from 1 to 255'))
    .prefault('');

const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17 };

/** The number of a protocol given by name or number, 1–255. */
export function protocolNumber(text: string): number | undefined {
  if (Object.hasOwn(PROTOCOLS, text)) return PROTOCOLS[text];
  const value = /^[0-9]{1,3}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= 255 ? value : undefined;
}

/** Whole number within the bounds; absent means `min`'s side of zero. */
export const whole = (field: string, min: number, max: number) =>
  z
    .number({ error: `${field} must be a number` })
    .int(outOfBound(field, min, max))
    .min(min, outOfBound(field, min, max))
    .max(max, outOfBound(field, min, max))
    .prefault(0);

/** Names of other objects. */
export const nameList = (field: string, max = 256) =>
  z
    .array(z.string({ error: `${field} must be a list of strings` }).max(256, tooLong(field)), {
      error: `${field} must be a list of strings`,
    })
    .max(max, tooLong(field))
    .prefault([]);
