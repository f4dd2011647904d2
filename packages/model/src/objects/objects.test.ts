import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Refusal } from '../errors.js';
import { NAME, networkInput, tenantInput, validate } from './index.js';

const refusal = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error('was accepted');
};

describe('names', () => {
  test.each(['a', 'A9', 'a-b', 'a.b', 'a-b.c-d.e', '1'])('%s is one', (name) => expect(NAME.test(name)).toBe(true));
  test.each(['', '-a', 'a-', 'a_b', 'a..b', '.a', 'a.', 'a/b', 'a:b', 'a b', 'ä', 'a\n'])('%j is none', (name) =>
    expect(NAME.test(name)).toBe(false),
  );

  test('are labels of letters, digits and inner hyphens, joined by dots', () => {
    const label = /^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$/;
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'Z', '0', '-', '.', '_', ':'), maxLength: 12 }), (text) => {
        expect(NAME.test(text)).toBe(text.split('.').every((part) => label.test(part)));
      }),
    );
  });

  test('a text of 60,000 characters is refused at once', () => {
    const start = performance.now();
    expect(refusal(() => validate(tenantInput, { tenantName: `${'a'.repeat(60_000)}!` }))).toBe('tenantName string too long');
    expect(refusal(() => validate(networkInput, { subnet: '1.'.repeat(30_000), tenantName: 'a', networkName: 'b', encap: 'vlan' }))).toBe(
      'subnet string too long',
    );
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});

describe('a fault', () => {
  test('is the first in the alphabet of the fields', () => {
    expect(refusal(() => validate(networkInput, { tenantName: '', networkName: '', encap: '', subnet: '' }))).toBe(
      'encap string invalid format',
    );
    expect(refusal(() => validate(networkInput, { tenantName: '', networkName: '', encap: 'vlan', subnet: '' }))).toBe(
      'networkName string invalid format',
    );
  });

  test('is also a member of another type, and never one that is null', () => {
    expect(refusal(() => validate(tenantInput, { tenantName: 7 }))).toBe('tenantName must be a string');
    expect(refusal(() => validate(tenantInput, []))).toBe('the body must be a JSON object');
    expect(validate(tenantInput, { tenantName: 't', defaultNetwork: null })).toEqual({ tenantName: 't', defaultNetwork: '', posture: '' });
  });
});

describe('IPv6 subnets', () => {
  test('of every length from 1 to 128 are accepted, 0 and 129 are not', () => {
    const make = (length: number) => ({
      tenantName: 't',
      networkName: 'n',
      encap: 'vxlan',
      subnet: '10.1.1.0/24',
      ipv6Subnet: `2001:db8::/${length}`,
    });
    for (let length = 1; length <= 128; length++) expect(validate(networkInput, make(length)).ipv6Subnet).toBe(`2001:db8::/${length}`);
    for (const length of [0, 129]) expect(refusal(() => validate(networkInput, make(length)))).toBe('ipv6Subnet string invalid format');
  });
});

test("a refusal's first line is Contiv's, the hint says what would be right", () => {
  const refused = (input: object): { message: string; hint: string } => {
    try {
      validate(networkInput, { tenantName: 't', networkName: 'n', encap: 'vxlan', subnet: '10.1.1.0/24', ...input });
    } catch (error) {
      if (error instanceof Refusal) return { message: error.message, hint: error.hint };
      throw error;
    }
    throw new Error('was accepted');
  };
  expect(refused({ networkName: 'a_b' })).toEqual({
    message: 'networkName string invalid format',
    hint: 'letters, digits and hyphens between them; no underscore, no slash',
  });
  expect(refused({ networkName: 'a'.repeat(65) })).toEqual({ message: 'networkName string too long', hint: 'at most 64 characters' });
  expect(refused({ key: `t:${'a'.repeat(200)}`, networkName: 'a'.repeat(200) }).message).toBe('networkName string too long');
  expect(refused({ pktTag: 1 << 24 })).toEqual({ message: 'pktTag Value Out of bound', hint: '0 to 16777215' });
  expect(refused({ encap: 'gre' }).hint).toBe('vlan or vxlan');
});
