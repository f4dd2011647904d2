import { Client, type Master, rate, startMaster } from '../master.js';
import type { Result } from '../result.js';
import { median } from '../stats.js';

const NETWORKS = 10_000;
const ENDPOINTS = 10_000;
const WIDTH = 32;

const octets = (i: number): string => `${(i >> 8) & 255}.${i & 255}`;

/** Writes per second and list time at 10,000 networks and 10,000 endpoints, on one store. */
async function onStore(name: string, store: 'lmdb' | `etcd://${string}`, limit: number): Promise<Result[]> {
  const master: Master = await startMaster(store, 19_990);
  const client = new Client(master.url);
  try {
    const global: unknown = JSON.parse(await client.get('/api/v1/globals/global/'));
    await client.post('/api/v1/globals/global/', { ...(typeof global === 'object' ? global : {}), vxlans: '1-60000' });
    const creates = await rate(NETWORKS, WIDTH, (i) =>
      client.post(`/api/v1/networks/default:bench${i}/`, {
        tenantName: 'default',
        networkName: `bench${i}`,
        encap: 'vxlan',
        subnet: `${20 + (i >> 16)}.${octets(i)}.0/24`,
      }),
    );
    await client.post('/api/v1/networks/default:wide/', {
      tenantName: 'default',
      networkName: 'wide',
      encap: 'vxlan',
      subnet: '100.64.0.0/16',
    });
    const endpoints = await rate(ENDPOINTS, WIDTH, (i) =>
      client.post('/plugin/createEndpoint', {
        TenantName: 'default',
        NetworkName: 'wide',
        EndpointID: `bench-${i}`,
        ConfigEP: { Host: `host${i % 100}` },
      }),
    );
    const lists: number[] = [];
    for (let i = 0; i < 11; i++) {
      await client.post(`/api/v1/tenants/t${i}/`, { tenantName: `t${i}` });
      const start = performance.now();
      const text = await client.get('/api/v1/networks/');
      lists.push(performance.now() - start);
      const listed: unknown = JSON.parse(text);
      if (!Array.isArray(listed) || listed.length !== NETWORKS + 1) throw new Error('the list is not complete');
    }
    return [
      row(`network creates, ${NETWORKS.toLocaleString('en-US')}, ${name}`, creates, limit),
      row(`endpoint creates with allocation, ${ENDPOINTS.toLocaleString('en-US')}, ${name}`, endpoints, limit),
      {
        suite: 'control',
        what: `list of ${NETWORKS.toLocaleString('en-US')} networks right after a write, ${name}`,
        figures: { median: median(lists) },
        unit: 'ms',
        value: median(lists),
        valueName: 'median',
        target: { op: '<=', limit: 100, unit: 'ms' },
      },
    ];
  } finally {
    client.close();
    await master.stop();
  }
}

const row = (what: string, perSecond: number, limit: number): Result => ({
  suite: 'control',
  what,
  figures: { rate: perSecond },
  unit: 'per s',
  value: perSecond,
  valueName: 'rate',
  target: { op: '>=', limit, unit: 'per s' },
});

/** Control plane alone, embedded and on the etcd of the lab. */
export async function controlSuite(etcd: `etcd://${string}` | undefined): Promise<Result[]> {
  const results = await onStore('embedded', 'lmdb', 1000);
  if (etcd !== undefined) results.push(...(await onStore('etcd', etcd, 500)));
  return results;
}
