/** Pool ids of the IPAM driver (spec/contiv §5.4) and the arithmetic around them. Pure. */
import type { Mirror } from '@contiv/client';
import { formatPrefix, ipv4FromNumber, ipv4Value, type NetworkState, parsePrefix4, parsePrefix6, size4 } from '@contiv/model';
import { type NetworkRef, netmasterId } from '../state/records.js';

/** `net.tenant|pool` or `net:group.tenant|pool`, with `|v6` behind an IPv6 pool. */
export function formatPoolId(ref: NetworkRef, pool: string, v6: boolean): string {
  return `${netmasterId(ref)}|${pool}${v6 ? '|v6' : ''}`;
}

export interface ParsedPoolId {
  /** What stands before the pool: `net.tenant`, `net:group.tenant`, or the mark of a pool without a network. */
  readonly owner: string;
  readonly pool: string;
  readonly v6: boolean;
}

export function parsePoolId(text: string): ParsedPoolId | undefined {
  const [owner, pool, family, ...rest] = text.split('|');
  if (!owner || !pool || rest.length > 0 || (family !== undefined && family !== 'v6')) return undefined;
  return { owner, pool, v6: family === 'v6' };
}

/** The network or group a pool id's owner names. Names may contain dots, so the cluster's own names decide where to cut. */
export function findOwner(mirror: Mirror, owner: string): NetworkRef | undefined {
  for (const { tenant, network } of mirror.networks.values()) if (netmasterId({ tenant, network }) === owner) return { tenant, network };
  for (const { tenant, network, group } of mirror.groups.values()) {
    if (netmasterId({ tenant, network, group }) === owner) return { tenant, network, group };
  }
  return undefined;
}

/** Subnet of a network as Docker shows it, e.g. `10.1.2.0/24`. */
export function poolOf(network: NetworkState, v6: boolean): string | undefined {
  const prefix = v6 ? network.subnet6 : network.subnet;
  return prefix && `${prefix.address}/${prefix.length}`;
}

/** Canonical text of a pool, host bits cleared; `undefined` when malformed or of the other family. */
export function canonicalPool(text: string, v6: boolean): string | undefined {
  const prefix = v6 ? parsePrefix6(text) : parsePrefix4(text);
  return prefix && formatPrefix(prefix);
}

/**
 * Contiv's subnet text for a pool of which only `range` (`--ip-range`, a prefix inside it) is to be handed out:
 * `first-last/len`; the plain pool without a range, `undefined` when the range does not lie inside.
 */
export function subnetText(pool: string, range: string): string | undefined {
  if (range === '') return pool;
  const outer = parsePrefix4(pool);
  const inner = parsePrefix4(range);
  if (!outer || !inner || inner.length < outer.length) return undefined;
  const first = ipv4Value(inner.address);
  const last = first + size4(inner.length) - 1;
  const base = ipv4Value(outer.address);
  if (first < base || last > base + size4(outer.length) - 1) return undefined;
  return `${ipv4FromNumber(first)}-${ipv4FromNumber(last)}/${outer.length}`;
}

/** `10.1.2.5/24` → `10.1.2.5`. */
export const withoutLength = (text: string): string => text.split('/', 1)[0] ?? '';
/** `10.1.2.0/24` → `24`. */
export const lengthOf = (pool: string): string => pool.split('/')[1] ?? '';
