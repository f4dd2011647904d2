import http from 'node:http';
import { streamLine } from '@contiv/model';
import { Client, startMaster } from '../master.js';
import type { Result } from '../result.js';
import { percentile } from '../stats.js';

const AGENTS = 1000;
const WRITES = 50;

/** Opens one agent's stream and reports the key of every endpoint put with the time it was read. */
function listen(url: string, host: string, onEndpoint: (key: string, at: number) => void): Promise<() => void> {
  return new Promise((ready, fail) => {
    const request = http.get(`${url}/agent/v1/stream?host=${host}`, (response) => {
      let rest = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        const at = performance.now();
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          // Parsing everything would measure the thousand parsers of this one process, not the master.
          if (line.includes('"synced"')) ready(() => request.destroy());
          else if (line.includes('"put"') && line.includes('"endpoint"')) {
            const parsed = streamLine.parse(JSON.parse(line));
            if (parsed.type === 'put') onEndpoint(parsed.key, at);
          }
        }
      });
      response.on('error', () => undefined);
    });
    request.on('error', fail);
  });
}

/** Time from sending a write to its delivery to each of a thousand agents' streams. */
export async function fanoutSuite(): Promise<Result[]> {
  const master = await startMaster('lmdb', 19_991);
  const client = new Client(master.url);
  const delays: number[] = [];
  const sent = new Map<string, number>();
  let received = 0;
  const stops: (() => void)[] = [];
  try {
    await client.post('/api/v1/networks/default:fan/', {
      tenantName: 'default',
      networkName: 'fan',
      encap: 'vxlan',
      subnet: '10.9.0.0/16',
    });
    for (let i = 0; i < AGENTS; i++) {
      const host = `sim${i}`;
      await client.post(`/agent/v1/hosts/${host}`, {
        vtepIp: `10.200.${i >> 8}.${i & 255}`,
        control: `10.200.${i >> 8}.${i & 255}:9090`,
        vxlanPort: 8472,
        mtu: 1500,
        version: '2.0.0',
      });
      stops.push(
        await listen(master.url, host, (key, at) => {
          const start = [...sent].find(([id]) => key.endsWith(id))?.[1];
          if (start !== undefined) delays.push(at - start);
          received++;
        }),
      );
    }
    for (let i = 0; i < WRITES; i++) {
      const id = `fan-endpoint-${String(i).padStart(4, '0')}`;
      sent.set(id, performance.now());
      await client.post('/plugin/createEndpoint', {
        TenantName: 'default',
        NetworkName: 'fan',
        EndpointID: id,
        ConfigEP: { Host: 'sim0' },
      });
      const deadline = performance.now() + 5000;
      while (received < (i + 1) * AGENTS && performance.now() < deadline) await new Promise((wake) => setTimeout(wake, 5));
    }
    if (received !== WRITES * AGENTS) throw new Error(`${received} of ${WRITES * AGENTS} deliveries arrived`);
  } finally {
    for (const stop of stops) stop();
    client.close();
    await master.stop();
  }
  return [
    {
      suite: 'fanout',
      what: 'write → line read by each of 1,000 simulated agents (one process reads them all)',
      figures: { p50: percentile(delays, 50), p99: percentile(delays, 99) },
      unit: 'ms',
      value: percentile(delays, 99),
      valueName: 'p99',
      target: { op: '<=', limit: 500, unit: 'ms' },
    },
  ];
}
