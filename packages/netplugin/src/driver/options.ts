/** Options of `docker network create -d netplugin -o …`, checked. Pure. */
import { libnetwork } from '@contiv/docker';
import { z } from 'zod';

/** A refusal of a driver call: one sentence for the user of the `docker` command. */
export class DriverRefusal extends Error {
  override readonly name = 'DriverRefusal';
}

export interface NetworkOptions {
  readonly tenant: string;
  readonly encap: 'vlan' | 'vxlan';
  /** 0: netmaster chooses. */
  readonly pktTag: number;
  readonly gateway: string;
  readonly gateway6: string;
}

const KNOWN = ['tenant', 'encap', 'pkt-tag', 'gateway', 'ipv6-gateway'] as const;
const generic = z.record(z.string(), z.unknown());

/** The `-o` options inside a driver call's `Options`. */
export function genericOptions(options: Readonly<Record<string, unknown>> | null | undefined): Record<string, string> {
  const parsed = generic.safeParse(options?.[libnetwork.netlabel.generic]);
  const out: Record<string, string> = {};
  if (parsed.success) for (const [key, value] of Object.entries(parsed.data)) if (typeof value === 'string') out[key] = value;
  return out;
}

export function parseNetworkOptions(options: Readonly<Record<string, string>>): NetworkOptions {
  for (const key of Object.keys(options)) {
    // Labels of Docker's own (MTU, bridge name, …) may come from tools that set them on every network.
    if (!KNOWN.some((k) => k === key) && !key.startsWith('com.docker.')) {
      throw new DriverRefusal(`option "${key}" is not known to netplugin; known are ${KNOWN.join(', ')}`);
    }
  }
  const encap = options.encap ?? 'vxlan';
  if (encap !== 'vlan' && encap !== 'vxlan') throw new DriverRefusal(`option encap=${encap} is wrong: use vxlan or vlan`);
  const tag = options['pkt-tag'] ?? '0';
  if (!/^\d{1,8}$/.test(tag)) throw new DriverRefusal(`option pkt-tag=${tag} is not a number; leave it out and a free one is chosen`);
  return {
    tenant: options.tenant ?? 'default',
    encap,
    pktTag: Number(tag),
    gateway: options.gateway ?? '',
    gateway6: options['ipv6-gateway'] ?? '',
  };
}
