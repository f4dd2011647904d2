/** Which Docker networks have to exist for netmaster's networks and groups (spec/contiv §5.6). Pure. */
import type { Mirror } from '@contiv/client';
import type { EngineNetwork, NetworkCreate } from '@contiv/docker';
import { dockerNetworkName, type NetworkState, networkKey } from '@contiv/model';
import type { NetworkRecord, NetworkRef } from '../state/records.js';

export const refKey = (ref: NetworkRef): string => `${ref.tenant}:${ref.network}:${ref.group ?? ''}`;

/** A Docker network an agent makes. */
export interface WantedNetwork {
  readonly ref: NetworkRef;
  readonly body: NetworkCreate;
}

function wanted(driver: string, name: string, network: NetworkState, group?: string): WantedNetwork {
  const { tenant } = network;
  const four = {
    Subnet: `${network.subnet.address}/${network.subnet.length}`,
    ...(network.gateway === undefined ? {} : { Gateway: network.gateway }),
  };
  const six = network.subnet6 && {
    Subnet: `${network.subnet6.address}/${network.subnet6.length}`,
    ...(network.gateway6 === undefined ? {} : { Gateway: network.gateway6 }),
  };
  return {
    ref: { tenant, network: network.network, ...(group === undefined ? {} : { group }) },
    body: {
      Name: name,
      CheckDuplicate: true,
      Driver: driver,
      Attachable: true,
      EnableIPv6: six !== undefined,
      Internal: false,
      IPAM: {
        Driver: driver,
        Options: { network: network.network, tenant, ...(group === undefined ? {} : { group }) },
        Config: six ? [four, six] : [four],
      },
      Options: { encap: network.encap, 'pkt-tag': String(network.tag), tenant },
      Labels: {},
    },
  };
}

/**
 * Every Docker network there should be, by `refKey`. Networks an engine is just making (`origin` without `dockerName`) are not yet among
 * them; infra networks never are.
 */
export function wantedNetworks(mirror: Mirror, driver: string): Map<string, WantedNetwork> {
  const out = new Map<string, WantedNetwork>();
  for (const network of mirror.networks.values()) {
    if (network.nwType !== 'data' || (network.origin !== undefined && network.dockerName === undefined)) continue;
    const one = wanted(driver, network.dockerName ?? dockerNetworkName(network.tenant, network.network), network);
    out.set(refKey(one.ref), one);
  }
  for (const group of mirror.groups.values()) {
    const network = mirror.networks.get(networkKey(group.tenant, group.network));
    if (network?.nwType !== 'data') continue;
    const one = wanted(driver, dockerNetworkName(group.tenant, group.group), network, group.group);
    out.set(refKey(one.ref), one);
  }
  return out;
}

/** The netmaster object a Docker network names by its IPAM options; `undefined` when an agent did not make it. */
export function refOfOptions(network: EngineNetwork, driver: string): NetworkRef | undefined {
  const { tenant, network: name, group } = network.IPAM.Options;
  if (network.Driver !== driver || network.IPAM.Driver !== driver || name === undefined) return undefined;
  return { tenant: tenant ?? 'default', network: name, ...(group ? { group } : {}) };
}

/** What differs between a Docker network and what it should be, empty when it is right. */
export function difference(have: EngineNetwork, want: NetworkCreate): string {
  const differs = Object.entries(want.Options).find(([key, value]) => have.Options[key] !== value);
  if (differs) return `${differs[0]} is ${have.Options[differs[0]] ?? 'missing'} and should be ${differs[1]}`;
  const text = (config: readonly { readonly Subnet?: string | undefined; readonly Gateway?: string | undefined }[]) =>
    config.map((c) => `${c.Subnet ?? ''}${c.Gateway ? ` gateway ${c.Gateway}` : ''}`).join(', ');
  if (text(have.IPAM.Config) !== text(want.IPAM.Config))
    return `its subnet is ${text(have.IPAM.Config)} and should be ${text(want.IPAM.Config)}`;
  return '';
}

/**
 * Docker networks that stand for an object which an older one stands for already. Engines that share their networks through a cluster
 * store make such doubles when that store comes back from an outage; each name is then ambiguous to Docker.
 */
export function doubles(ours: readonly EngineNetwork[], recordOf: (id: string) => NetworkRecord | undefined): EngineNetwork[] {
  const first = new Map<string, { readonly network: EngineNetwork; readonly since: number }>();
  const out: EngineNetwork[] = [];
  for (const network of ours) {
    const record = recordOf(network.Id);
    if (!record || record.wish || record.deleting) continue;
    const key = refKey(record.ref);
    const known = first.get(key);
    const one = { network, since: record.createdAt };
    if (known && known.since <= one.since) out.push(network);
    else {
      first.set(key, one);
      if (known) out.push(known.network);
    }
  }
  return out;
}

/** On engines that share their networks, one agent makes them: that of the first host alive. */
export function isCreator(mirror: Mirror, host: string): boolean {
  const alive = [...mirror.hosts.values()].filter((h) => h.alive || h.name === host).map((h) => h.name);
  return alive.sort()[0] === host;
}
