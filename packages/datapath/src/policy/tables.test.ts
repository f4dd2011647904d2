import { type PolicyRule, type PolicySet, parseAddressRange } from '@contiv/model';
import { describe, expect, test } from 'vitest';
import { layouts } from '../testing/btf.js';
import { Compilation } from './compile.js';
import { BY_GROUP, BY_OWN, BY_PEER, BY_PORT } from './entries.js';
import { CUT_OFF, changesOf, type SetTable, subjectBytes } from './tables.js';

const structs = layouts();

/** A member of a C struct. */
function member(struct: string, bytes: Buffer, name: string, length: number, order: 'BE' | 'LE' = 'LE'): number {
  const layout = structs.get(struct);
  const at = layout?.at[name];
  if (!layout || at === undefined) throw new Error(`the program has no ${name} in struct ${struct}`);
  expect(bytes.length, `size of struct ${struct}`).toBe(layout.size);
  return order === 'LE' ? bytes.readUIntLE(at, length) : bytes.readUIntBE(at, length);
}

const range = (text: string) => {
  const parsed = parseAddressRange(text);
  if (!parsed) throw new Error(text);
  return parsed;
};
const RULE: PolicyRule = {
  way: 'out',
  rank: 1_007,
  deny: true,
  number: 0xdead_beef,
  groups: [9],
  peers: [range('10.1.2.0/24')],
  own: [range('2001:db8::1')],
  services: [{ protocol: 6, ports: { first: 8_080, last: 8_080 } }],
};
const SET: PolicySet = { rules: [RULE], denies: true };

describe('bytes against the compiled structs', () => {
  const compilation = new Compilation();
  const changes = changesOf(0x1234_5678, compilation.update(SET.rules));
  const subject = subjectBytes(0x1234_5678, compilation.patterns, SET.denies);
  const gone = changesOf(0x1234_5678, compilation.update([]));
  const entry = (table: SetTable, own = false) => {
    const [key, value] =
      changes[table].find(
        ([bytes]) => table !== 'rule_addresses' || (member('address_key', bytes, 'scope', 4, 'BE') & 1) === (own ? 1 : 0),
      ) ?? [];
    if (!key || !value) throw new Error(`nothing in ${table}`);
    return [key, value] as const;
  };

  test('rules', () => {
    const [key, value] = entry('rules');
    const k = (name: string, length = 4) => member('rule_key', key, name, length);
    expect([k('set'), k('way', 1), k('pattern', 1), k('group'), k('peer'), k('own'), k('service')]).toEqual([
      0x1234_5678,
      1,
      BY_GROUP | BY_PEER | BY_OWN | BY_PORT,
      9,
      entry('rule_addresses')[1].readUInt32LE(),
      entry('rule_addresses', true)[1].readUInt32LE(),
      entry('rule_ports')[1].readUInt32LE(),
    ]);
    const v = (name: string, length: number) => member('rule', value, name, length);
    expect([v('number', 4), v('rank', 2), v('denied', 1)]).toEqual([0xdead_beef, 1_007, 1]);
  });

  test('addresses, IPv4 mapped into IPv6', () => {
    const [peer, number] = entry('rule_addresses');
    const k = (key: Buffer, name: string, order: 'BE' | 'LE') => member('address_key', key, name, 4, order);
    expect([k(peer, 'length', 'LE'), k(peer, 'scope', 'BE')]).toEqual([32 + 96 + 24, 0x48d1_59e0 + 2]);
    // 0 stands for no class.
    expect(number.readUInt32LE()).toBeGreaterThan(0);
    expect(peer.subarray(structs.get('address_key')?.at.ip)).toEqual(Buffer.from('00000000000000000000ffff0a010200', 'hex'));
    const [own] = entry('rule_addresses', true);
    expect([k(own, 'length', 'LE'), k(own, 'scope', 'BE')]).toEqual([32 + 128, 0x48d1_59e0 + 3]);
    expect(own.subarray(structs.get('address_key')?.at.ip)).toEqual(Buffer.from('20010db8000000000000000000000001', 'hex'));
  });

  test('ports', () => {
    const [key] = entry('rule_ports');
    const k = (name: string, length: number, order: 'BE' | 'LE' = 'BE') => member('port_key', key, name, length, order);
    expect([k('length', 4, 'LE'), k('scope', 4), k('protocol', 1), k('port', 2)]).toEqual([32 + 24, 0x48d1_59e0 + 2, 6, 8_080]);
  });

  test('subjects', () => {
    const s = (bytes: Buffer, name: string, length: number) => member('subject', bytes, name, length);
    expect([s(subject, 'set', 4), s(subject, 'denies', 2), s(CUT_OFF, 'denies', 2)]).toEqual([0x1234_5678, 0x0101, 0x0101]);
    expect([member('subject', subject, 'patterns', 4), subject.readUInt32LE(8)]).toEqual([0, 1 << (BY_GROUP | BY_PEER | BY_OWN | BY_PORT)]);
  });

  test('what goes has the keys it was written under', () => {
    for (const table of ['rules', 'rule_addresses', 'rule_ports'] as const) {
      const keys = (list: typeof changes) => list[table].map(([key]) => key.toString('hex')).sort();
      expect(keys(gone)).toEqual(keys(changes));
      expect(gone[table].every(([, value]) => value === undefined)).toBe(true);
    }
  });
});
