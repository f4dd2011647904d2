/** Policies as entries of the tables in bpf/maps.h, byte for byte. Pure. */
import type { PolicySet, Way } from '@contiv/model';
import { type CompiledSet, compile } from './compile.js';

/** The tables of a set's entries: whoever refers to a set comes after them. */
export const SET_TABLES = ['rules', 'rule_addresses', 'rule_ports'] as const;
export type SetTable = (typeof SET_TABLES)[number];
export const isSetTable = (name: string): name is SetTable => SET_TABLES.some((table) => table === name);

type Entry = readonly [key: Buffer, value: Buffer];

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

/** `struct rule_key` and `struct rule` */
function ruleEntry(set: number, rule: CompiledSet['rules'][number]): Entry {
  const key = words(set, wayNumber(rule.way) | (rule.pattern << 8), rule.group, rule.peer, rule.own, rule.service);
  const value = words(rule.number, 0);
  value.writeUInt16LE(rule.rank, 4);
  value.writeUInt8(rule.deny ? 1 : 0, 6);
  value.writeUInt8(rule.log ? 1 : 0, 7);
  return [key, value];
}

/** `struct address_key` */
function addressEntry(set: number, { way, own, value, length, number }: CompiledSet['addresses'][number]): Entry {
  const key = words(32 + length, 0, 0, 0, 0, 0);
  key.writeUInt32BE(set * 4 + wayNumber(way) * 2 + (own ? 1 : 0), 4);
  key.writeBigUInt64BE(value >> 64n, 8);
  key.writeBigUInt64BE(value & 0xffff_ffff_ffff_ffffn, 16);
  return [key, words(number)];
}

/** `struct port_key` */
function portEntry(set: number, { way, value, length, number }: CompiledSet['ports'][number]): Entry {
  const key = words(32 + length, 0, 0);
  key.writeUInt32BE(set * 4 + wayNumber(way) * 2, 4);
  key.writeUIntBE(Number(value), 8, 3);
  return [key, words(number)];
}

/** A set under its number, ready to be written. */
export interface WrittenSet {
  readonly number: number;
  readonly subject: Buffer;
  readonly entries: Readonly<Record<SetTable, readonly Entry[]>>;
}

const EMPTY: WrittenSet['entries'] = { rules: [], rule_addresses: [], rule_ports: [] };
/** Whoever's rules do not fit is cut off: no rules, and everything denied. */
export const CUT_OFF: WrittenSet = { number: 0, subject: subjectBytes(0, { in: 0, out: 0 }, true), entries: EMPTY };

const known = new WeakMap<PolicySet, CompiledSet | 'too large'>();
const written = new WeakMap<CompiledSet, WrittenSet>();

/** Compiled once as long as the set lives. */
export function compileOnce(set: PolicySet): CompiledSet | 'too large' {
  let compiled = known.get(set);
  if (compiled === undefined) {
    compiled = compile(set);
    known.set(set, compiled);
  }
  return compiled;
}

/** @param number another one than the set's own when that is taken by a set with other rules. */
export function writeSet(set: CompiledSet, number = set.number): WrittenSet {
  let result = written.get(set);
  if (result?.number !== number) {
    result = {
      number,
      subject: subjectBytes(number, set.patterns, set.denies),
      entries: {
        rules: set.rules.map((rule) => ruleEntry(number, rule)),
        rule_addresses: set.addresses.map((entry) => addressEntry(number, entry)),
        rule_ports: set.ports.map((entry) => portEntry(number, entry)),
      },
    };
    written.set(set, result);
  }
  return result;
}

/** The sets of all subjects, each under a number of its own, and a sentence for each that does not fit. */
export function writeSets(sets: Iterable<PolicySet>): { readonly of: ReadonlyMap<PolicySet, WrittenSet>; readonly failed: string[] } {
  const of = new Map<PolicySet, WrittenSet>();
  const byNumber = new Map<number, string>();
  const failed: string[] = [];
  for (const set of sets) {
    if (of.has(set)) continue;
    const compiled = compileOnce(set);
    if (compiled === 'too large') {
      failed.push(
        `a policy of ${set.rules.length} rules does not fit: many ports for wide subnets meet many single addresses; its containers are cut off until it has fewer`,
      );
      of.set(set, CUT_OFF);
      continue;
    }
    let { number } = compiled;
    while (byNumber.has(number) && byNumber.get(number) !== compiled.digest) number = (number + 1) % 2 ** 30;
    byNumber.set(number, compiled.digest);
    of.set(set, writeSet(compiled, number));
  }
  return { of, failed };
}
