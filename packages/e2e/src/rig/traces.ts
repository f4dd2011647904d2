/**
 * What the product holds in stores, kernels and engines, as sorted lines: equal before and after whatever was to leave nothing. The kernel, the
 * engines and the store are asked by their own tools, the programs of ours by their APIs.
 */
import { z } from 'zod';
import { NETMASTER, type Rig } from './rig.js';
import { succeed } from './run.js';

/** What the kernel of a host holds. Tables the packets themselves fill are no traces: their entries age. */
const KERNEL = `
ip -o link | sed -E 's/^[0-9]+: ([^:@]+).*/link \\1/'
ls /run/docker/netns | sed 's/^/sandbox /'
nft list tables | grep contiv
for map in peers members networks endpoints dns_clients ports; do
  for pin in /sys/fs/bpf/contiv/*/maps/$map; do bpftool -j map dump pinned $pin | jq -r --arg map $map '.[] | select($map != "dns_clients" or any(.value[]; . != "0x00")) | "\\($map) \\(.key | join(" "))"'; done
done
ls -d /sys/fs/bpf/contiv/*/* | wc -l | sed 's/^/pins /'`;

const records = z.array(z.looseObject({}));
const agentState = z.looseObject({
  local: z.object({ networks: records, pools: records, reservations: records, endpoints: records }),
  status: z.looseObject({ problems: z.array(z.string()), netmaster: z.looseObject({ inSync: z.boolean(), pending: z.number() }) }),
});
const masterState = z.looseObject({ objects: z.record(z.string(), z.number()) });
const networkState = z.looseObject({
  Oper: z.looseObject({
    allocatedAddressesCount: z.number().optional(),
    allocatedIPAddresses: z.string().optional(),
    numEndpoints: z.number().optional(),
  }),
});

async function ofHost(rig: Rig, host: string): Promise<string[]> {
  const [kernel, networks, containers, agent] = await Promise.all([
    rig.on(host, 'sh', '-c', KERNEL),
    rig.docker(host, 'network', 'ls', '--format', 'docker network {{.Name}} {{.Driver}}'),
    rig.docker(host, 'ps', '-a', '--format', 'container {{.Names}} {{.State}}'),
    rig.get(`${rig.agent(host)}/debug/state`).then((body) => agentState.parse(body)),
  ]);
  const own = Object.entries(agent.local).map(([what, list]) => `agent ${what} ${list.length}`);
  const told = [
    ...agent.status.problems,
    ...(agent.status.netmaster.pending > 0 ? [`${agent.status.netmaster.pending} left to tell`] : []),
  ];
  return [...lines(kernel), ...lines(networks), ...lines(containers), ...own, ...told].map((line) => `${host}: ${line}`);
}

async function ofMaster(rig: Rig): Promise<string[]> {
  const { objects } = masterState.parse(await rig.get(`${NETMASTER}/debug/state`));
  const networks = z.array(z.looseObject({ key: z.string() })).parse(await rig.get(`${NETMASTER}/api/v1/networks/`));
  const inspected = await Promise.all(
    networks.map(async ({ key }) => ({ key, ...networkState.parse(await rig.get(`${NETMASTER}/api/v1/inspect/networks/${key}/`)) })),
  );
  const inUse = inspected.map(
    ({ key, Oper: o }) =>
      `network ${key} ${o.numEndpoints ?? 0} endpoints, addresses ${o.allocatedAddressesCount ?? 0} (${o.allocatedIPAddresses ?? ''})`,
  );
  return [...Object.entries(objects).map(([what, count]) => `master ${what} ${count}`), ...inUse];
}

/** Keys of ours in etcd, and those of engines that share their networks through it. A lease takes its own with it. */
async function ofEtcd(rig: Rig, host: string): Promise<string[]> {
  const etcd = (version: string, ...args: readonly string[]): Promise<string> =>
    rig.on(host, 'env', `ETCDCTL_API=${version}`, 'etcdctl', ...args);
  const own = await etcd('3', 'get', '/contiv/', '--prefix', '--keys-only');
  const shared = await succeed(
    'etcdctl ls',
    rig.tryOn(host, 'sh', '-c', 'ETCDCTL_API=2 etcdctl ls --recursive /docker/network 2>/dev/null || true'),
  );
  const permanent = lines(own).filter((key) => !/\/(alive|masters|locks)\//.test(key));
  return [...permanent, ...lines(shared)].map((key) => `etcd: ${key}`);
}

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

/** Throws while a program of ours does not answer or has something left to do: a trace that is on its way out is one. */
export async function traces(rig: Rig): Promise<readonly string[]> {
  const {
    hosts,
    state: { options },
  } = await rig.plan();
  const parts = await Promise.all([
    ofMaster(rig),
    ...hosts.map(({ name }) => ofHost(rig, name)),
    ...(options.store === 'etcd' ? hosts.slice(0, 1).map(({ name }) => ofEtcd(rig, name)) : []),
  ]);
  return parts.flat().sort();
}

/** What one list has that the other has not, for people. */
export function difference(before: readonly string[], after: readonly string[]): string {
  const [old, fresh] = [new Set(before), new Set(after)];
  const more = after.filter((line) => !old.has(line)).map((line) => `+ ${line}`);
  const less = before.filter((line) => !fresh.has(line)).map((line) => `- ${line}`);
  return [...more, ...less].join('\n');
}
