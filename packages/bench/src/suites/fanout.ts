import { deliveries } from '../agents.js';
import { Client, startMaster } from '../master.js';
import type { Result } from '../result.js';
import { percentile } from '../stats.js';

const AGENTS = 1000;
const WRITES = 50;

/** Time from sending a write to its delivery to each of a thousand agents' streams. */
export async function fanoutSuite(): Promise<Result[]> {
  const master = await startMaster('lmdb', 19_991);
  const client = new Client(master.url);
  let delays: number[];
  try {
    await client.post('/api/v1/networks/default:fan/', {
      tenantName: 'default',
      networkName: 'fan',
      encap: 'vxlan',
      subnet: '10.9.0.0/16',
    });
    const ids = Array.from({ length: WRITES }, (_, i) => `fan-endpoint-${String(i).padStart(4, '0')}`);
    delays = await deliveries(master, client, AGENTS, 'endpoint', ids, (id) =>
      client.post('/plugin/createEndpoint', {
        TenantName: 'default',
        NetworkName: 'fan',
        EndpointID: id,
        ConfigEP: { Host: 'sim0' },
      }),
    );
  } finally {
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
