/**
 * Compares what the engine, this agent and netmaster hold of this host, so that nothing leaks and nothing is lost after kills of any of them:
 * records the engine does not have go, endpoints netmaster lost are claimed again, the rest is released.
 */
import { MasterError } from '@contiv/client';
import type { Engine } from '@contiv/docker';
import { type DriverContext, forgetEndpoint, forgetReservation } from '../driver/context.js';
import { leaveSandbox } from '../driver/sandbox-routes.js';
import type { EndpointRecord } from '../state/records.js';
import { Loop } from './loop.js';

/** Whatever is younger may be in the middle of a driver call, or of a container's start. */
const GRACE_MS = 30_000;

/**
 * An endpoint that the engine's network has and no container does: its container is still being started, however slowly. An engine that has
 * not got further by then has forgotten it.
 */
const STARTING_MS = 15 * 60_000;

/** How long the stream may take to bring an endpoint just made. */
const CLAIM_AFTER_MS = 10_000;

export class HostSync {
  readonly #engine: Engine;
  readonly #context: DriverContext;
  readonly #loop: Loop;
  #errors: readonly string[] = [];

  constructor(engine: Engine, context: DriverContext) {
    this.#engine = engine;
    this.#context = context;
    this.#loop = new Loop((signal) => this.#compare(signal), {
      every: 60_000,
      retry: { baseMs: 1_000, maxMs: 15_000 },
      failed: (err) => context.log.warn({ err }, 'what this host has cannot be compared with the engine and netmaster; trying again'),
    });
    context.cluster.listen({ replaced: () => this.#loop.soon(500) });
  }

  /** One sentence per endpoint of this host that is not as it should be. */
  get errors(): readonly string[] {
    return this.#errors;
  }

  soon(ms: number): void {
    this.#loop.soon(ms);
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #compare(signal: AbortSignal): Promise<boolean> {
    const { cluster, state, host, calls, log } = this.#context;
    // Before the engine is asked: what is made from now on is not judged.
    const before = cluster.mirror.revision;
    const began = Date.now();
    const present = new Map<string, string>();
    for (const container of await this.#engine.containers(true)) {
      for (const { EndpointID, NetworkID } of Object.values(container.NetworkSettings.Networks)) {
        if (EndpointID !== '') present.set(EndpointID, NetworkID);
      }
    }
    // What is too young to be judged is looked at again as soon as it is old enough, not only with the next round.
    const settled = (createdAt: number): boolean => {
      const wait = createdAt + GRACE_MS - began;
      if (wait >= 0) this.#loop.soon(wait + 100);
      return wait < 0;
    };
    const unseen = state.endpoints
      .values()
      .filter((record) => record.stage !== 'deleting' && !present.has(record.endpointId) && settled(record.createdAt));
    const starting = await this.#starting(unseen.filter((record) => began - record.createdAt < STARTING_MS));
    await this.#drop(unseen.filter((record) => !starting.has(record.endpointId)));
    for (const record of state.reservations.values()) {
      if (!record.kept && record.releasing !== true && settled(record.createdAt)) void forgetReservation(this.#context, record, 0);
    }
    if (!cluster.synced) return true;
    const errors = await this.#claim(began, signal);
    if (signal.aborted) return true;
    this.#errors = errors;
    const kept = state.endpoints
      .values()
      .filter((record) => record.stage !== 'deleting')
      .map((record) => record.endpointId);
    const released = await calls.reconcileHost({
      Host: host,
      EndpointIDs: [...new Set([...kept, ...present.keys()])],
      Reservations: state.reservations
        .values()
        .filter((r) => r.releasing !== true)
        .map((r) => `${r.ref.network}.${r.ref.tenant}|${r.address}`),
      Before: before,
    });
    const count = released.Endpoints.length + released.Addresses.length;
    if (count > 0)
      log.info(
        { endpoints: released.Endpoints.slice(0, 20), addresses: released.Addresses.slice(0, 20), count },
        'released what this host no longer has',
      );
    return errors.length === 0;
  }

  /** Which of them the engine's networks have. Containers say so only when their start is over, which may take minutes on a busy host. */
  async #starting(records: readonly EndpointRecord[]): Promise<ReadonlySet<string>> {
    const ids = new Set<string>();
    // Of one that was adopted it is not known, and it started long ago.
    const networkIds = records.map((record) => record.networkId).filter((networkId) => networkId !== '');
    for (const networkId of new Set(networkIds)) {
      const network = await this.#engine.network(networkId);
      for (const { EndpointID } of Object.values(network?.Containers ?? {})) ids.add(EndpointID);
    }
    return new Set(records.map((record) => record.endpointId).filter((id) => ids.has(id)));
  }

  /** The engine does not have these endpoints any more. */
  async #drop(records: readonly EndpointRecord[]): Promise<void> {
    const { dataplane, log } = this.#context;
    for (const record of records) {
      log.info({ endpoint: record.endpointId, ip: record.ip }, 'the engine no longer has this endpoint; removed');
      await dataplane
        .detach(record)
        .catch((err: unknown) => log.warn({ err, endpoint: record.endpointId }, 'an interface could not be removed'));
    }
    // None of these inherits anything.
    for (const record of records) leaveSandbox(this.#context, record.endpointId);
    for (const record of records) void forgetEndpoint(this.#context, record, 0);
  }

  /** Endpoints that run here but that netmaster does not have (its host time-out, a restored store): they are asked for again. */
  async #claim(began: number, signal: AbortSignal): Promise<string[]> {
    const { cluster, state, calls, host, dataplane } = this.#context;
    const errors: string[] = [];
    const dispute = (record: EndpointRecord, disputed: boolean): void => {
      if ((record.disputed === true) === disputed) return;
      const { disputed: _before, ...rest } = record;
      state.endpoints.setAnyway(record.endpointId, disputed ? { ...rest, disputed } : rest);
      dataplane.schedule(0);
    };
    for (const { endpointId } of state.endpoints.values()) {
      // As it is now: while others were asked for, its container may have ended.
      const record = state.endpoints.get(endpointId);
      if (record?.stage !== 'ready' || signal.aborted) continue;
      const { tenant, network, group } = record.ref;
      if (cluster.mirror.endpoints.has(`${network}.${tenant}-${record.endpointId}`)) {
        dispute(record, false);
        continue;
      }
      if (began - record.createdAt < CLAIM_AFTER_MS) {
        this.#loop.soon(CLAIM_AFTER_MS);
        continue;
      }
      try {
        await calls.createEndpoint({
          TenantName: tenant,
          NetworkName: network,
          ...(group === undefined ? {} : { ServiceName: group }),
          EndpointID: record.endpointId,
          ConfigEP: {
            Host: host,
            IPAddress: record.ip,
            ...(record.ip6 === undefined ? {} : { IPv6Address: record.ip6 }),
            MacAddress: record.mac,
            ...(group === undefined ? {} : { ServiceName: group }),
          },
        });
        // It ended while it was asked for, and netmaster may have heard of the end first.
        const now = state.endpoints.get(endpointId);
        if (now?.stage !== 'ready') void forgetEndpoint(this.#context, now ?? record, 0);
      } catch (error) {
        if (!(error instanceof MasterError) || error.transient) throw error;
        const now = state.endpoints.get(record.endpointId);
        if (error.code === 'conflict' && now?.stage === 'ready') dispute(now, true);
        errors.push(
          `container with address ${record.ip} in ${network} of tenant ${tenant} is cut off: ${error.message}; it is asked for again, or restart the container for another address`,
        );
      }
    }
    return errors;
  }
}
