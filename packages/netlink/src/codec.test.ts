import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ipFromBytes, ipToBytes, macFromBytes, macToBytes } from './address.js';
import {
  type Attribute,
  decodeAttributes,
  decodeMessages,
  encodeAttributes,
  encodeMessage,
  NESTED,
  nested,
  readText,
  text,
} from './codec.js';
import { decodeAddress, decodeNeighbour, decodeRoute } from './ip.js';
import { decodeLink } from './link.js';
import { decodeQdisc } from './qdisc.js';
import { decodeFilter } from './tc.js';

const payload = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
const attributes = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 0x3fff }), payload), { selector: ([type]) => type, maxLength: 8 });

describe('attributes', () => {
  it('come back as they were sent, whatever their length', () => {
    fc.assert(
      fc.property(attributes, (list) => {
        expect(decodeAttributes(encodeAttributes(list))).toEqual(new Map(list));
      }),
    );
  });

  it('lie within each other', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0x3fff }), attributes, (type, list) => {
        const outer: Attribute = [type | NESTED, list];
        expect(nested(decodeAttributes(encodeAttributes([outer])), type)).toEqual(new Map(list));
        expect(nested(new Map(), type).size).toBe(0);
      }),
    );
  });

  it('end where a malformed one begins', () => {
    const good = encodeAttributes([[7, Buffer.of(1, 2, 3, 4)]]);
    for (const tail of [[3, 0, 1, 0], [200, 0, 1, 0], [0, 0, 0, 0], [8]]) {
      expect([...decodeAttributes(Buffer.concat([good, Buffer.from(tail)])).keys()]).toEqual([7]);
    }
  });

  it('carry text up to its end', () => {
    fc.assert(
      fc.property(
        fc.string().filter((s) => !s.includes('\0')),
        (value) => {
          expect(readText(text(value))).toBe(Buffer.from(value).toString());
        },
      ),
    );
    expect(readText(undefined)).toBe('');
  });
});

describe('messages', () => {
  it('come back from one datagram as they were put into it', () => {
    const message = fc.tuple(fc.nat(0xffff), fc.nat(0xffff), fc.nat(), payload, attributes);
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), (list) => {
        const datagram = Buffer.concat(list.map(([type, flags, sequence, body, own]) => encodeMessage(type, flags, sequence, body, own)));
        const decoded = decodeMessages(datagram);
        expect(decoded.map(({ type, flags, sequence }) => [type, flags, sequence])).toEqual(list.map(([t, f, s]) => [t, f, s]));
        for (const [i, [, , , body, own]] of list.entries()) {
          const { payload: got } = decoded[i] ?? { payload: Buffer.alloc(0) };
          expect(got.subarray(0, body.length).equals(body)).toBe(true);
          expect(decodeAttributes(got.subarray((body.length + 3) & ~3))).toEqual(new Map(own));
        }
      }),
    );
  });

  it('of random bytes end, and no decoder reads past them', () => {
    const long = fc.uint8Array({ minLength: 20, maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(long, (bytes) => {
        for (const { payload: part } of decodeMessages(bytes)) decodeAttributes(part);
        for (const decode of [decodeLink, decodeRoute, decodeNeighbour, decodeAddress, decodeFilter, decodeQdisc]) {
          try {
            decode(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(RangeError);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('addresses', () => {
  it('are text as the web platform writes it, and bytes again', () => {
    const words = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(words, (list) => {
        const full = list.map((word) => word.toString(16)).join(':');
        const shown = ipFromBytes(ipToBytes(full));
        expect(`[${shown}]`).toBe(new URL(`http://[${full}]`).hostname);
        expect(ipToBytes(shown)).toEqual(ipToBytes(full));
      }),
    );
    fc.assert(
      fc.property(fc.ipV4(), (ip) => {
        expect(ipFromBytes(ipToBytes(ip))).toBe(ip);
        expect(ipToBytes(`::ffff:${ip}`).subarray(12)).toEqual(ipToBytes(ip));
      }),
    );
  });

  it('of the link layer come back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
        expect([...macToBytes(macFromBytes(bytes))]).toEqual([...bytes]);
      }),
    );
  });
});
