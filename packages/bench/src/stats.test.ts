import { describe, expect, it } from 'vitest';
import { interleave, median, percentile, perRound } from './stats.js';

describe('stats', () => {
  it('takes the middle, or the mean of the two in the middle', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  it('interpolates percentiles', () => {
    const samples = Array.from({ length: 101 }, (_, i) => i);
    expect(percentile(samples, 99)).toBe(99);
    expect(percentile([1, 2], 75)).toBe(1.75);
  });

  it('works a value out of each round, not of the medians', () => {
    const samples = { host: [10, 20, 30], ours: [12, 24, 60], overlay: [14, 30, 50] };
    const overhead = ({ host, ours, overlay }: Record<'host' | 'ours' | 'overlay', number>) => (ours - host) / (overlay - host);
    // 0.5, 0.4 and 1.5; of the medians it would be 4 ÷ 10.
    expect(perRound(samples, overhead)).toBe(0.5);
    expect(perRound({ a: [] }, ({ a }) => a)).toBeNaN();
  });

  it('gives every candidate each position, and each other one as the one before it, equally often', async () => {
    const order: string[] = [];
    const probe = (name: string) => async () => {
      order.push(name);
      return order.length;
    };
    const samples = await interleave(6, { a: probe('a'), b: probe('b'), c: probe('c') });
    expect(order.join('')).toBe('abccbabcaacbcabbac');
    expect(samples.a).toHaveLength(6);
  });
});
