/** A rule with lists says what a rule for each combination of their items would say: no more and no less. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { itemsOf, parsePortRange, portFields } from '../objects/lists.js';
import type { RuleState } from '../wire/agent.js';
import { meaningOf } from './meaning.js';
import { decide, type Opening } from './rule.js';

const GROUPS = new Map([
  ['app', 1],
  ['ops', 2],
  ['db', 3],
]);
const NETWORKS = new Map([
  ['n', { subnet: '10.1.1.0/28', subnet6: 'fd00:1::/124' }],
  ['m', { subnet: '10.1.1.32/28', subnet6: undefined }],
]);
const names = {
  group: (name: string) => GROUPS.get(name),
  subnet6: (name: string) => NETWORKS.get(name)?.subnet6,
};
const NET6 = 0xfd00_0001n << 96n;

const list = (...items: string[]) => fc.option(fc.subarray(items, { minLength: 1 }), { nil: undefined, freq: 3 });
const addresses = ['10.1.1.3', '10.1.1.0/29', '10.1.1.9-12', '10.1.1.30-10.1.1.40', 'fd00:1::/125', 'fd00:1::9-fd00:1::c'];

interface Lists {
  readonly group: readonly string[] | undefined;
  readonly network: readonly string[] | undefined;
  readonly address: readonly string[] | undefined;
  readonly own: readonly string[] | undefined;
  readonly ports: readonly string[] | undefined;
}
const lists: fc.Arbitrary<Lists> = fc
  .record({
    group: list('app', 'ops', 'gone'),
    network: list('n', 'm'),
    address: list(...addresses),
    own: list('10.1.1.2', 'fd00:1::2', '10.1.1.4-6', 'fd00:1::4-fd00:1::6'),
    ports: list('80', '443', '8000-8009'),
  })
  // Rules name networks or addresses.
  .map((l) => (l.network ? { ...l, address: undefined } : l));
const protocol = fc.constantFrom('', 'tcp', 'udp');

const base = { key: 'blue:p:1', tenant: 'blue', policy: 'p', way: 'in', priority: 1, deny: true } as const;
const member = (name: string, items: readonly string[] | undefined) => (items ? { [name]: items.join(',') } : {});

/** As netmaster tells it: a network's subnets stand beside its name. */
const said = ({ group, network, address, own }: Omit<Lists, 'ports'>, protocol: string): RuleState => ({
  ...base,
  ...member('group', group),
  ...member('network', network),
  ...member('address', network?.map((name) => NETWORKS.get(name)?.subnet ?? '') ?? address),
  ...member('own', own),
  ...(protocol === '' ? {} : { protocol }),
});

function* singles(lists: Lists, protocol: string): Generator<RuleState> {
  const each = (items: readonly string[] | undefined) => items?.map((item) => [item]) ?? [undefined];
  for (const group of each(lists.group))
    for (const network of each(lists.network))
      for (const address of each(lists.address))
        for (const own of each(lists.own))
          for (const ports of each(lists.ports)) {
            const range = ports?.map(parsePortRange)[0];
            const { port = 0, endPort = 0 } = range ? portFields(range) : {};
            yield {
              ...said({ group, network, address, own }, protocol),
              ...(port === 0 ? {} : { port }),
              ...(endPort === 0 ? {} : { endPort }),
            };
          }
}

const opening: fc.Arbitrary<Opening> = fc
  .record({
    group: fc.constantFrom(1, 2, 1, 2, 3),
    family: fc.constantFrom<4 | 6>(4, 6),
    peer: fc.oneof(fc.integer({ min: 0, max: 16 }), fc.integer({ min: 0, max: 50 })),
    own: fc.integer({ min: 1, max: 5 }),
    protocol: fc.constantFrom(6, 17, 6, 17, 1, 132),
    port: fc.constantFrom(79, 80, 81, 443, 7_999, 8_000, 8_004, 8_009, 8_010),
  })
  .map(({ group, family, peer, own, protocol, port }) => {
    const address = (n: number) => ({ family, value: (family === 4 ? 0x0a01_0100n : NET6) + BigInt(n) });
    return { way: 'in', group, peer: address(peer), own: address(own), protocol, port: protocol === 1 ? 0 : port };
  });

test('a rule with lists says what a rule for each combination of their items would say', () => {
  let matched = 0;
  let asked = 0;
  fc.assert(
    fc.property(lists, protocol, fc.array(opening, { minLength: 30, maxLength: 30 }), (lists, protocol, openings) => {
      const ports = lists.ports?.join(',');
      const [first] = itemsOf(ports).map(parsePortRange);
      const { port = 0, endPort = 0 } = first ? portFields(first) : {};
      const asList: RuleState = {
        ...said(lists, protocol),
        ...(port === 0 ? {} : { port }),
        ...(endPort === 0 ? {} : { endPort }),
        ...(lists.ports && lists.ports.length > 1 ? { ports } : {}),
      };
      const one = { rules: meaningOf(asList, false, names), denies: false };
      const many = { rules: [...singles(lists, protocol)].flatMap((rule) => meaningOf(rule, false, names)), denies: false };
      expect(one.rules.length).toBeLessThanOrEqual(1);
      for (const at of openings) {
        expect(decide(one, at)).toEqual(decide(many, at));
        asked++;
        if (decide(one, at).deny) matched++;
      }
    }),
    { numRuns: 400 },
  );
  // Worth something only when rules match and when they do not.
  expect(matched / asked).toBeGreaterThan(0.02);
  expect(matched / asked).toBeLessThan(0.6);
});
