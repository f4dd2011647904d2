/** Tells netmaster the names, aliases and labels of the containers behind this host's endpoints, outside of driver calls. */
import { MasterError } from '@contiv/client';
import type { ContainerDetail, Engine } from '@contiv/docker';
import type { EndpointState, UpdateEndpointRequest } from '@contiv/model';
import { type DriverContext, STREAM_WAIT_MS } from '../driver/context.js';
import type { EndpointRecord } from '../state/records.js';
import { Loop } from './loop.js';

/** netmaster's limits (wire/plugin.ts). */
const MAX_ALIASES = 64;
const MAX_ALIAS = 256;
const MAX_LABELS = 256;

const unique = (names: readonly string[]): string[] => [...new Set(names.filter((name) => name !== '' && name.length <= MAX_ALIAS))];

/** What a container's inspection says about one of its endpoints. Pure. */
export function reportOf(detail: ContainerDetail, endpointId: string, tenant: string, network: string): UpdateEndpointRequest | undefined {
  const attached = Object.values(detail.NetworkSettings.Networks).find((a) => a.EndpointID === endpointId);
  if (!attached) return undefined;
  const name = detail.Name.replace(/^\//, '');
  const service = detail.Config.Labels['com.docker.compose.service'] ?? '';
  const aliases = unique([...attached.Aliases, ...attached.DNSNames, service, detail.Config.Hostname])
    .filter((alias) => alias !== name)
    .slice(0, MAX_ALIASES);
  const labels = Object.entries(detail.Config.Labels).filter(([key, value]) => key.length <= 1024 && value.length <= 8192);
  return {
    EndpointID: endpointId,
    ContainerID: detail.Id,
    EPCommonName: name.slice(0, 256),
    Aliases: aliases,
    Labels: Object.fromEntries(labels.slice(0, MAX_LABELS)),
    Event: 'start',
    Tenant: tenant,
    Network: network,
    ...(attached.IPAddress === '' ? {} : { IPAddress: attached.IPAddress }),
  };
}

/** Does netmaster know this already? Pure. */
export function isKnown(endpoint: EndpointState, report: UpdateEndpointRequest): boolean {
  const text = (record: Readonly<Record<string, string>> | undefined) =>
    JSON.stringify(
      Object.entries(record ?? {})
        .map(([key, value]) => `${key}=${value}`)
        .sort(),
    );
  return (
    endpoint.containerId === report.ContainerID &&
    endpoint.containerName === report.EPCommonName &&
    [...(endpoint.aliases ?? [])].sort().join('\n') === [...(report.Aliases ?? [])].sort().join('\n') &&
    text(endpoint.labels) === text(report.Labels)
  );
}

export class Containers {
  readonly #engine: Engine;
  readonly #context: DriverContext;
  readonly #loop: Loop;
  /** Containers to look at; `all` after a gap in the events. */
  readonly #dirty = new Set<string>();
  #all = true;
  /** Last text sent for an endpoint: the stream may be slower than the next event. */
  readonly #sent = new Map<string, string>();
  /** Containers that could not be reported, which was said once. */
  #failing: ReadonlySet<string> = new Set();

  constructor(engine: Engine, context: DriverContext) {
    this.#engine = engine;
    this.#context = context;
    this.#loop = new Loop((signal) => this.#work(signal), {
      every: 60_000,
      retry: { baseMs: 500, maxMs: 10_000 },
      failed: (err) => context.log.warn({ err }, 'the engine does not list its containers; trying again'),
    });
  }

  /** One container came, was renamed, or was attached to another network. */
  changed(containerId: string): void {
    this.#dirty.add(containerId);
    this.#loop.soon(5);
  }

  /** Events were missed. */
  everything(): void {
    this.#all = true;
    this.#loop.soon(5);
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #work(signal: AbortSignal): Promise<boolean> {
    if (this.#all) {
      this.#all = false;
      try {
        for (const container of await this.#engine.containers()) this.#dirty.add(container.Id);
      } catch (error) {
        this.#all = true;
        throw error;
      }
    }
    const failing = new Set<string>();
    const ids = [...this.#dirty];
    this.#dirty.clear();
    for (const id of ids) {
      // The next agent looks at all of them.
      if (signal.aborted) break;
      try {
        const detail = await this.#engine.container(id);
        if (detail) await this.#report(detail);
      } catch (err) {
        this.#dirty.add(id);
        failing.add(id);
        // That nobody answers, others say.
        if (!this.#failing.has(id) && !(err instanceof MasterError && err.transient))
          this.#context.log.warn({ err, container: id }, 'netmaster cannot be told of a container; its name does not resolve until it is');
      }
    }
    this.#failing = failing;
    for (const id of this.#sent.keys()) if (!this.#context.state.endpoints.has(id)) this.#sent.delete(id);
    return failing.size === 0;
  }

  async #report(detail: ContainerDetail): Promise<void> {
    const failed: unknown[] = [];
    for (const { EndpointID } of Object.values(detail.NetworkSettings.Networks)) {
      this.#complete(EndpointID, detail);
      // What cannot be told of one network is no reason to be silent about the others.
      await this.#reportOne(EndpointID, detail).catch((error: unknown) => failed.push(error));
    }
    if (failed.length > 0) throw failed[0];
  }

  async #reportOne(endpointId: string, detail: ContainerDetail): Promise<void> {
    const { state, calls, cluster } = this.#context;
    const record = state.endpoints.get(endpointId);
    if (record?.stage !== 'ready') return;
    const report = reportOf(detail, endpointId, record.ref.tenant, record.ref.network);
    if (!report) return;
    const text = JSON.stringify(report);
    const known = cluster.mirror.endpoints.get(`${record.ref.network}.${record.ref.tenant}-${endpointId}`);
    const told = this.#sent.get(endpointId) === text && (!cluster.synced || (known && isKnown(known, report)));
    if (told && record.labelsRead === true) return;
    if (!known || !isKnown(known, report)) {
      await calls.updateEndpoint(report);
      this.#sent.set(endpointId, text);
    }
    if (record.labelsRead !== true) await this.#read(record);
  }

  /**
   * What netmaster could not tell of an endpoint that was adopted. Which interface of a container carries the route to the DNS service nobody
   * knows then: no other one is given it, and whichever leaves hands it on.
   */
  #complete(endpointId: string, { NetworkSettings: { Networks, SandboxKey } }: ContainerDetail): void {
    const { state } = this.#context;
    const record = state.endpoints.get(endpointId);
    const networkId = Object.values(Networks).find((a) => a.EndpointID === endpointId)?.NetworkID ?? '';
    if (record?.stage !== 'ready' || record.networkId !== '' || networkId === '' || SandboxKey === '') return;
    state.endpoints.setAnyway(endpointId, { ...record, networkId, sandboxKey: SandboxKey, dnsRoute: true });
  }

  /** Once the stream has told which group the label made it a member of, the endpoint need not be cut off any more. */
  async #read({ endpointId, ref }: EndpointRecord): Promise<void> {
    const { state, cluster, dataplane } = this.#context;
    const key = `${ref.network}.${ref.tenant}-${endpointId}`;
    await cluster.until(() => cluster.mirror.endpoints.get(key)?.containerId !== undefined, STREAM_WAIT_MS);
    const current = state.endpoints.get(endpointId);
    if (current?.stage !== 'ready' || cluster.mirror.endpoints.get(key)?.containerId === undefined) return;
    state.endpoints.setAnyway(endpointId, { ...current, labelsRead: true });
    dataplane.schedule(0);
  }
}
