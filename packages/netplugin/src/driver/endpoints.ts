/** The endpoint half of the network driver: from an address to an interface a container can be given, and back (spec/contiv §5.3). */

import { DNS_SERVICE_IP } from '@contiv/datapath';
import { libnetwork } from '@contiv/docker';
import { GROUP_LABEL, groupKey, macBytes, networkKey, parseMac } from '@contiv/model';
import type { z } from 'zod';
import { type EndpointRecord, interfaceNames, type NetworkRef, reservationKey } from '../state/records.js';
import { CALL_LIMIT_MS, type DriverContext, FLUSH_WAIT_MS, forgetEndpoint, STREAM_WAIT_MS, untilNamed } from './context.js';
import { DriverRefusal } from './options.js';
import { withoutLength } from './pools.js';
import { leaveSandbox } from './sandbox-routes.js';

/** What is ready only then comes too late: the engine is, or is about to be, told of a failure. */
const TOO_LATE_MS = CALL_LIMIT_MS - 100;

const DOCKER_ID = /^[0-9a-z]{25,64}$/;

export class EndpointDriver {
  readonly #context: DriverContext;

  constructor(context: DriverContext) {
    this.#context = context;
  }

  async create(request: libnetwork.CreateEndpoint): Promise<object> {
    const { state, cluster, calls, dataplane, host } = this.#context;
    const began = performance.now();
    const asked = request.Interface ?? { Address: '', AddressIPv6: '', MacAddress: '' };
    const ip = withoutLength(asked.Address);
    const ip6 = withoutLength(asked.AddressIPv6);
    const mac = asked.MacAddress === '' ? '' : unicastMac(asked.MacAddress);
    const ref = this.#ofPool(await this.#network(request.NetworkID, ip), ip);
    const known = state.endpoints.get(request.EndpointID);
    if (known?.stage === 'ready' && known.ref.network === ref.network && known.ref.tenant === ref.tenant) return answer(known, asked);
    if (!(await cluster.network(networkKey(ref.tenant, ref.network), STREAM_WAIT_MS))) {
      throw new DriverRefusal(
        `network ${ref.network} of tenant ${ref.tenant} is gone from netmaster; remove the Docker network or make it again with netctl`,
      );
    }
    const group = this.#asked(ref, request.Options) ?? ref.group;
    const endpoint: NetworkRef = { tenant: ref.tenant, network: ref.network, ...(group === undefined ? {} : { group }) };
    const record: EndpointRecord = {
      endpointId: request.EndpointID,
      networkId: request.NetworkID,
      ref: endpoint,
      ip,
      ...(ip6 === '' ? {} : { ip6 }),
      mac,
      ...interfaceNames(request.EndpointID),
      createdAt: Date.now(),
      stage: 'creating',
    };
    state.endpoints.set(record.endpointId, record);
    try {
      const made = await calls.createEndpoint({
        TenantName: ref.tenant,
        NetworkName: ref.network,
        ...(group === undefined ? {} : { ServiceName: group }),
        EndpointID: request.EndpointID,
        ConfigEP: {
          Host: host,
          ...(ip === '' ? {} : { IPAddress: ip }),
          ...(ip6 === '' ? {} : { IPv6Address: ip6 }),
          ...(mac === '' ? {} : { MacAddress: mac }),
          ...(group === undefined ? {} : { ServiceName: group }),
        },
      });
      const ready = { ...record, ip: made.ip, mac: made.mac, ...(made.ip6 === '' ? {} : { ip6: made.ip6 }) };
      // The stream tells of the endpoint after everything that was there before it, its rules among them.
      const key = `${ref.network}.${ref.tenant}-${record.endpointId}`;
      await cluster.until(() => cluster.mirror.endpoints.has(key), cluster.synced ? STREAM_WAIT_MS : 0);
      await dataplane.attach(ready);
      if (performance.now() - began > TOO_LATE_MS)
        throw new DriverRefusal('the interface was made too late and is removed again; try again, and see netplugin status');
      for (const address of [ready.ip, ready.ip6]) if (address) state.reservations.delete(reservationKey(ref, address));
      return answer(ready, asked);
    } catch (error) {
      await this.#undo(record);
      throw error;
    }
  }

  /** netmaster may have made the endpoint although its answer was lost: it is told in any case. */
  async #undo(record: EndpointRecord): Promise<void> {
    const { state, dataplane, log } = this.#context;
    const current = state.endpoints.get(record.endpointId) ?? record;
    await dataplane
      .detach(current)
      .catch((err: unknown) => log.warn({ err, endpoint: record.endpointId }, 'an interface could not be removed'));
    void forgetEndpoint(this.#context, current, 0);
  }

  /** Which network the engine means. */
  async #network(networkId: string, ip: string): Promise<NetworkRef> {
    const { state, cluster, nudge } = this.#context;
    const known = () => state.networks.get(networkId)?.ref;
    if (!known()) {
      // Made on another engine (cluster store) or before the agent's state was lost: its address tells, if only one pool has it.
      const holders = state.reservations.values().filter((r) => r.address === ip && r.releasing !== true);
      if (holders.length === 1 && holders[0]) return holders[0].ref;
      nudge();
      await cluster.until(() => known() !== undefined, DOCKER_ID.test(networkId) ? STREAM_WAIT_MS : 0);
    }
    await untilNamed(this.#context, networkId);
    const ref = known();
    if (!ref)
      throw new DriverRefusal(
        `Docker network ${networkId.slice(0, 12)} is not known to netplugin on this host yet; try again in a few seconds`,
      );
    return ref;
  }

  /** The group that an option of the endpoint names (`--network name=NET,driver-opt=io.contiv.group=GROUP`). */
  #asked(ref: NetworkRef, options: libnetwork.CreateEndpoint['Options']): string | undefined {
    const name = options?.[GROUP_LABEL];
    if (name === undefined || name === '' || name === ref.group) return undefined;
    if (typeof name !== 'string') throw new DriverRefusal(`option ${GROUP_LABEL} must be the name of an endpoint group`);
    if (ref.group !== undefined)
      throw new DriverRefusal(`the Docker network is that of endpoint group ${ref.group}; leave out the option ${GROUP_LABEL}=${name}`);
    const group = this.#context.cluster.mirror.groups.get(groupKey(ref.tenant, name));
    if (group?.network === ref.network) return name;
    throw new DriverRefusal(
      group
        ? `endpoint group ${name} of tenant ${ref.tenant} belongs to network ${group.network}, not to ${ref.network}`
        : `tenant ${ref.tenant} has no endpoint group ${name}; make it: netctl group create -t ${ref.tenant} ${ref.network} ${name}`,
    );
  }

  /**
   * The same network, with the group that the address was asked for in: its pool the engine names. Which of a network's equal pools a Docker network
   * has it does not, so a network that was made beside another one may be taken for that.
   */
  #ofPool(ref: NetworkRef, ip: string): NetworkRef {
    const held = this.#context.state.reservations.get(reservationKey(ref, ip));
    return held && held.releasing !== true ? held.ref : ref;
  }

  async remove(endpointId: string): Promise<object> {
    const { state, dataplane, log } = this.#context;
    const record = state.endpoints.get(endpointId);
    // What is unknown here, netmaster is told of by the periodic comparison with the engine.
    if (!record) return {};
    // Where nobody heard of its leaving.
    leaveSandbox(this.#context, endpointId);
    await dataplane
      .detach(state.endpoints.get(endpointId) ?? record)
      .catch((err: unknown) => log.warn({ err, endpoint: endpointId }, 'an interface could not be removed; the next apply does it'));
    await forgetEndpoint(this.#context, record, FLUSH_WAIT_MS);
    return {};
  }

  join(request: z.infer<typeof libnetwork.join>): libnetwork.JoinAnswer {
    const { state, cluster } = this.#context;
    const record = state.endpoints.get(request.EndpointID);
    if (record?.stage !== 'ready') {
      throw new DriverRefusal(
        `endpoint ${request.EndpointID.slice(0, 12)} is not known to netplugin on this host; start the container again`,
      );
    }
    // One route to the DNS service address per sandbox: a second one would make the engine's Join fail.
    const others = state.endpoints.values().filter((e) => e.sandboxKey === request.SandboxKey && e.endpointId !== record.endpointId);
    const dnsRoute = request.SandboxKey === '' || !others.some((e) => e.dnsRoute === true && e.stage === 'ready');
    state.endpoints.set(record.endpointId, { ...record, sandboxKey: request.SandboxKey, dnsRoute });
    const network = cluster.mirror.networks.get(networkKey(record.ref.tenant, record.ref.network));
    return {
      InterfaceName: { SrcName: record.peer, DstPrefix: 'eth' },
      ...(network?.gateway === undefined ? {} : { Gateway: network.gateway }),
      ...(network?.gateway6 === undefined ? {} : { GatewayIPv6: network.gateway6 }),
      ...(dnsRoute ? { StaticRoutes: [{ Destination: `${DNS_SERVICE_IP}/32`, RouteType: libnetwork.routeType.connected }] } : {}),
    };
  }

  leave(endpointId: string): object {
    leaveSandbox(this.#context, endpointId);
    return {};
  }
}

/** Only what the engine left open may be answered: it refuses an address it has set itself. */
function answer(record: EndpointRecord, asked: { Address: string; MacAddress: string }): object {
  const mac = asked.MacAddress === '' ? { MacAddress: record.mac } : {};
  const address = asked.Address === '' ? { Address: `${record.ip}/32` } : {};
  return { Interface: { ...mac, ...address } };
}

function unicastMac(text: string): string {
  const mac = parseMac(text);
  if (mac === undefined) throw new DriverRefusal(`MAC address ${text} is malformed`);
  if (((macBytes(mac)[0] ?? 1) & 1) === 1)
    throw new DriverRefusal(`MAC address ${text} is a multicast address; use one whose first octet is even`);
  return mac;
}
