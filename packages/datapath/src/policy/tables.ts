/** Policies as entries of the tables in bpf/maps.h, byte for byte. Pure. */
import type { Way } from '@contiv/model';
import type { Difference, PrefixKey, RuleKey, RuleValue } from './entries.js';

/** The tables of a set's entries: whoever refers to a set comes after them. */
export const SET_TABLES = ['rules', 'rule_addresses', 'rule_ports'] as const;
export type SetTable = (typeof SET_TABLES)[number];
export const isSetTable = (name: string): name is SetTable => SET_TABLES.some((table) => table === name);

/** Sets have numbers below this. */
export const MAX_SETS = 2 ** 30;

/** `undefined`: the key goes. */
export type Change = readonly [key: Buffer, value: Buffer | undefined];
export type Changes = Readonly<Record<SetTable, Change[]>>;

export const noChanges = (): Changes => ({ rules: [], rule_addresses: [], rule_ports: [] });

const wayNumber = (way: Way): number => (way === 'in' ? 0 : 1);

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value, i * 4);
  return bytes;
}

/** `struct subject` */
export function subjectBytes(set: number, patterns: Readonly<Record<Way, number>>, denies: boolean): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(set, 0);
  bytes.writeUInt32LE(patterns.in, 4);
  bytes.writeUInt32LE(patterns.out, 8);
  bytes.writeUInt8(denies ? 1 : 0, 12);
  bytes.writeUInt8(denies ? 1 : 0, 13);
  return bytes;
}

/** Whoever's rules do not fit is cut off: no rules, and everything denied. */
export const CUT_OFF = subjectBytes(0, { in: 0, out: 0 }, true);

/** `struct rule_key` and `struct rule` */
function ruleChange(set: number, key: RuleKey, rule: RuleValue | undefined): Change {
  const bytes = words(set, wayNumber(key.way) | (key.pattern << 8), key.group, key.peer, key.own, key.service);
  if (!rule) return [bytes, undefined];
  const value = words(rule.number, 0);
  value.writeUInt16LE(rule.rank, 4);
  value.writeUInt8(rule.deny ? 1 : 0, 6);
  value.writeUInt8(rule.log === true ? 1 : 0, 7);
  return [bytes, value];
}

/** `struct address_key` */
function addressChange(set: number, { way, own, value, length }: PrefixKey, number: number | undefined): Change {
  const key = words(32 + length, 0, 0, 0, 0, 0);
  key.writeUInt32BE(set * 4 + wayNumber(way) * 2 + (own ? 1 : 0), 4);
  key.writeBigUInt64BE(value >> 64n, 8);
  key.writeBigUInt64BE(value & 0xffff_ffff_ffff_ffffn, 16);
  return [key, number === undefined ? undefined : words(number)];
}

/** `struct port_key` */
function portChange(set: number, { way, value, length }: PrefixKey, number: number | undefined): Change {
  const key = words(32 + length, 0, 0);
  key.writeUInt32BE(set * 4 + wayNumber(way) * 2, 4);
  key.writeUIntBE(Number(value), 8, 3);
  return [key, number === undefined ? undefined : words(number)];
}

/** The difference in the entries of the set of that number. */
export const changesOf = (set: number, { rules, addresses, ports }: Difference): Changes => ({
  rules: [...rules.values()].map(([key, rule]) => ruleChange(set, key, rule)),
  rule_addresses: [...addresses.values()].map(([key, number]) => addressChange(set, key, number)),
  rule_ports: [...ports.values()].map(([key, number]) => portChange(set, key, number)),
});

/** Number of the set an entry belongs to. */
export const setOfKey = (table: SetTable, key: Buffer): number => (table === 'rules' ? key.readUInt32LE(0) : key.readUInt32BE(4) >>> 2);
