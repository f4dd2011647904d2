/** What the driver calls work with. */
import { type AgentCalls, MasterError } from '@contiv/client';
import { networkKey } from '@contiv/model';
import type { Logger } from '@contiv/observe';
import type { Cluster } from '../cluster.js';
import type { Dataplane } from '../dataplane.js';
import type { Outbox } from '../outbox.js';
import {
  type EndpointRecord,
  type LocalState,
  type NetworkRecord,
  netmasterId,
  type ReservationRecord,
  reservationKey,
} from '../state/records.js';
import { DriverRefusal } from './options.js';
import type { SandboxRoutes } from './sandbox-routes.js';

export interface DriverContext {
  readonly host: string;
  readonly scope: 'local' | 'global';
  readonly cluster: Cluster;
  readonly calls: AgentCalls;
  readonly state: LocalState;
  readonly dataplane: Dataplane;
  readonly outbox: Outbox;
  readonly routes: SandboxRoutes;
  readonly log: Logger;
  /** The engine has networks or endpoints the agent should look at soon; never waits for the engine. */
  readonly nudge: () => void;
}

/** Address space of our IPAM driver: tells in `CreateNetwork` whether a pool is ours. */
export const ADDRESS_SPACE = 'contiv';

/** How long a driver call may take; an engine's client gives up soon after it. */
export const CALL_LIMIT_MS = 4_900;

/** How long a driver call waits for something the stream is bringing. */
export const STREAM_WAIT_MS = 1_000;
/** How long a removal waits for netmaster before it answers all the same. */
export const FLUSH_WAIT_MS = 1_500;

/** How long a call waits for a network's final name. */
const NAMING_WAIT_MS = 1_500;

/** Done as far as netmaster is concerned: told, or refused for good. */
async function settle(log: Logger, what: string, call: Promise<void>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof MasterError) || error.transient) throw error;
    log.warn({ reason: error.message, what }, 'netmaster refused; nothing left to do here');
  }
}

/** Tells netmaster that an endpoint is gone; its record goes when that is done. */
export function forgetEndpoint(context: DriverContext, record: EndpointRecord, waitMs: number): Promise<void> {
  const { calls, state, outbox, log } = context;
  const { endpointId, ref } = record;
  return outbox.add(
    `endpoint ${endpointId}`,
    async () => {
      const request = { TenantName: ref.tenant, NetworkName: ref.network, EndpointID: endpointId };
      await settle(log, `endpoint ${endpointId}`, calls.deleteEndpoint(request));
      if (state.endpoints.get(endpointId)?.stage === 'deleting') state.endpoints.delete(endpointId);
    },
    waitMs,
  );
}

/** Gives an address back that no endpoint took. */
export function forgetReservation(context: DriverContext, record: ReservationRecord, waitMs: number): Promise<void> {
  const { calls, state, outbox, log, host } = context;
  const key = reservationKey(record.ref, record.address);
  state.reservations.setAnyway(key, { ...record, releasing: true });
  return outbox.add(
    `address ${key}`,
    async () => {
      // Handed out again meanwhile: the new holder's now. In the very moment of this call netmaster tells them apart by their names.
      const current = state.reservations.get(key);
      if (current?.releasing !== true) return;
      const named = current.id === undefined ? {} : { Reservation: current.id };
      const request = { NetworkID: netmasterId(record.ref), IPv4Address: record.address, Host: host, ...named };
      await settle(log, `address ${key}`, calls.releaseAddress(request));
      if (state.reservations.get(key)?.releasing === true) state.reservations.delete(key);
    },
    waitMs,
  );
}

/** Removes the netmaster network of a `docker network create` of this host, as soon as no endpoint anywhere uses it. */
export function forgetNetwork(context: DriverContext, record: NetworkRecord, waitMs: number): Promise<void> {
  const { calls, state, outbox } = context;
  const { networkId, ref } = record;
  state.networks.setAnyway(networkId, { ...record, deleting: true });
  for (const [key, reservation] of state.reservations.entries()) {
    if (reservation.ref.tenant === ref.tenant && reservation.ref.network === ref.network) state.reservations.delete(key);
  }
  return outbox.add(
    `network ${networkId}`,
    async () => {
      // It may be given its final name in this very moment.
      for (let going = state.networks.get(networkId); going; going = state.networks.get(networkId)) {
        const { ref } = going;
        await calls.deleteNetwork(ref.tenant, ref.network);
        // Until the stream has said so too, the network would look as if its Docker network were missing.
        await context.cluster.until(() => !context.cluster.mirror.networks.has(networkKey(ref.tenant, ref.network)), 3_000);
        if (state.networks.get(networkId)?.ref.network === ref.network) state.networks.delete(networkId);
      }
    },
    waitMs,
    (error) => error.code === 'in-use' || error.code === 'conflict',
  );
}

/**
 * A network made by `docker network create` gets its final name as soon as the engine has told it (`DockerNetworks`). Waits for that;
 * throws when it does not come.
 */
export async function untilNamed(context: DriverContext, networkId: string): Promise<void> {
  const named = () => {
    const record = context.state.networks.get(networkId);
    return record?.wish === undefined || record.dockerName !== undefined;
  };
  if (named()) return;
  context.nudge();
  const end = performance.now() + NAMING_WAIT_MS;
  while (!named()) {
    if (performance.now() >= end) throw new DriverRefusal('the network is still being set up with netmaster; try again in a moment');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
