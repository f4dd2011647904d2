import { expect, it } from 'vitest';
import { chooseUplink } from './uplinks.js';

const link = (index: number, up = true, carrier = true) => ({ index, up, carrier });

it('takes the first that can, and stays with the one in use', () => {
  expect(chooseUplink([], 0)).toBe(0);
  expect(chooseUplink([link(5), link(6)], 0)).toBe(5);
  expect(chooseUplink([link(5), link(6)], 6)).toBe(6);
  expect(chooseUplink([undefined, link(6)], 5)).toBe(6);
});

it('leaves one that is switched off, unplugged or gone', () => {
  expect(chooseUplink([link(5, false), link(6)], 5)).toBe(6);
  expect(chooseUplink([link(5, true, false), link(6)], 5)).toBe(6);
  expect(chooseUplink([undefined, link(6, true, false)], 6)).toBe(0);
});
