/** Probes in many containers behind one endpoint, as a swarm has them. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Engine } from '@contiv/docker';
import { afterEach, expect, test, vi } from 'vitest';
import { REQUESTS } from './places.js';
import { planOf, runName } from './plan.js';
import type { Probe } from './probes.js';
import { sendProbes } from './run.js';

const closing: (() => void)[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const close of closing.splice(0)) close();
});

/** What an engine sends of a command that printed the text. */
function printed(text: string): Buffer {
  const head = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
  head.writeUInt32BE(text.length, 4);
  return Buffer.concat([head, Buffer.from(text)]);
}

test('with more containers than connections none is given up while it waits for one', async () => {
  const held: http.ServerResponse[] = [];
  let holds = true;
  const server = http.createServer((req, res) => {
    req.resume();
    if (req.url === '/version') res.end('{"Version":"28","ApiVersion":"1.51"}');
    else if (req.url?.endsWith('/exec')) res.end('{"Id":"e"}');
    else if (holds) held.push(res);
    else res.end(printed('0 1 packets transmitted, 1 packets received'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const engine = new Engine(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`, { maxSockets: REQUESTS });
  closing.push(() => {
    engine.close();
    server.closeAllConnections();
    server.close();
  });
  const { boxes } = planOf(runName('00000000'), { places: 25, ipv6: false });
  const check = { network: 'vxlan', what: 'ping', answer: true };
  const probes = boxes.map((box): Probe => ({ check, from: box, to: box, sent: { kind: 'ping', address: box.ip } }));
  const started = boxes.map((box, i) => ({ box, engine, id: `c${i}` }));
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const sent = sendProbes(probes, started, [], new AbortController().signal);
  while (held.length < REQUESTS) await new Promise((resolve) => setImmediate(resolve));
  // Less than a command may take, more than an engine has for anything else.
  await vi.advanceTimersByTimeAsync(15_500);
  holds = false;
  for (const res of held) res.end(printed('0 1 packets transmitted, 1 packets received'));
  const results = await sent;
  expect(results.filter(({ passed, tries }) => passed && tries === 1)).toHaveLength(100);
});
