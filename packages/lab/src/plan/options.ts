/** What a lab consists of: chosen at the first `up`, kept in its state file, equal for every later command. */
import { z } from 'zod';

/** Hosts beyond this would need a wider subnet plan; the machine gives out long before. */
export const MAX_HOSTS = 16;

export const labOptionsSchema = z.object({
  hosts: z.int().min(1).max(MAX_HOSTS),
  engine: z.enum(['system', 'modern']),
  store: z.enum(['embedded', 'etcd']),
  /** Engines only: no netmaster, no netplugin, no swarm. */
  bare: z.boolean(),
  /** Engines joined by Docker's own swarm mode; they are then without live-restore, which it excludes. */
  swarmMode: z.boolean().default(false),
  masters: z.int().min(1).max(3),
  /** MTU of eth1, eth2 and eth3. */
  mtu: z.int().min(1280).max(9216),
  /** What eth1 has beside its IPv4 address, and where the VTEPs are. */
  underlay: z.enum(['ipv4', 'ipv6']).default('ipv4'),
  /** Given to netplugin: eth2, or both cables to the trunk. */
  vlanUplinks: z.enum(['eth2', 'eth2,eth3']).default('eth2'),
  /** First three octets of the underlay's /24, with the dot: `192.168.2.` */
  ipPrefix: z.string().regex(/^(\d{1,3}\.){3}$/, 'three octets and a dot, like 192.168.2.'),
});
export type LabOptions = z.infer<typeof labOptionsSchema>;

export const DEFAULT_OPTIONS: LabOptions = {
  hosts: 2,
  engine: 'system',
  store: 'embedded',
  bare: false,
  swarmMode: false,
  masters: 1,
  mtu: 1500,
  underlay: 'ipv4',
  vlanUplinks: 'eth2',
  ipPrefix: '192.168.2.',
};

export class LabError extends Error {
  override readonly name = 'LabError';
}

/** Throws a {@link LabError} whose sentence says which choice is impossible and what to choose instead. */
export function checkedOptions(raw: unknown): LabOptions {
  const parsed = labOptionsSchema.safeParse(raw);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new LabError(`--${kebab(String(issue?.path[0] ?? 'option'))}: ${issue?.message ?? 'not valid'}`);
  }
  const options = parsed.data;
  if (options.masters > options.hosts)
    throw new LabError(`${options.masters} masters need as many hosts; say --hosts ${options.masters} or fewer masters`);
  if (options.masters > 1 && options.store !== 'etcd')
    throw new LabError('several masters share one store; say --store etcd, the embedded one serves a single master');
  if (options.swarmMode && options.engine === 'system' && options.store === 'etcd')
    throw new LabError('engines of 20.10 take either swarm mode or a cluster store; leave out --store etcd, or say --engine modern');
  return options;
}

/** `swarmMode` → `swarm-mode`, as the flag is typed. */
export const kebab = (name: string): string => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
