import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { DROP_REASONS } from './reasons.js';

it('names every reason of bpf/counters.h, in its order', () => {
  const header = readFileSync(new URL('../../bpf/counters.h', import.meta.url), 'utf8');
  const body = /enum reason \{([^}]*)\}/.exec(header)?.[1] ?? '';
  const names = [...body.matchAll(/\bDROP_([A-Z0-9_]+),/g)].map(([, name = '']) => name.toLowerCase().replaceAll('_', '-'));
  expect(names.length).toBeGreaterThan(10);
  expect(DROP_REASONS).toEqual(names);
});

it('has room in the table for all of them', () => {
  const maps = readFileSync(new URL('../../bpf/maps.h', import.meta.url), 'utf8');
  const size = /max_entries, (\d+)\);[^}]*\} drops SEC/.exec(maps)?.[1];
  expect(DROP_REASONS.length).toBeLessThanOrEqual(Number(size));
});
