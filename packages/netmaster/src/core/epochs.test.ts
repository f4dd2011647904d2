import { expect, test } from 'vitest';
import { beginEpoch, currentEpoch, isOurs } from './epochs.js';
import { State } from './state.js';

/** A store's history in so far as it matters here: starts of masters, and writes between them. */
class History {
  readonly state = new State();
  revision = 0;

  copy(): History {
    const copy = new History();
    for (const entry of this.state.all('epochs')) copy.state.set(entry.key, entry);
    copy.revision = this.revision;
    return copy;
  }
  start(id: string): this {
    for (const [key, write] of beginEpoch(this.state, id, this.revision).writes) this.state.set(key, write.entry);
    this.revision++;
    return this;
  }
  write(count: number): this {
    this.revision += count;
    return this;
  }
}

test('an agent goes on where it was, also after masters were started again', () => {
  const history = new History().start('a').write(10);
  const { revision } = history;
  expect(isOurs(history.state, currentEpoch(history.state), revision)).toBe(true);
  history.start('b').write(5);
  expect(isOurs(history.state, 'a', revision)).toBe(true);
  expect(isOurs(history.state, 'b', history.revision)).toBe(true);
});

test('a restored copy that has passed the revision an agent knows is told from what the agent saw', () => {
  const history = new History().start('a').write(10);
  const copy = history.copy();
  history.write(3);
  const seen = history.revision;
  copy.start('c').write(20);
  expect(copy.revision).toBeGreaterThan(seen);
  expect(isOurs(copy.state, 'a', seen)).toBe(false);
  // What was seen before the copy was made is in the copy as well.
  expect(isOurs(copy.state, 'a', 11)).toBe(true);
  history.start('b').write(1);
  expect(isOurs(copy.state, 'b', history.revision)).toBe(false);
});

test('who names no epoch, or one that is long forgotten, gets everything anew', () => {
  const history = new History();
  for (let i = 0; i < 40; i++) history.start(`m${i}`).write(1);
  expect(isOurs(history.state, undefined, history.revision)).toBe(false);
  expect(isOurs(history.state, 'm0', 2)).toBe(false);
  expect(isOurs(history.state, 'm39', history.revision)).toBe(true);
  expect(history.state.epochs?.record.epochs.length).toBe(16);
});
