/** Simulated agents: streams of a netmaster that one process reads. */
import http from 'node:http';
import { type ResourceKind, streamLine } from '@contiv/model';
import type { Client, Master } from './master.js';
import { pause } from './stats.js';

const PATIENCE_MS = 5_000;

/** Opens one agent's stream and reports the key of every resource of the kind with the time it was read. */
function listen(url: string, host: string, kind: ResourceKind, onPut: (key: string, at: number) => void): Promise<() => void> {
  return new Promise((ready, fail) => {
    const request = http.get(`${url}/agent/v1/stream?host=${host}`, (response) => {
      let rest = '';
      let synced = false;
      response.setEncoding('utf8').on('data', (chunk: string) => {
        const at = performance.now();
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          // Parsing everything would measure the thousand parsers of this one process, not the master.
          if (line.includes('"synced"')) {
            synced = true;
            ready(() => request.destroy());
          } else if (synced && line.includes('"put"') && line.includes(`"${kind}"`)) {
            const parsed = streamLine.parse(JSON.parse(line));
            if (parsed.type === 'put') onPut(parsed.key, at);
          }
        }
      });
      response.on('error', () => undefined);
    });
    request.on('error', fail);
  });
}

/**
 * Milliseconds from sending each write to its being read by each agent.
 * @param ids of the resources written; the end of their keys. @param write sends one.
 */
export async function deliveries(
  { url }: Master,
  client: Client,
  agents: number,
  kind: ResourceKind,
  ids: readonly string[],
  write: (id: string) => Promise<unknown>,
): Promise<number[]> {
  const delays: number[] = [];
  const sent = new Map<string, number>();
  const stops: (() => void)[] = [];
  try {
    for (let i = 0; i < agents; i++) {
      const host = `sim${i}`;
      const address = `10.200.${i >> 8}.${i & 255}`;
      const registration = { vtepIp: address, control: `${address}:9090`, vxlanPort: 8472, mtu: 1500, version: '2.0.0' };
      await client.post(`/agent/v1/hosts/${host}`, registration);
      stops.push(
        await listen(url, host, kind, (key, at) => {
          const start = [...sent].find(([id]) => key.endsWith(id))?.[1];
          if (start !== undefined) delays.push(at - start);
        }),
      );
    }
    for (const [i, id] of ids.entries()) {
      sent.set(id, performance.now());
      await write(id);
      const deadline = performance.now() + PATIENCE_MS;
      while (delays.length < (i + 1) * agents && performance.now() < deadline) await pause(5);
    }
  } finally {
    for (const stop of stops) stop();
  }
  if (delays.length !== ids.length * agents) throw new Error(`${delays.length} of ${ids.length * agents} deliveries arrived`);
  return delays;
}
