/** What an agent costs, and what its data path holds. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Rig } from './rig.js';

/** Resident memory of a host's agent in MiB. */
export async function agentMemory(rig: Rig, host: string): Promise<number> {
  const status = await readFile(`/proc/${await rig.pid(host, 'netplugin')}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

const status = z.object({
  datapath: z.object({ maps: z.array(z.object({ name: z.string(), entries: z.number(), max: z.number() })) }),
});

/** How full the table of IPv4 connections of a host is, 0 to 1; as of a quarter of a minute ago. */
export async function connectionsFill(rig: Rig, host: string): Promise<number> {
  const { maps } = status.parse(await rig.get(`${rig.agent(host)}/status`)).datapath;
  const table = maps.find(({ name }) => name === 'connections4');
  if (!table) throw new Error('no table connections4');
  return table.entries / table.max;
}
