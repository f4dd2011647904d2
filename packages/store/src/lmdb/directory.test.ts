import { expect, test } from 'vitest';
import { LmdbStore } from './store.js';

test('a directory that cannot be made is refused at once, also where making parents would never end', () => {
  expect(() => new LmdbStore('/proc/store/deep')).toThrow(/cannot open the store in \/proc\/store\/deep: ENOENT/);
  expect(() => new LmdbStore('/dev/null/store')).toThrow(/\/dev\/null\/store/);
});
