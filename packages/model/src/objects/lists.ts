/**
 * Lists in the text fields of rules: `app,ops`. One value is the list of itself, and no text the empty one, so a field says one value as it always
 * did. A list is a set: its normal form is sorted and has nothing twice, so whoever posts it in another order asks for the same.
 */
import type { z } from 'zod';
import { compareRanges, parseAddressRange } from '../ip/match.js';
import { badFormat, bounded, NAME, NAME_RULE, tooLong } from './primitives.js';

/** A rule with more peers or ports than this is several rules. */
export const MAX_ITEMS = 64;

/** The items of a list, without the spaces around them. Only no text at all is no list: a rule without peers is about everybody. */
export const itemsOf = (text: string | undefined): string[] =>
  text === undefined || text === '' ? [] : text.split(',').map((item) => item.trim());

/** The longest text of a list whose items have at most `max` characters each. */
export const listLength = (max: number): number => MAX_ITEMS * (max + 1);

/** What a list holds. */
interface Items {
  /** Characters an item has at most. */
  readonly max: number;
  /** What an item is, for whoever gave another thing. */
  readonly rule: string;
  /** The item as it is kept; `undefined`: it is none. */
  readonly normal: (item: string) => string | undefined;
  /** Order of two items as they are kept; of characters if absent. */
  readonly compare?: (a: string, b: string) => number;
}

/** At most {@link MAX_ITEMS} items, kept in their normal form; absent means none. */
function listOf(field: string, { max, rule, normal, compare }: Items): z.ZodPrefault<z.ZodString> {
  const wrong = (text: unknown) => itemsOf(String(text)).find((item) => normal(item) === undefined);
  return bounded(field, listLength(max))
    .refine((text) => itemsOf(text).length <= MAX_ITEMS, {
      error: `${field} has too many items\nat most ${MAX_ITEMS}, separated by commas; a second rule takes the others`,
      abort: true,
    })
    .refine((text) => itemsOf(text).every((item) => item.length <= max), { error: tooLong(field, max), abort: true })
    .refine((text) => wrong(text) === undefined, {
      error: ({ input }) => badFormat(field, `${JSON.stringify(wrong(input) ?? '')} is none of ${rule}`),
      abort: true,
    })
    .overwrite((text) => [...new Set(itemsOf(text).map((item) => normal(item) ?? item))].sort(compare).join(','))
    .prefault('');
}

/** Names of other objects. */
export const listOfNames = (field: string) =>
  listOf(field, { max: 64, rule: `names: ${NAME_RULE}`, normal: (item) => (NAME.test(item) ? item : undefined) });

/** Characters an address, prefix or range has at most. */
export const MATCH_LENGTH = 96;

/** Addresses, prefixes and ranges, of either family. */
export const listOfAddresses = (field: string) =>
  listOf(field, {
    max: MATCH_LENGTH,
    rule: 'addresses, prefixes and ranges: 10.1.1.7, 10.1.1.0/24, 10.1.1.5-20, 10.1.1.5-10.1.2.7, fd00::/64',
    normal: (item) => (parseAddressRange(item) ? item : undefined),
    compare: (a, b) => compareRanges(parseAddressRange(a), parseAddressRange(b)) || (a < b ? -1 : 1),
  });

/** Ports, first and last included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** `80` or `8000-8099`; `undefined` for anything else. */
export function parsePortRange(text: string): PortRange | undefined {
  const [, low, high] = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(text) ?? [];
  const [first, last] = [Number(low), Number(high ?? low)];
  return first >= 1 && first <= last && last <= 65_535 ? { first, last } : undefined;
}

/** A single port or range in its two fields. */
export const portFields = ({ first, last }: PortRange): { port: number; endPort: number } => ({
  port: first,
  endPort: last > first ? last : 0,
});

export const formatPortRange = ({ first, last }: PortRange): string => (first === last ? `${first}` : `${first}-${last}`);

const port = (text: string): PortRange => parsePortRange(text) ?? { first: 0, last: 0 };

/** Ports and ranges of them. */
export const listOfPorts = (field: string) =>
  listOf(field, {
    max: 16,
    rule: 'ports 1 to 65535 and ranges: 80, 8000-8099',
    normal: (item) => {
      const range = parsePortRange(item);
      return range && formatPortRange(range);
    },
    compare: (a, b) => port(a).first - port(b).first || port(a).last - port(b).last,
  });
