import { emptyMirror, type Mirror } from '@contiv/client';
import { decide, type Opening, type RuleState, ruleNumber } from '@contiv/model';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { groupNumber, Policies, UNKNOWN_GROUP, ungrouped } from './policy.js';

const rule = (policy: string, id: string, fields: Partial<RuleState> = {}): RuleState => ({
  key: `blue:${policy}:${id}`,
  tenant: 'blue',
  policy,
  way: 'in',
  priority: 1,
  deny: true,
  ...fields,
});

function mirrorOf(rules: readonly RuleState[], more: { readonly admin?: readonly string[]; readonly denies?: boolean } = {}): Mirror {
  const mirror = emptyMirror();
  mirror.tenants.set('blue', { name: 'blue', denies: more.denies ?? false });
  const network = { key: 'blue:n', tenant: 'blue', network: 'n', nwType: 'data', encap: 'vxlan', tag: 5 } as const;
  mirror.networks.set('blue:n', {
    ...network,
    subnet: { address: '10.1.2.0', length: 24 },
    subnet6: { address: '2001:db8::', length: 64 },
  });
  mirror.groups.set('blue:web', { key: 'blue:web', tenant: 'blue', group: 'web', network: 'n', id: 7, policies: ['p', 'q'] });
  mirror.groups.set('blue:db', { key: 'blue:db', tenant: 'blue', group: 'db', network: 'n', id: 8 });
  for (const policy of new Set(rules.map((r) => r.policy))) {
    const admin = more.admin?.includes(policy) ?? false;
    mirror.policies.set(`blue:${policy}`, { key: `blue:${policy}`, tenant: 'blue', policy, admin });
  }
  for (const r of rules) mirror.rules.set(r.key, r);
  return mirror;
}

const BLUE = new Set(['blue']);
const opening = (fields: Partial<Opening> = {}): Opening => ({
  way: 'in',
  group: 8,
  peer: { family: 4, value: 0x0a01_0209n },
  own: { family: 4, value: 0x0a01_0201n },
  protocol: 6,
  port: 80,
  ...fields,
});
const verdict = (mirror: Mirror, subject: number, at: Opening) => {
  const set = new Policies().of(mirror, BLUE).subjects.get(subject);
  if (!set) throw new Error(`no subject ${subject}`);
  return decide(set, at);
};

describe('policies of a host', () => {
  test('are those of all groups and networks of its tenants, and of no others', () => {
    const mirror = mirrorOf([]);
    expect([...new Policies().of(mirror, BLUE).subjects.keys()]).toEqual([7, 8, ungrouped(5)]);
    expect([...new Policies().of(mirror, new Set(['green'])).subjects.keys()]).toEqual([]);
    expect(groupNumber(mirror.groups, 'blue', undefined, 5)).toBe(ungrouped(5));
    expect(groupNumber(mirror.groups, 'blue', 'gone', 5)).toBe(UNKNOWN_GROUP);
    expect(new Policies().of(mirror, BLUE).subjects.has(UNKNOWN_GROUP)).toBe(false);
  });

  test('hold the rules of all policies of a group', () => {
    const mirror = mirrorOf([rule('p', '1'), rule('q', '1', { deny: false, priority: 2, port: 80, protocol: 'tcp' }), rule('other', '1')]);
    expect(verdict(mirror, 7, opening())).toEqual({ deny: false, rule: ruleNumber('blue:q:1') });
    expect(verdict(mirror, 7, opening({ port: 81 }))).toEqual({ deny: true, rule: ruleNumber('blue:p:1') });
    expect(verdict(mirror, 8, opening())).toEqual({ deny: false, rule: 0 });
  });

  test('say by name whom they mean: a group, a network over both families, an address', () => {
    expect(verdict(mirrorOf([rule('p', '1', { group: 'db' })]), 7, opening()).deny).toBe(true);
    expect(verdict(mirrorOf([rule('p', '1', { group: 'db' })]), 7, opening({ group: 7 })).deny).toBe(false);
    expect(verdict(mirrorOf([rule('p', '1', { group: 'gone' })]), 7, opening()).deny).toBe(false);
    const net = mirrorOf([rule('p', '1', { network: 'n', address: '10.1.2.0/24' })]);
    expect(verdict(net, 7, opening()).deny).toBe(true);
    const six = (value: bigint) => ({ family: 6, value }) as const;
    const at6 = (value: bigint) => opening({ peer: six((0x2001_0db8n << 96n) + value), own: six(1n) });
    expect(verdict(net, 7, at6(9n)).deny).toBe(true);
    expect(verdict(net, 7, at6(1n << 64n)).deny).toBe(false);
    const own = mirrorOf([rule('p', '1', { own: '10.1.2.1' })]);
    expect(verdict(own, 7, opening()).deny).toBe(true);
    expect(verdict(own, 7, opening({ own: { family: 4, value: 0x0a01_0202n } })).deny).toBe(false);
  });

  test('name several of each: one of the groups, at one of the addresses, to one of the ports', () => {
    const lists = { group: 'db,gone,web', address: '10.1.2.9,10.1.2.16-20,2001:db8::/64', port: 80, ports: '80,8000-8099' };
    const mirror = mirrorOf([rule('p', '1', lists)]);
    for (const [fields, deny] of [
      [{}, true],
      [{ group: 7 }, true],
      [{ group: 9 }, false],
      [{ port: 8_050, protocol: 17 }, true],
      [{ port: 81 }, false],
      [{ peer: { family: 4, value: 0x0a01_0214n } }, true],
      [{ peer: { family: 4, value: 0x0a01_0215n } }, false],
      [{ peer: { family: 6, value: (0x2001_0db8n << 96n) + 5n } }, true],
    ] as const)
      expect([fields, verdict(mirror, 7, opening(fields)).deny]).toEqual([fields, deny]);
    // None of the groups is there: nobody is meant, and never everybody.
    expect(verdict(mirrorOf([rule('p', '1', { group: 'gone,lost' })]), 7, opening()).deny).toBe(false);
    // The first of the groups comes back.
    mirror.groups.set('blue:gone', { key: 'blue:gone', tenant: 'blue', group: 'gone', network: 'n', id: 9 });
    expect(verdict(mirror, 7, opening({ group: 9 })).deny).toBe(true);
  });

  test('mean ICMP of both families by the name, a port of whatever has ports without one', () => {
    const icmp = mirrorOf([rule('p', '1', { protocol: 'icmp' })]);
    for (const [protocol, deny] of [
      [1, true],
      [58, true],
      [6, false],
    ] as const)
      expect(verdict(icmp, 7, opening({ protocol, port: 0 })).deny).toBe(deny);
    const port = mirrorOf([rule('p', '1', { port: 80, endPort: 90 })]);
    for (const [protocol, number, deny] of [
      [6, 90, true],
      [17, 80, true],
      [6, 91, false],
      [1, 0, false],
    ] as const)
      expect(verdict(port, 7, opening({ protocol, port: number })).deny).toBe(deny);
  });

  test('of an administrator come before all others, for containers without a group as well', () => {
    const rules = [rule('boss', '1', { port: 80, protocol: 'tcp' }), rule('p', '1', { deny: false, priority: 100 })];
    const mirror = mirrorOf(rules, { admin: ['boss'] });
    for (const subject of [7, 8, ungrouped(5)]) {
      expect(verdict(mirror, subject, opening())).toEqual({ deny: true, rule: ruleNumber('blue:boss:1') });
      expect(verdict(mirror, subject, opening({ port: 81 })).deny).toBe(false);
    }
  });

  test('deny what no rule matches where the tenant says so', () => {
    const mirror = mirrorOf([rule('p', '1', { deny: false, port: 80, protocol: 'tcp' })], { denies: true });
    expect(verdict(mirror, 7, opening())).toMatchObject({ deny: false });
    expect(verdict(mirror, 7, opening({ port: 81 }))).toEqual({ deny: true, rule: 0 });
    expect(verdict(mirror, 8, opening({ way: 'out' }))).toEqual({ deny: true, rule: 0 });
  });

  test('that did not change are the same objects, so that nobody compiles them again', () => {
    const mirror = mirrorOf([rule('p', '1', { group: 'db' })]);
    const policies = new Policies();
    const first = policies.of(mirror, BLUE).subjects;
    expect(policies.of(mirror, BLUE).subjects.get(7)).toBe(first.get(7));
    mirror.rules.set('blue:p:2', rule('p', '2'));
    const second = policies.of(mirror, BLUE).subjects;
    expect(second.get(7)).not.toBe(first.get(7));
    expect(second.get(8)).toBe(first.get(8));
    // Another group of that name is another peer.
    mirror.groups.set('blue:db', { key: 'blue:db', tenant: 'blue', group: 'db', network: 'n', id: 9 });
    expect(policies.of(mirror, BLUE).subjects.get(7)).not.toBe(second.get(7));
  });

  test('follow rules that come, go, change and change places as if they were all read anew, and keep what stays', () => {
    const edit = fc.record({ what: fc.constantFrom('add', 'remove', 'change', 'first'), at: fc.nat(30), named: fc.boolean() });
    const edits = fc.array(fc.array(edit, { maxLength: 4 }), { maxLength: 8 });
    fc.assert(
      fc.property(edits, (rounds) => {
        let count = 0;
        const fresh = (named: boolean) => rule('p', String(count++), named ? { group: 'db' } : { priority: 1 + (count % 9) });
        let rules = Array.from({ length: 12 }, (_, i) => fresh(i % 3 === 0));
        const policies = new Policies();
        let last = policies.of(mirrorOf(rules), BLUE).subjects.get(7);
        for (const round of rounds) {
          const before = rules;
          for (const { what, at, named } of round) {
            const place = at % Math.max(1, rules.length);
            if (what === 'add') rules = [...rules, fresh(named)];
            else if (what === 'remove') rules = rules.toSpliced(place, 1);
            else if (what === 'change') rules = rules.toSpliced(place, 1, fresh(named));
            else rules = [...rules.slice(place), ...rules.slice(0, place)];
          }
          const now = policies.of(mirrorOf(rules), BLUE).subjects.get(7);
          expect(now).toEqual(new Policies().of(mirrorOf(rules), BLUE).subjects.get(7));
          const numbers = new Set(before.filter((r) => rules.includes(r)).map((r) => ruleNumber(r.key)));
          const kept = last?.rules.filter((r) => numbers.has(r.number)) ?? [];
          expect(kept.every((r) => now?.rules.includes(r))).toBe(true);
          last = now;
        }
      }),
    );
  });
});
