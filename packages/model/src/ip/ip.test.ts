/** Our address arithmetic against `ip-address`, an independent implementation. */
import fc from 'fast-check';
import { Address4, Address6 } from 'ip-address';
import { describe, expect, test } from 'vitest';
import {
  contains4,
  contains6,
  formatRanges4,
  ipv4Bytes,
  ipv4FromNumber,
  ipv4ToNumber,
  ipv6Bytes,
  ipv6FromBigInt,
  ipv6ToBigInt,
  macBytes,
  macOfIpv4,
  overlaps4,
  parseIpv4,
  parseIpv6,
  parseMac,
  parsePrefix4,
  parsePrefix6,
  subtract4,
  toRanges,
} from '../index.js';

const v4 = fc.integer({ min: 0, max: 0xffff_ffff });
const v6 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n });
/** Addresses with runs of zeros, which compression is about. */
const holey = fc
  .array(fc.constantFrom(0, 0, 0, 1, 0xffff), { minLength: 8, maxLength: 8 })
  .map((g) => g.reduce((v, x) => (v << 16n) | BigInt(x), 0n));

describe('IPv4', () => {
  test('text and number are each other’s inverse', () => {
    fc.assert(
      fc.property(v4, (n) => {
        const text = ipv4FromNumber(n);
        expect(ipv4ToNumber(text)).toBe(n);
        expect(text).toBe(Address4.fromBigInt(BigInt(n)).correctForm());
        expect([...ipv4Bytes(text)]).toEqual(text.split('.').map(Number));
      }),
    );
  });

  test.each([
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.256',
    '1.2.3.-4',
    ' 1.2.3.4',
    '1.2.3.4 ',
    '0x1.2.3.4',
    '1..3.4',
    '1.2.3.4/8',
  ])('%j is none', (text) => expect(parseIpv4(text)).toBeUndefined());

  test('a prefix holds what the reference says', () => {
    fc.assert(
      fc.property(v4, fc.integer({ min: 0, max: 32 }), v4, (base, length, other) => {
        const prefix = parsePrefix4(`${ipv4FromNumber(base)}/${length}`);
        if (!prefix) throw new Error('refused');
        const reference = new Address4(`${ipv4FromNumber(base)}/${length}`);
        expect(prefix.address).toBe(reference.startAddress().correctForm());
        expect(contains4(prefix, ipv4FromNumber(other))).toBe(new Address4(ipv4FromNumber(other)).isInSubnet(reference));
        expect(contains4(prefix, ipv4FromNumber(base))).toBe(true);
      }),
    );
  });

  test.each(['1.2.3.4', '1.2.3.4/', '1.2.3.4/33', '1.2.3.4/08', '/8', '1.2.3/8'])('%j is no prefix', (text) =>
    expect(parsePrefix4(text)).toBeUndefined(),
  );
});

describe('IPv6', () => {
  test('text and number are each other’s inverse, in the canonical form of RFC 5952', () => {
    fc.assert(
      fc.property(fc.oneof(v6, holey), (n) => {
        const text = ipv6FromBigInt(n);
        expect(ipv6ToBigInt(text)).toBe(n);
        expect(text).toBe(Address6.fromBigInt(n).correctForm());
        expect(parseIpv6(Address6.fromBigInt(n).canonicalForm().toUpperCase())).toBe(text);
        expect(Buffer.from(ipv6Bytes(text)).toString('hex')).toBe(n.toString(16).padStart(32, '0'));
      }),
    );
  });

  test.each([
    ['::ffff:1.2.3.4', '::ffff:102:304'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1::', '1::'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ])('%s is %s', (text, canonical) => expect(parseIpv6(text)).toBe(canonical));

  test.each([
    '',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'g::',
    '::1%eth0',
    '1:2:3:4:5:6:7:8::',
    '1.2.3.4',
    '::1.2.3.400',
  ])('%j is none', (text) => expect(parseIpv6(text)).toBeUndefined());

  test('a prefix holds what the reference says', () => {
    fc.assert(
      fc.property(v6, fc.integer({ min: 0, max: 128 }), v6, (base, length, other) => {
        const prefix = parsePrefix6(`${ipv6FromBigInt(base)}/${length}`);
        if (!prefix) throw new Error('refused');
        const shift = BigInt(128 - length);
        expect(ipv6ToBigInt(prefix.address)).toBe((base >> shift) << shift);
        expect(contains6(prefix, ipv6FromBigInt(other))).toBe(base >> shift === other >> shift);
        expect(contains6(prefix, ipv6FromBigInt(base))).toBe(true);
      }),
    );
  });
});

describe('ranges', () => {
  const few = fc.uniqueArray(fc.integer({ min: 0, max: 40 })).map((list) => list.toSorted((a, b) => a - b));

  test('hold exactly the numbers they were made of', () => {
    fc.assert(
      fc.property(few, (list) => {
        const ranges = toRanges(list);
        expect(ranges.flatMap((r) => Array.from({ length: r.last - r.first + 1 }, (_, i) => r.first + i))).toEqual(list);
        for (const [i, r] of ranges.entries())
          expect(ranges.slice(i + 1).some((o) => overlaps4(r, o) || o.first === r.last + 1)).toBe(false);
      }),
    );
  });

  test('what is left and what was taken away make the whole', () => {
    fc.assert(
      fc.property(few, fc.integer({ min: 0, max: 20 }), fc.integer({ min: 20, max: 40 }), (list, first, last) => {
        const left = subtract4({ first, last }, toRanges(list)).flatMap((r) =>
          Array.from({ length: r.last - r.first + 1 }, (_, i) => r.first + i),
        );
        const all = Array.from({ length: last - first + 1 }, (_, i) => first + i);
        expect(left).toEqual(all.filter((n) => !list.includes(n)));
      }),
    );
  });

  test('are written as Contiv writes them', () => {
    const n = (text: string) => ipv4ToNumber(text) ?? -1;
    expect(
      formatRanges4([
        { first: n('10.1.1.2'), last: n('10.1.1.4') },
        { first: n('10.1.1.6'), last: n('10.1.1.6') },
      ]),
    ).toBe('10.1.1.2-10.1.1.4, 10.1.1.6');
  });
});

describe('MAC addresses', () => {
  test('come from IPv4 addresses, one each', () => {
    fc.assert(
      fc.property(v4, (n) => {
        const mac = macOfIpv4(ipv4FromNumber(n));
        expect(parseMac(mac)).toBe(mac);
        expect([...macBytes(mac)]).toEqual([2, 2, ...ipv4Bytes(ipv4FromNumber(n))]);
      }),
    );
  });

  test('are read in either case and nothing else', () => {
    expect(parseMac('02:AA:bb:0C:0d:0e')).toBe('02:aa:bb:0c:0d:0e');
    for (const text of ['', '02:02:0a:01:02', '2:2:a:1:2:1', '02-02-0a-01-02-01', '02:02:0a:01:02:0g', '02:02:0a:01:02:01:00'])
      expect(parseMac(text)).toBeUndefined();
  });
});
