import { MasterError } from '@contiv/client';
import { silentLogger } from '@contiv/observe';
import { expect, test } from 'vitest';
import { Outbox } from './outbox.js';

test('what is asked for while the same is under way is done after it, and waited for', async () => {
  const outbox = new Outbox(silentLogger());
  const done: string[] = [];
  let finish = (): void => undefined;
  const first = outbox.add(
    'address',
    () =>
      new Promise<void>((resolve) => {
        finish = () => {
          done.push('first');
          resolve();
        };
      }),
    5_000,
  );
  // It may have been answered already when this comes.
  const second = outbox.add('address', async () => void done.push('second'), 5_000);
  finish();
  await Promise.all([first, second]);
  expect(done).toEqual(['first', 'second']);
  expect(outbox.pending).toBe(0);
});

test('what fails after the end is left to the next agent, and keeps no timer', async () => {
  const outbox = new Outbox(silentLogger());
  let fail = (): void => undefined;
  void outbox.add(
    'endpoint',
    () =>
      new Promise<void>((_resolve, reject) => {
        fail = () => reject(new MasterError('unreachable', 'nobody answers'));
      }),
  );
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  outbox.stop();
  fail();
  await new Promise((resolve) => setImmediate(resolve));
  expect(timers()).toBeLessThanOrEqual(before);
});
