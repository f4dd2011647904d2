/** What kernels and data paths count of packets that went nowhere: for whoever reads of a loss that cannot be had again. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Rig } from './rig.js';
import type { Place } from './traffic.js';

const ofKernel = (pid: string): string => `
nstat -asz | sed 's/^/host /'
nsenter -t ${pid} -n nstat -asz | sed 's/^/container /'
awk '{ print "processor " NR " queue full " $2 }' /proc/net/softnet_stat
awk 'NR > 2 { print $1 " errors " $4 " dropped " $5 ", out " $12 " " $13 }' /proc/net/dev`;

/** Of the kernel's own counters, those of what went wrong. */
const WRONG = /^(?:host|container) \S*(?:Drop|Discard|Err|Fail|Overflow|Prune|NoRoutes|RateLimit)/;
const status = z.object({ datapath: z.object({ drops: z.record(z.string(), z.string()) }) });

/** One table for all namespaces of the machine, which its own one shows. */
async function ofNeighbours(): Promise<string[]> {
  const table = await readFile('/proc/1/net/stat/arp_cache', 'utf8').catch(() => '');
  const rows = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  const [head = [], ...processors] = rows;
  return processors.flatMap((counts, i) =>
    counts.flatMap((count, column) =>
      /^(forced_gc_runs|unresolved_discards|table_fulls)$/.test(head[column] ?? '') ? [`neighbours ${i} ${head[column]} ${count}`] : [],
    ),
  );
}

/** Sorted lines, to be compared with those of another moment. */
export async function countersOf(rig: Rig, places: readonly Place[]): Promise<readonly string[]> {
  const parts = await Promise.all(
    places.map(async ({ host, container }) => {
      const [kernel, { datapath }] = await Promise.all([
        rig.pidOf(host, container).then((pid) => rig.on(host, 'sh', '-c', ofKernel(pid))),
        rig.get(`${rig.agent(host)}/status`).then((body) => status.parse(body)),
      ]);
      const counted = kernel.split('\n').filter((line) => !/^(?:host|container) /.test(line) || WRONG.test(line));
      const drops = Object.entries(datapath.drops).map(([reason, count]) => `data path ${reason} ${count}`);
      return [...counted, ...drops].map((line) => `${host}: ${line.replaceAll(/\s+/g, ' ')}`);
    }),
  );
  return [...parts.flat(), ...(await ofNeighbours())].sort();
}
