import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { didYouMean, distance, nearest } from './suggest.js';

describe('distance', () => {
  test.each([
    ['', '', 0],
    ['a', '', 1],
    ['net', 'net', 0],
    ['net', 'nte', 1],
    ['tenant', 'tenannt', 1],
    ['blue', 'bleu', 1],
    ['kitten', 'sitting', 3],
  ])('of %j and %j is %d', (a, b, d) => expect(distance(a, b)).toBe(d));

  test('is the same both ways, nothing for equal words, and at most the longer length', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        const d = distance(a, b);
        expect(d).toBe(distance(b, a));
        expect(d === 0).toBe(a === b);
        expect(d).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(d).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
      }),
    );
  });

  test('grows by one with one slip', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 12 }), fc.nat(), (word, at) => {
        const i = at % word.length;
        expect(distance(word, word.slice(0, i) + word.slice(i + 1))).toBe(1);
      }),
    );
  });
});

describe('nearest', () => {
  const commands = ['tenant', 'network', 'net', 'group', 'global', 'version', 'ls', 'list'];
  test.each([
    ['tennant', ['tenant']],
    ['netwrok', ['network', 'net']],
    ['ten', ['tenant']],
    ['lss', ['ls']],
    ['Tenant', ['tenant']],
    ['zebra', []],
    ['', []],
    ['x'.repeat(5_000), []],
  ])('of %j are %j', (word, near) => expect(nearest(word, commands)).toEqual(near));
  test('never the word itself, never more than three', () => {
    expect(nearest('aa', ['aa', 'ab', 'ac', 'ad', 'ae'])).toEqual(['ab', 'ac', 'ad']);
  });
});

test('the question names all of them', () => {
  expect(didYouMean([])).toBe('');
  expect(didYouMean(['a'])).toBe('Did you mean "a"?');
  expect(didYouMean(['a', 'b', 'c'])).toBe('Did you mean "a", "b" or "c"?');
});
