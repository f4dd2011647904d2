import { endpointKey } from '@contiv/datapath';
import { parseIpv4, type Vni } from '@contiv/model';
import { z } from 'zod';
import { eventually, MASTER, NETMASTER, sleeper, WORKER } from '../lab.js';
import { Client } from '../master.js';
import { ensureNetworks, OURS } from '../networks.js';
import type { Result } from '../result.js';
import { tableOf } from '../service.js';
import { percentile } from '../stats.js';

const WRITES = 200;
const ELSEWHERE = 'bench-elsewhere';
const LIMIT_MS = 5_000;
const inspection = z.object({ Oper: z.object({ pktTag: z.number().optional(), externalPktTag: z.number().optional() }) });

/** From sending the write of an endpoint to its entry in the kernel's table of both hosts, looked at there every millisecond. */
export async function spreadSuite(): Promise<Result[]> {
  await ensureNetworks();
  const client = new Client(NETMASTER);
  const delays: number[] = [];
  const made: string[] = [];
  const endpoint = { TenantName: 'default', NetworkName: OURS };
  try {
    // Hosts hold the entries of networks they take part in. Engines that share their networks want a name of its own for each container.
    for (const host of [MASTER, WORKER]) await sleeper(host, `spread-${host}`, OURS);
    await client.post(`/agent/v1/hosts/${ELSEWHERE}`, {
      vtepIp: '192.168.2.99',
      control: '192.168.2.99:9090',
      vxlanPort: 8472,
      mtu: 1500,
      version: '2.0.0',
    });
    const { Oper } = inspection.parse(JSON.parse(await client.get(`/api/v1/inspect/networks/default:${OURS}/`)));
    const vni = (Oper.externalPktTag ?? Oper.pktTag ?? 0) as Vni;
    const maps = [await tableOf(MASTER, 'endpoints'), await tableOf(WORKER, 'endpoints')];
    for (let i = 0; i < WRITES; i++) {
      const ip = parseIpv4(`10.77.0.${20 + i}`);
      if (ip === undefined) throw new Error('no address');
      const key = endpointKey(vni, ip);
      const id = `spread-${i}`;
      const start = performance.now();
      const written = client.post('/plugin/createEndpoint', { ...endpoint, EndpointID: id, ConfigEP: { Host: ELSEWHERE, IPAddress: ip } });
      made.push(id);
      while (!maps.every((map) => map.get(key))) {
        if (performance.now() - start > LIMIT_MS) throw new Error(`${ip} is not on both hosts after ${LIMIT_MS} ms`);
        await new Promise((wake) => setTimeout(wake, 1));
      }
      delays.push(performance.now() - start);
      await written;
    }
    for (const map of maps) map.close();
  } finally {
    for (const id of made) await client.post('/plugin/deleteEndpoint', { ...endpoint, EndpointID: id }).catch(() => undefined);
    await eventually('the pretended host is forgotten', () => client.delete(`/agent/v1/hosts/${ELSEWHERE}`)).catch(() => undefined);
    client.close();
  }
  return [
    {
      suite: 'spread',
      what: `write of an endpoint through REST → entry in the kernel's table of both hosts, ${WRITES} writes`,
      figures: { p50: percentile(delays, 50), p90: percentile(delays, 90), p99: percentile(delays, 99) },
      unit: 'ms',
      value: percentile(delays, 99),
      valueName: 'p99',
      target: { op: '<=', limit: 50, unit: 'ms' },
    },
  ];
}
