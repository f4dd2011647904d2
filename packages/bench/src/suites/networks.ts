import { docker, eventually, MASTER, NETMASTER, WORKER } from '../lab.js';
import { Client, rate } from '../master.js';
import type { Result } from '../result.js';

const COUNT = 100;

/** Networks made, listed and removed through REST while the agents of two hosts make and remove the Docker networks. */
export async function networksSuite(): Promise<Result[]> {
  const client = new Client(NETMASTER);
  const name = (i: number): string => `many${i}`;
  const onEngine = async (host: string): Promise<number> =>
    (await docker(host, 'network', 'ls', '-q', '--filter', 'name=many')).split('\n').filter(Boolean).length;
  try {
    const start = performance.now();
    const creates = await rate(COUNT, 8, (i) =>
      client.post(`/api/v1/networks/default:${name(i)}/`, {
        tenantName: 'default',
        networkName: name(i),
        encap: 'vxlan',
        subnet: `10.99.${i}.0/24`,
      }),
    );
    await client.get('/api/v1/networks/');
    for (const host of [MASTER, WORKER]) {
      await eventually(
        `${COUNT} Docker networks on ${host}`,
        async () => {
          const present = await onEngine(host);
          if (present !== COUNT) throw new Error(`${present} of ${COUNT}`);
        },
        120_000,
      );
    }
    const present = COUNT / ((performance.now() - start) / 1000);
    const removals = await rate(COUNT, 8, (i) => client.delete(`/api/v1/networks/default:${name(i)}/`));
    for (const host of [MASTER, WORKER]) {
      await eventually(
        `no Docker network left on ${host}`,
        async () => {
          if ((await onEngine(host)) !== 0) throw new Error('some are left');
        },
        120_000,
      );
    }
    return [
      {
        suite: 'networks',
        what: 'networks through REST with Docker networks on two engines',
        figures: { create: creates, 'create until on both engines': present, delete: removals },
        unit: 'per s',
        value: Math.min(creates, removals),
        valueName: 'slower of create and delete',
        target: { op: '>=', limit: 50, unit: 'per s' },
      },
    ];
  } finally {
    client.close();
  }
}
