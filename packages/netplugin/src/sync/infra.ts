/**
 * This host's own addresses in infra networks (spec/contiv §6.6): netmaster gives one for each, under the host's name, and the data path makes
 * an interface of it. They go with the network.
 */
import type { AgentCalls } from '@contiv/client';
import type { NetworkState } from '@contiv/model';
import type { Logger } from '@contiv/observe';
import type { Cluster } from '../cluster.js';
import type { Dataplane } from '../dataplane.js';
import { interfaceNames, type LocalState } from '../state/records.js';
import { Loop } from './loop.js';

export interface InfraOptions {
  readonly host: string;
  readonly cluster: Cluster;
  readonly calls: AgentCalls;
  readonly state: LocalState;
  readonly dataplane: Dataplane;
  readonly log: Logger;
}

export class InfraNetworks {
  readonly #options: InfraOptions;
  readonly #loop: Loop;
  #faults: readonly string[] = [];

  constructor(options: InfraOptions) {
    this.#options = options;
    this.#loop = new Loop(() => this.#compare(), { every: 60_000, retry: { baseMs: 500, maxMs: 15_000 } });
    options.cluster.listen({
      synced: () => this.#loop.soon(0),
      changed: (change) => {
        const infra = change.kind === 'network' && (change.after ?? change.before)?.nwType === 'infra';
        if (infra || (change.kind === 'endpoint' && (change.after ?? change.before)?.endpointId === options.host)) this.#loop.soon(10);
      },
    });
  }

  /** Why an infra network is not as it should be; empty when all are. */
  get fault(): string {
    return this.#faults[0] ?? '';
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #compare(): Promise<boolean> {
    const { cluster, state, dataplane, log } = this.#options;
    // Without a master nobody gives addresses, and nobody says what is gone.
    if (!cluster.synced) return true;
    const wanted = [...cluster.mirror.networks.values()].filter((network) => network.nwType === 'infra');
    for (const record of state.infra.values()) {
      if (wanted.some((network) => network.key === record.key)) continue;
      state.infra.delete(record.key);
      dataplane.schedule(0);
    }
    const faults: string[] = [];
    for (const network of wanted) {
      try {
        await this.#claim(network);
      } catch (error) {
        const fault = `infra network ${network.network}: ${error instanceof Error ? error.message : String(error)}`;
        if (!this.#faults.includes(fault)) log.warn({ reason: fault }, 'this host has no address in an infra network');
        faults.push(fault);
      }
    }
    this.#faults = faults;
    return faults.length === 0;
  }

  async #claim(network: NetworkState): Promise<void> {
    const { host, cluster, calls, state, dataplane } = this.#options;
    const held = state.infra.get(network.key);
    const known = cluster.mirror.endpoints.get(`${network.network}.${network.tenant}-${host}`);
    if (held && known?.ip === held.ip) return;
    const made = await calls.createEndpoint({
      TenantName: network.tenant,
      NetworkName: network.network,
      EndpointID: host,
      EPCommonName: host,
      ConfigEP: { Host: host, Container: host },
    });
    if (held?.ip === made.ip) return;
    state.infra.set(network.key, {
      key: network.key,
      ref: { tenant: network.tenant, network: network.network },
      ip: made.ip,
      mac: made.mac,
      port: interfaceNames(`infra ${network.key} ${made.ip}`).port,
    });
    dataplane.schedule(0);
  }
}
