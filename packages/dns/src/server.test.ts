/** Against resolvers that behave as bad ones do, over loopback. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { decode, encode } from 'dns-packet';
import { afterEach, expect, test } from 'vitest';
import { createDnsServer, type DnsServerOptions } from './server.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function serve(options: Partial<DnsServerOptions>): Promise<number> {
  const server = await createDnsServer({ address: '127.0.0.1', port: 0, forwarders: () => [], resolve: () => undefined, ...options });
  cleanups.push(() => server.close());
  return server.port;
}

const question = (name: string, id = 1) => encode({ type: 'query', id, flags: 0x100, questions: [{ type: 'A', name, class: 'IN' }] });

/** A resolver; `answer` is told how often it was asked, and says nothing when it returns nothing. */
async function resolver(answer: (asked: number) => Promise<string | undefined>): Promise<string> {
  const socket = dgram.createSocket('udp4');
  let asked = 0;
  let open = true;
  socket.on('message', (message, from) => {
    void answer(++asked).then((data) => {
      if (data === undefined || !open) return;
      const { id, questions } = decode(message);
      const answers = [{ type: 'A' as const, name: questions?.[0]?.name ?? '', data }];
      socket.send(encode({ type: 'response', ...(id === undefined ? {} : { id }), questions: questions ?? [], answers }), from.port);
    });
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  cleanups.push(() => {
    open = false;
    socket.close();
  });
  return `127.0.0.1#${socket.address().port}`;
}

async function askUdp(port: number, message: Buffer): Promise<Buffer> {
  const socket = dgram.createSocket('udp4');
  try {
    socket.send(message, port, '127.0.0.1');
    const [answer] = (await once(socket, 'message', { signal: AbortSignal.timeout(10_000) })) as [Buffer];
    return answer;
  } finally {
    socket.close();
  }
}

async function askTcp(port: number, message: Buffer): Promise<Buffer> {
  const socket = net.connect(port, '127.0.0.1');
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  socket.write(Buffer.concat([length, message]));
  let text = Buffer.alloc(0);
  for await (const chunk of socket) {
    text = Buffer.concat([text, chunk as Buffer]);
    if (text.length >= 2 && text.length >= 2 + text.readUInt16BE(0)) break;
  }
  return text.subarray(2);
}

const addressesIn = (answer: Buffer): string[] => (decode(answer).answers ?? []).map((a) => (a.type === 'A' ? a.data : a.type));
const isCut = (answer: Buffer): boolean => (answer.readUInt8(2) & 0x02) !== 0;

test('a resolver that no way leads to is passed over', async () => {
  // No socket may be connected to the broadcast address: that fails at once, as without a route.
  const good = await resolver(async () => '192.0.2.7');
  const port = await serve({ forwarders: () => ['255.255.255.255', good], patienceMs: 60_000 });
  const began = performance.now();
  expect(addressesIn(await askUdp(port, question('far.example')))).toEqual(['192.0.2.7']);
  // One that says nothing has half a minute.
  expect(performance.now() - began).toBeLessThan(5_000);
});

test('a server that is closed while a question is under way breaks nothing', async () => {
  let asked = (): void => undefined;
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const silent = await resolver(async () => {
    asked();
    return undefined;
  });
  const server = await createDnsServer({ address: '127.0.0.1', port: 0, forwarders: () => [silent], resolve: () => undefined });
  const faults: unknown[] = [];
  const note = (fault: unknown) => void faults.push(fault);
  process.on('unhandledRejection', note);
  cleanups.push(() => process.off('unhandledRejection', note));
  const client = dgram.createSocket('udp4');
  cleanups.push(() => client.close());
  client.send(question('slow.example'), server.port, '127.0.0.1');
  await isAsked;
  await server.close();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(faults).toEqual([]);
});

test('the only resolver gets all the time there is, and a lost packet a second chance', async () => {
  const slow = await resolver(async (asked) => {
    if (asked === 1) return undefined;
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    return '192.0.2.8';
  });
  const port = await serve({ forwarders: () => [slow] });
  expect(addressesIn(await askUdp(port, question('slow.example')))).toEqual(['192.0.2.8']);
});

test('silent resolvers together take no longer than all may, and the failure is told', async () => {
  const silent = await Promise.all(Array.from({ length: 20 }, () => resolver(async () => undefined)));
  const port = await serve({ forwarders: () => silent, patienceMs: 300 });
  const began = performance.now();
  expect((await askUdp(port, question('nobody.example'))).readUInt8(3) & 0x0f).toBe(2);
  // One after the other it would be six seconds.
  expect(performance.now() - began).toBeLessThan(3_000);
});

test('of thousands of addresses as many are told as fit, in no time', async () => {
  const all = Array.from({ length: 3_000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  const port = await serve({ resolve: () => all });
  const times: number[] = [];
  for (let i = 0; i < 20; i++) {
    const began = performance.now();
    const answer = await askUdp(port, question('web'));
    times.push(performance.now() - began);
    expect(answer.length).toBeLessThanOrEqual(512);
    expect(answer.length).toBeGreaterThan(490);
    expect(isCut(answer)).toBe(true);
    expect(all).toEqual(expect.arrayContaining(addressesIn(answer)));
  }
  // The fastest says what the machine's other work does not.
  expect(Math.min(...times)).toBeLessThan(50);
  const whole = await askTcp(port, question('web'));
  expect(isCut(whole)).toBe(false);
  expect(addressesIn(whole).sort()).toEqual(all.toSorted());
});

test('answers that just fit are whole, and those that just do not are cut', async () => {
  // Header 12, question 9, each record 19 bytes: 25 fit into 512.
  for (const [count, cut] of [
    [1, false],
    [25, false],
    [26, true],
  ] as const) {
    const all = Array.from({ length: count }, (_, i) => `10.1.1.${i}`);
    const answer = await askUdp(await serve({ resolve: () => all }), question('web'));
    expect([addressesIn(answer).length, isCut(answer)]).toEqual([Math.min(count, 25), cut]);
  }
});
