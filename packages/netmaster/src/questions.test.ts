/** Questions to agents: through streams here and at other masters, in pieces, with an end for every host whatever happens to it. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type DoctorAnswer, streamLine } from '@contiv/model';
import { freePort, MemoryStore } from '@contiv/store';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { keys } from './core/records.js';
import type { HostAnswer } from './effects/questions.js';
import { startTestMaster, type TestMaster } from './test-support.js';

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const close of closing.splice(0).toReversed()) await close();
});

interface Asked {
  readonly id: string;
  readonly kind: string;
}

/** A master that listens where it says it does. */
async function master(store: MemoryStore): Promise<{ m: TestMaster; url: string }> {
  const port = await freePort();
  const m = await startTestMaster(store, undefined, `127.0.0.1:${port}`);
  const url = await m.master.app.listen({ host: '127.0.0.1', port });
  closing.push(() => m.stop(false));
  return { m, url };
}

/** An agent that holds a stream and does with questions what it is told to. */
async function agent(m: TestMaster, url: string, name: string, last: number) {
  const control = `192.168.2.${last}:9090`;
  await m.post(`/agent/v1/hosts/${name}`, { vtepIp: `192.168.2.${last}`, control, vxlanPort: 8472, mtu: 1500, version: '2.0.0' });
  const asked: Asked[] = [];
  const withdrawn: string[] = [];
  const request = http.get(`${url}/agent/v1/stream?host=${name}`, (response) => {
    let rest = '';
    response.setEncoding('utf8');
    response.on('error', () => undefined);
    response.on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) {
        const line = streamLine.parse(JSON.parse(part));
        if (line.type === 'question') asked.push(line);
        if (line.type === 'withdraw') withdrawn.push(line.id);
      }
    });
  });
  request.on('error', () => undefined);
  closing.push(() => void request.destroy());
  const question = (n = 0) => eventually(() => asked[n]);
  await eventually(() => (m.master.context.hub.hosts().includes(name) ? true : undefined));
  await eventually(() => (m.master.context.mirror.state.alive(name) ? true : undefined));
  const answer = async (id: string, chunks: unknown[], end: boolean, extra: object = {}) =>
    (await m.post(`/agent/v1/answers/${id}`, { host: name, chunks, end, ...extra })).body;
  return { asked, withdrawn, question, answer, close: () => request.destroy() };
}

async function eventually<T>(look: () => T | undefined): Promise<T> {
  for (let i = 0; i < 5_000; i++) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((wake) => setTimeout(wake, 5));
  }
  throw new Error('did not happen');
}

const rules = (text: string) => ({ rules: [text] });

function ask(m: TestMaster, deadlineMs: number | undefined, hosts?: string[]) {
  const gone = new AbortController();
  const got: HostAnswer<'rules'>[] = [];
  const limits = { ...(deadlineMs === undefined ? {} : { deadlineMs }), ...(hosts ? { hosts } : {}) };
  const done = (async () => {
    for await (const answer of m.master.context.questions.ask('rules', {}, { ...limits, signal: gone.signal })) got.push(answer);
    return got;
  })();
  return { done, got, gone };
}

let store: MemoryStore;
beforeEach(() => {
  store = new MemoryStore();
});

test('pieces of all hosts, and an end for each: of the silent, the failed, the vanished and the absent too', async () => {
  const { m, url } = await master(store);
  const [good, failing, vanishing] = [await agent(m, url, 'a', 1), await agent(m, url, 'b', 2), await agent(m, url, 'c', 3)];
  await agent(m, url, 'd', 4);
  const { done } = ask(m, 2_000, ['a', 'b', 'c', 'd', 'e']);
  const { id } = await good.question();
  expect(await good.answer(id, [rules('1'), rules('2')], false)).toEqual({ open: true });
  expect(await good.answer(id, [rules('3')], true)).toEqual({ open: false });
  expect(await good.answer(id, [rules('late')], true)).toEqual({ open: false });
  await failing.question();
  expect(await failing.answer(id, [{ rules: 7 }], false)).toEqual({ open: false });
  vanishing.close();
  const answers = await done;
  expect(answers.filter((a) => 'chunk' in a)).toEqual(['1', '2', '3'].map((n) => ({ host: 'a', chunk: rules(n) })));
  const ends = Object.fromEntries(answers.flatMap((a) => ('end' in a ? [[a.host, a.error ?? '']] : [])));
  expect(ends).toEqual({
    a: '',
    b: expect.stringMatching(/^its answer is not understood/),
    c: 'its agent went away',
    d: 'its agent did not finish within 2 s',
    e: 'its agent is not connected',
  });
  expect(m.master.context.questions.open).toBe(0);
});

test('who cannot name the question cannot answer it, nor can another host', async () => {
  const { m, url } = await master(store);
  const a = await agent(m, url, 'a', 1);
  const { done } = ask(m, undefined);
  const { id } = await a.question();
  const forged = async (which: string, host: string) =>
    (await m.post(`/agent/v1/answers/${which}`, { host, chunks: [rules('x')], end: true })).body;
  expect(await forged('0'.repeat(32), 'a')).toEqual({ open: false });
  expect(await forged(id, 'b')).toEqual({ open: false });
  expect((await m.post('/agent/v1/answers/x', { host: 'a', chunks: [], end: true })).status).not.toBe(200);
  await a.answer(id, [rules('y')], true);
  expect(await done).toEqual([
    { host: 'a', chunk: rules('y') },
    { host: 'a', end: true },
  ]);
});

test('an asker that goes is told to the agents', async () => {
  const { m, url } = await master(store);
  const a = await agent(m, url, 'a', 1);
  const { done, gone } = ask(m, undefined);
  const { id } = await a.question();
  expect(await a.answer(id, [rules('1')], false)).toEqual({ open: true });
  gone.abort();
  expect(await done).toEqual([{ host: 'a', chunk: rules('1') }]);
  await eventually(() => (a.withdrawn.includes(id) ? true : undefined));
  expect(await a.answer(id, [rules('2')], false)).toEqual({ open: false });
});

test('an agent waits while the asker reads slowly', async () => {
  const { m, url } = await master(store);
  const a = await agent(m, url, 'a', 1);
  const gone = new AbortController();
  const reading = m.master.context.questions.ask('rules', {}, { signal: gone.signal });
  const first = reading.next();
  const { id } = await a.question();
  await a.answer(id, [rules('0')], false);
  await first;
  const many = Array.from({ length: 2_000 }, (_, n) => rules(String(n)));
  let taken = false;
  const posting = a.answer(id, many, false).then((receipt) => {
    taken = true;
    return receipt;
  });
  await new Promise((wake) => setTimeout(wake, 100));
  expect(taken).toBe(false);
  // Whoever stops reading for long does not lose the agent, which would take a silent master for a dead one.
  expect(await posting).toEqual({ open: true, full: true });
  const room = a.answer(id, [], false);
  for (let n = 0; n < 2_000; n++) await reading.next();
  expect(await room).toEqual({ open: true });
  gone.abort();
  await reading.next();
});

test('one who follows does not use up the questions of all others, however often agents come anew; to one host there are so many at once', async () => {
  const { m, url } = await master(store);
  await agent(m, url, 'a', 1);
  await agent(m, url, 'b', 2);
  const followed = Array.from({ length: 100 }, () => ask(m, undefined, ['a']));
  const other = ask(m, 100, ['b']);
  expect(await other.done).toEqual([{ host: 'b', end: true, error: 'its agent did not finish within 0.1 s' }]);
  const more = Array.from({ length: 28 }, () => ask(m, undefined, ['a']));
  await expect(ask(m, 100, ['b']).done).rejects.toThrow(/too many questions/);
  for (const { gone } of [...followed, ...more]) gone.abort();
  await Promise.all([...followed, ...more].map(({ done }) => done));
  expect(await ask(m, 100, ['b']).done).toHaveLength(1);
});

test('agents of another master are asked through it', async () => {
  const one = await master(store);
  const other = await master(store);
  const here = await agent(one.m, one.url, 'a', 1);
  const there = await agent(other.m, other.url, 'b', 2);
  await eventually(() => (one.m.master.context.mirror.state.alive('b') ? true : undefined));
  const { done, got } = ask(one.m, 30_000);
  await here.answer((await here.question()).id, [rules('here')], true);
  const { id } = await there.question();
  await there.answer(id, [rules('there')], false);
  await eventually(() => got.find((g) => g.host === 'b'));
  const long = { rules: Array.from({ length: 200 }, (_, n) => String(n).repeat(1_000)) };
  await there.answer(id, [long], false);
  await there.answer(id, [], true, { error: 'half of it is lost' });
  const answers = (await done).toSorted((x, y) => (x.host < y.host ? -1 : 1));
  expect(answers).toEqual([
    { host: 'a', chunk: rules('here') },
    { host: 'a', end: true },
    { host: 'b', chunk: rules('there') },
    { host: 'b', chunk: long },
    { host: 'b', end: true, error: 'half of it is lost' },
  ]);
  const followed = ask(one.m, undefined, ['b']);
  const again = await there.question(1);
  followed.gone.abort();
  await followed.done;
  await eventually(() => (there.withdrawn.includes(again.id) ? true : undefined));
});

test('the doctor asks all hosts of a large cluster, each about the others', async () => {
  const { m, url } = await master(store);
  const names = Array.from({ length: 70 }, (_, i) => `h${i + 1}`);
  const agents = await Promise.all(names.map(async (name, i) => ({ name, ...(await agent(m, url, name, i + 1)) })));
  const figures = { mtu: 1500, vxlanPort: 8472, revision: 1, inSync: false, pending: 0, repaired: 0, endpoints: 0 };
  const texts = { version: '2.0.0', kernel: '6.1', startedAt: '', lastRepairs: [], problems: [], warnings: [] };
  const examine = async (n: number, check: object) => {
    const examined = m.get('/api/v1/doctor');
    const peers = names.map((host) => ({ host, answers: true, fullSize: true, size: 1500, ...check }));
    for (const { question, answer } of agents) {
      const { id } = await question(n);
      await answer(id, [{ ...figures, ...texts, now: Date.now(), docker: true, peers }], true);
    }
    return (await examined).body as DoctorAnswer;
  };
  const body = await examine(0, {});
  expect(body).toMatchObject({ hosts: names.map(() => ({ state: 'connected', peers: { good: 69, all: 69 } })) });
  // A firewall that lets no echoes pass is one finding for each host, and not one for each pair.
  const deaf = (await examine(1, { answers: false, fullSize: false })).findings.filter(({ severity }) => severity === 'error');
  expect(deaf).toHaveLength(70);
  expect(deaf[0]?.reason).toMatch(/^hosts h2, h3(, h\d){6} and 61 more are not reached at their VTEPs: no answer to echo requests$/);
  const narrow = (await examine(2, { fullSize: false })).findings.filter(({ severity }) => severity === 'error');
  expect(narrow.map(({ reason }) => reason.replace(/hosts .* more/, 'hosts'))).toEqual(
    names.map(() => 'packets of 1500 bytes do not get to hosts and back, small ones do'),
  );
}, 30_000);

test('flows are followed with one question to all hosts, and a host that does not answer is not asked again and again', async () => {
  const { m, url } = await master(store);
  const [a, c] = [await agent(m, url, 'a', 1), await agent(m, url, 'c', 3)];
  await m.post('/agent/v1/hosts/b', { vtepIp: '192.168.2.2', control: 'x:1', vxlanPort: 8472, mtu: 1500, version: '2.0.0' });
  await store.txn([], [{ put: keys.alive('b'), value: JSON.stringify({ master: 'somebody' }) }]);
  let text = '';
  const request = http.get(`${url}/api/v1/flows?follow=true`, (response) => {
    response.setEncoding('utf8').on('error', () => undefined);
    response.on('data', (chunk: string) => {
      text += chunk;
    });
  });
  closing.push(() => void request.destroy());
  request.on('error', () => undefined);
  for (const { question, answer } of [a, c]) await answer((await question(1)).id, [], true);
  await eventually(() => (text.match(/"host":"b"/g)?.length === 2 ? true : undefined));
  await new Promise((wake) => setTimeout(wake, 1_500));
  expect(a.asked.map(({ id }) => id)).toEqual(c.asked.map(({ id }) => id));
  // Of the past, and of what follows.
  expect(text.match(/"host":"b"/g)).toHaveLength(2);
});

test('who goes before the past is told leaves nobody who follows', async () => {
  const { m, url } = await master(store);
  const a = await agent(m, url, 'a', 1);
  const request = http.get(`${url}/api/v1/flows?follow=true`, (response) => void response.on('error', () => undefined));
  request.on('error', () => undefined);
  await a.question(1);
  request.destroy();
  await eventually(() => (m.master.context.questions.open === 0 ? true : undefined));
  const later = await agent(m, url, 'b', 2);
  await new Promise((wake) => setTimeout(wake, 600));
  expect(later.asked).toEqual([]);
});

test('whom a staged policy concerns is not told as all there is where hosts recorded less than happened', async () => {
  const { m, url } = await master(store);
  const a = await agent(m, url, 'a', 1);
  await m.post('/api/v1/policys/default:db/', { tenantName: 'default', policyName: 'db' });
  await m.post('/api/v1/staged/default:db', {});
  const asked = m.get('/api/v1/staged/default:db/effect');
  const { id } = await a.question();
  await a.answer(id, [{ records: [], leftOut: 7 }], false);
  await a.answer(id, [{ records: [], leftOut: 2 }], true);
  const reason = '9 connections since its agent began are beyond what it records';
  expect((await asked).body).toMatchObject({ examined: 0, missing: [{ host: 'a', reason }] });
});

test('a master that hangs is given up, and who follows hears of the hosts that are connected there', async () => {
  const { m } = await master(store);
  await m.post('/agent/v1/hosts/b', { vtepIp: '192.168.2.2', control: 'x:1', vxlanPort: 8472, mtu: 1500, version: '2.0.0' });
  let asked = 0;
  const hanging = http.createServer((_request, response) => {
    asked++;
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.write(`${JSON.stringify({ host: 'b', chunk: rules('1') })}\n`);
  });
  hanging.listen(0, '127.0.0.1');
  await once(hanging, 'listening');
  closing.push(() => {
    hanging.closeAllConnections();
    hanging.close();
  });
  const address = `127.0.0.1:${(hanging.address() as AddressInfo).port}`;
  const record = { ...[...m.master.context.mirror.state.all('master')][0]?.record, id: 'other', address };
  const puts = [keys.alive('b'), keys.master('other')].map((put, i) => ({ put, value: JSON.stringify([{ master: 'other' }, record][i]) }));
  await store.txn([], puts);
  await eventually(() => (m.master.context.mirror.state.alive('b') ? true : undefined));
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { done, got } = ask(m, undefined, ['b']);
  while (got.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await vi.advanceTimersByTimeAsync(16_000);
  const error = `netmaster at ${address}, where it is connected, does not pass the question on (it has said nothing for 15 s)`;
  expect(await done).toEqual([
    { host: 'b', chunk: rules('1') },
    { host: 'b', end: true, error },
  ]);
  expect(asked).toBe(1);
});
