import { MASTER, NETMASTER } from '../lab.js';
import { Client } from '../master.js';
import type { Result } from '../result.js';
import { servicePid } from '../service.js';
import { pause } from '../stats.js';
import { idle } from '../usage.js';

/** Until what was just made is written and read back. */
const RESTS_MS = 15_000;
/** Whatever is done now and then is done at least once in so many seconds. */
const WATCHED_S = 60;

/** Memory and idle CPU of netmaster and netplugin, with nothing and with 1,000 endpoints in a network the host takes part in. */
export async function footprintSuite(): Promise<Result[]> {
  const client = new Client(NETMASTER);
  const results: Result[] = [];
  const measure = async (endpoints: number): Promise<void> => {
    await pause(RESTS_MS);
    const watched = ['netmaster', 'netplugin'].map(async (service) => ({
      service,
      usage: await idle(await servicePid(MASTER, service), WATCHED_S),
    }));
    for (const { service, usage } of await Promise.all(watched)) {
      const what = `${service}, ${endpoints.toLocaleString('en-US')} endpoints`;
      results.push(
        {
          suite: 'footprint',
          what: `memory of ${what}`,
          figures: { resident: usage.memory },
          unit: 'MB',
          value: usage.memory,
          valueName: 'resident',
          target: { op: '<=', limit: 150, unit: 'MB' },
        },
        {
          suite: 'footprint',
          what: `idle CPU of ${what}`,
          figures: { idle: usage.cpu },
          unit: '% of a core',
          value: usage.cpu,
          valueName: 'idle',
          target: { op: '<=', limit: 1, unit: '%' },
        },
      );
    }
  };
  try {
    await measure(0);
    await client.post('/api/v1/networks/default:foot/', {
      tenantName: 'default',
      networkName: 'foot',
      encap: 'vxlan',
      subnet: '10.88.0.0/16',
    });
    for (let i = 0; i < 1000; i++) {
      await client.post('/plugin/createEndpoint', {
        TenantName: 'default',
        NetworkName: 'foot',
        EndpointID: `foot-${i}`,
        ConfigEP: { Host: 'elsewhere' },
      });
    }
    await measure(1000);
    for (let i = 0; i < 1000; i++)
      await client.post('/plugin/deleteEndpoint', { TenantName: 'default', NetworkName: 'foot', EndpointID: `foot-${i}` });
    await client.delete('/api/v1/networks/default:foot/');
  } finally {
    client.close();
  }
  return results;
}
