import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Refusal } from '../errors.js';
import { itemsOf, ruleInput, validate } from './index.js';

const rule = (fields: object) =>
  validate(ruleInput, { tenantName: 'blue', policyName: 'p', ruleId: '1', direction: 'in', action: 'allow', ...fields });

function refusal(fields: object): [message: string, hint: string | undefined] {
  try {
    rule(fields);
  } catch (error) {
    if (error instanceof Refusal) return [error.message, error.hint];
    throw error;
  }
  throw new Error('was accepted');
}

describe('a list', () => {
  test.each([
    ['fromEndpointGroup', 'ops,app', 'app,ops'],
    ['fromEndpointGroup', ' ops , app,ops', 'app,ops'],
    ['fromEndpointGroup', 'app', 'app'],
    ['fromEndpointGroup', '', ''],
    ['toNetwork', 'b,a.c,a', 'a,a.c,b'],
    ['ports', '8000-8099,443,80', '80,443,8000-8099'],
    ['ports', '80,080,80-80,80-90', '80,80-90'],
    ['fromIpAddress', 'fd00::/64,10.1.3.1-10.1.3.9,10.1.1.0/24,10.1.1.7', '10.1.1.0/24,10.1.1.7,10.1.3.1-10.1.3.9,fd00::/64'],
    ['fromIpAddress', '10.1.1.10,10.1.1.9,10.1.1.9/32', '10.1.1.9,10.1.1.9/32,10.1.1.10'],
  ])('%s %j is kept as %j', (field, text, kept) => expect(rule({ [field]: text })).toMatchObject({ [field]: kept }));

  const many = (count: number) => Array.from({ length: count }, (_, i) => `${i + 1}`).join(',');
  test.each([
    ['fromEndpointGroup', 'app,a_b', 'fromEndpointGroup string invalid format', '"a_b" is none of names'],
    ['fromEndpointGroup', 'app,', 'fromEndpointGroup string invalid format', '"" is none of names'],
    ['fromEndpointGroup', ',', 'fromEndpointGroup string invalid format', '"" is none of names'],
    ['fromEndpointGroup', ' ', 'fromEndpointGroup string invalid format', '"" is none of names'],
    ['fromEndpointGroup', `app,${'a'.repeat(65)}`, 'fromEndpointGroup string too long', 'at most 64 characters'],
    ['toIpAddress', '10.1.1.0/24,10.1.1', 'toIpAddress string invalid format', '"10.1.1" is none of addresses'],
    ['toIpAddress', '10.1.1.1-fd00::1', 'toIpAddress string invalid format', '"10.1.1.1-fd00::1" is none of addresses'],
    ['ports', '80,http', 'ports string invalid format', '"http" is none of ports'],
    ['ports', '90-80', 'ports string invalid format', '"90-80" is none of ports'],
    ['ports', '0,80', 'ports string invalid format', '"0" is none of ports'],
    ['ports', '80-65536', 'ports string invalid format', '"80-65536" is none of ports'],
    ['ports', many(65), 'ports has too many items', 'at most 64, separated by commas; a second rule takes the others'],
    ['fromNetwork', many(65), 'fromNetwork has too many items', 'at most 64'],
  ])('%s %j is refused', (field, text, message, hint) => {
    expect(refusal({ [field]: text })).toEqual([message, expect.stringContaining(hint)]);
  });

  test('of 64 items is taken', () => expect(itemsOf(rule({ ports: many(64) }).ports)).toHaveLength(64));

  test('of millions of characters is refused at once', () => {
    const times = [1, 2, 3].map(() => {
      const start = performance.now();
      expect(refusal({ fromEndpointGroup: 'a,'.repeat(2_000_000) })[0]).toBe('fromEndpointGroup string too long');
      return performance.now() - start;
    });
    expect(Math.min(...times)).toBeLessThan(1_000);
  });

  test('is the same in whatever order and however often its items are given, and its normal form is its own', () => {
    const address = fc.constantFrom(
      '10.1.1.0/24',
      '10.1.1.7',
      '10.1.1.7/32',
      '10.1.1.5-20',
      'fd00::/64',
      '2001:db8::1-2001:db8::9',
      '9.0.0.1',
    );
    const port = fc
      .tuple(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 1, max: 65_535 }))
      .map(([a, b]) => (a < b ? `${a}-${b}` : `${a}`));
    const shuffled = <T>(item: fc.Arbitrary<T>) =>
      fc
        .array(item, { minLength: 1, maxLength: 20 })
        .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray([...list, ...list], { minLength: list.length * 2 })));
    fc.assert(
      fc.property(shuffled(address), shuffled(port), ([addresses, others], [ports, otherPorts]) => {
        const kept = rule({ fromIpAddress: addresses.join(','), ports: ports.join(',') });
        expect(rule({ fromIpAddress: others.join(', '), ports: otherPorts.join(' ,') })).toEqual(kept);
        expect(rule(kept)).toEqual(kept);
        expect(new Set(itemsOf(kept.fromIpAddress))).toEqual(new Set(addresses));
        expect(new Set(itemsOf(kept.ports))).toEqual(new Set(ports));
      }),
    );
  });
});
