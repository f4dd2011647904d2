import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type AnswerPost, answerPost } from '@contiv/model';
import { afterEach, expect, test } from 'vitest';
import { AnswerDesk, type Answerers } from './answers.js';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A master that takes answers until it has had `enough` posts, and has no room from one of them on for a while. */
async function master(enough = Number.POSITIVE_INFINITY, full: readonly number[] = []) {
  const posts: AnswerPost[] = [];
  const server = http.createServer((req, res) => {
    let text = '';
    req.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    req.on('end', () => {
      posts.push(answerPost.parse(JSON.parse(text)));
      res.end(JSON.stringify({ open: posts.length < enough, full: full.includes(posts.length) }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { posts, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const id = 'a'.repeat(32);
const idle = async (desk: AnswerDesk) => {
  for (let i = 0; i < 4_000 && desk.open > 0; i++) await new Promise((wake) => setTimeout(wake, 5));
  expect(desk.open).toBe(0);
};
const desk = (rules: Answerers['rules'], more: Partial<Answerers> = {}) => new AnswerDesk('h1', { ...NOTHING, rules, ...more });
const NOTHING = {} as Answerers;
const never = new AbortController().signal;

test('pieces travel in order and together, and the end comes last', async () => {
  const { posts, url } = await master();
  const d = desk(async function* () {
    for (let n = 0; n < 5_000; n++) yield { rules: [`${n}`] };
  });
  d.take({ id, kind: 'rules', body: {} }, url, never);
  await idle(d);
  expect(posts.flatMap((p) => p.chunks)).toEqual(Array.from({ length: 5_000 }, (_, n) => ({ rules: [`${n}`] })));
  expect(posts.length).toBeLessThan(20);
  expect(posts.map((p) => p.end)).toEqual(posts.map((_, n) => n === posts.length - 1));
});

test('what fails says why, after what came before it', async () => {
  const { posts, url } = await master();
  const d = desk(async function* () {
    yield { rules: ['1'] };
    throw new Error('the table is gone');
  });
  d.take({ id, kind: 'rules', body: {} }, url, never);
  await idle(d);
  expect(posts).toEqual([
    { host: 'h1', chunks: [{ rules: ['1'] }], end: false },
    { host: 'h1', chunks: [], end: true, error: 'the table is gone' },
  ]);
});

test('questions it does not know or understand are answered with a sentence', async () => {
  const { posts, url } = await master();
  const d = desk(async function* () {
    yield { rules: [] };
  });
  d.take({ id, kind: 'constructor', body: {} }, url, never);
  await idle(d);
  d.take({ id, kind: 'rules', body: 'x' }, url, never);
  await idle(d);
  expect(posts.map((p) => p.error)).toEqual([
    expect.stringMatching(/does not know questions of kind constructor/),
    expect.stringMatching(/not understood/),
  ]);
});

test('a withdrawn question, a broken stream and a master that has enough end the answer', async () => {
  const { posts, url } = await master(3);
  let ended = 0;
  const endless = async function* (_: object, signal: AbortSignal) {
    try {
      for (let n = 0; !signal.aborted; n++) {
        yield { rules: [`${n}`] };
        await new Promise((wake) => setTimeout(wake, 10));
      }
    } finally {
      ended++;
    }
  };
  const d = desk(endless);
  d.take({ id, kind: 'rules', body: {} }, url, never);
  d.withdraw(id);
  await idle(d);
  const session = new AbortController();
  d.take({ id, kind: 'rules', body: {} }, url, session.signal);
  session.abort();
  await idle(d);
  d.take({ id, kind: 'rules', body: {} }, url, never);
  await idle(d);
  expect(ended).toBe(3);
  expect(posts.every((p) => !p.end)).toBe(true);
});

test('an answer that waits for something to tell ends with the first piece that nobody takes', async () => {
  const { url } = await master(1);
  const d = desk(async function* (_, signal) {
    yield { rules: ['1'] };
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  });
  d.take({ id, kind: 'rules', body: {} }, url, never);
  await idle(d);
});

test('while the master has no room nothing more is sent, and nothing is lost', async () => {
  const { posts, url } = await master(Number.POSITIVE_INFINITY, [1, 2, 3]);
  const d = desk(async function* () {
    yield { rules: ['1'] };
    await new Promise((wake) => setTimeout(wake, 100));
    yield { rules: ['2'] };
  });
  d.take({ id, kind: 'rules', body: {} }, url, never);
  await idle(d);
  expect(posts.map(({ chunks, end }) => [chunks.length, end])).toEqual([
    [1, false],
    [0, false],
    [0, false],
    [0, false],
    [1, false],
    [0, true],
  ]);
});
