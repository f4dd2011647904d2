/** The IPAM half of the driver (spec/contiv §5.4): pools are netmaster's networks, addresses are netmaster's to give. */
import { randomBytes } from 'node:crypto';
import { libnetwork } from '@contiv/docker';
import { contains4, contains6, type NetworkState, networkKey, parseIpv4, parseIpv6, parsePrefix4, parsePrefix6 } from '@contiv/model';
import type { z } from 'zod';
import { type NetworkRef, netmasterId, type PoolRecord, reservationKey } from '../state/records.js';
import { ADDRESS_SPACE, type DriverContext, FLUSH_WAIT_MS, forgetReservation, STREAM_WAIT_MS, untilNamed } from './context.js';
import { DriverRefusal } from './options.js';
import { canonicalPool, findOwner, formatPoolId, lengthOf, parsePoolId, poolOf, subnetText, withoutLength } from './pools.js';

/** A pool whose `docker network create` has not come to `CreateNetwork` by then never will. */
const PENDING_POOL_MS = 15_000;
/** Mark of pools without a network yet. */
const PENDING = 'new-';

export class IpamDriver {
  readonly #context: DriverContext;

  constructor(context: DriverContext) {
    this.#context = context;
  }

  capabilities(): object {
    return { RequiresMACAddress: false, RequiresRequestReplay: false };
  }

  addressSpaces(): object {
    return { LocalDefaultAddressSpace: ADDRESS_SPACE, GlobalDefaultAddressSpace: ADDRESS_SPACE };
  }

  async requestPool(request: libnetwork.RequestPool): Promise<object> {
    const { tenant, network, group } = request.Options ?? {};
    const pool =
      network === undefined
        ? this.#newPool(request)
        : await this.#existingPool({ tenant: tenant ?? 'default', network, ...(group ? { group } : {}) }, request);
    return { PoolID: pool.poolId, Pool: pool.pool, Data: {} };
  }

  /** The pool of a network (or group) netmaster has. */
  async #existingPool(ref: NetworkRef, request: libnetwork.RequestPool): Promise<PoolRecord> {
    const { cluster, state } = this.#context;
    const found = await cluster.network(networkKey(ref.tenant, ref.network), STREAM_WAIT_MS);
    if (!found) {
      throw new DriverRefusal(
        `tenant ${ref.tenant} has no network ${ref.network}; make it with: netctl net create -t ${ref.tenant} -s SUBNET ${ref.network}`,
      );
    }
    if (ref.group !== undefined && !cluster.mirror.groups.has(`${ref.tenant}:${ref.group}`)) {
      throw new DriverRefusal(
        `tenant ${ref.tenant} has no endpoint group ${ref.group}; make it with: netctl group create -t ${ref.tenant} ${ref.network} ${ref.group}`,
      );
    }
    const own = poolOf(found, request.V6);
    if (own === undefined) throw new DriverRefusal(`network ${ref.network} of tenant ${ref.tenant} has no IPv6 subnet`);
    if (request.Pool !== '' && canonicalPool(request.Pool, request.V6) !== own) {
      throw new DriverRefusal(`network ${ref.network} of tenant ${ref.tenant} has the subnet ${own}, not ${request.Pool}`);
    }
    const poolId = formatPoolId(ref, own, request.V6);
    const record: PoolRecord = { poolId, pool: own, v6: request.V6, ref, createdAt: Date.now() };
    state.pools.set(poolId, record);
    return record;
  }

  /** The pool of a network that `docker network create` is about to make. */
  #newPool(request: libnetwork.RequestPool): PoolRecord {
    const { state } = this.#context;
    if (request.Pool === '') {
      throw new DriverRefusal('netplugin needs to know the addresses: docker network create -d netplugin --subnet 10.1.2.0/24 …');
    }
    const pool = canonicalPool(request.Pool, request.V6);
    if (pool === undefined) throw new DriverRefusal(`subnet ${request.Pool} is malformed`);
    if (request.SubPool !== '' && (request.V6 || subnetText(pool, request.SubPool) === undefined)) {
      throw new DriverRefusal(`--ip-range ${request.SubPool} must be an IPv4 prefix inside ${pool}`);
    }
    for (const other of state.pools.values()) {
      if (other.ref !== undefined || other.networkId !== undefined) continue;
      if (Date.now() - other.createdAt > PENDING_POOL_MS) state.pools.delete(other.poolId);
      // The engine does not tell in CreateNetwork which of two equal pools is meant.
      else if (other.pool === pool) {
        throw new DriverRefusal(`another docker network create for ${pool} is under way on this host; try again in a moment`);
      }
    }
    const poolId = `${PENDING}${randomBytes(6).toString('hex')}|${pool}${request.V6 ? '|v6' : ''}`;
    const subPool = request.SubPool === '' ? {} : { subPool: request.SubPool };
    const record: PoolRecord = { poolId, pool, v6: request.V6, ...subPool, createdAt: Date.now() };
    state.pools.set(poolId, record);
    return record;
  }

  releasePool(poolId: string): object {
    this.#context.state.pools.delete(poolId);
    return {};
  }

  async requestAddress(request: z.infer<typeof libnetwork.requestAddress>): Promise<object> {
    const isGateway = request.Options?.[libnetwork.netlabel.requestAddressType] === libnetwork.netlabel.gateway;
    const pool = await this.#pool(request.PoolID);
    if (request.Address !== '' && (pool.v6 ? parseIpv6(request.Address) : parseIpv4(request.Address)) === undefined) {
      throw new DriverRefusal(`address ${request.Address} is not an ${pool.v6 ? 'IPv6' : 'IPv4'} address`);
    }
    if (isGateway) return this.#gateway(pool, request.Address);
    if (!pool.ref) {
      // Auxiliary addresses of a network that is being made; CreateNetwork hears of them again.
      if (request.Address === '') throw new DriverRefusal(`the network of pool ${pool.pool} is still being made; try again in a moment`);
      return { Address: `${request.Address}/${lengthOf(pool.pool)}`, Data: {} };
    }
    return { Address: await this.#allocate(pool, pool.ref, request.Address), Data: {} };
  }

  /** Gateways are netmaster's business when the network is made; here they are only repeated, so that engines start without a master. */
  #gateway(pool: PoolRecord, asked: string): object {
    const { cluster, state } = this.#context;
    const length = lengthOf(pool.pool);
    if (asked !== '') {
      const inside = pool.v6 ? contains6(parsePrefix6(pool.pool) ?? none6, asked) : contains4(parsePrefix4(pool.pool) ?? none4, asked);
      if (!inside) throw new DriverRefusal(`gateway ${asked} lies outside of ${pool.pool}`);
      if (!pool.ref) state.pools.set(pool.poolId, { ...pool, gateway: asked });
      return { Address: `${asked}/${length}`, Data: {} };
    }
    const network = pool.ref && cluster.mirror.networks.get(networkKey(pool.ref.tenant, pool.ref.network));
    const own = pool.v6 ? network?.gateway6 : network?.gateway;
    // A network without gateway has to name one on engine 20.10: the network address, which no container can get.
    return { Address: own === undefined ? pool.pool : `${own}/${length}`, Data: {} };
  }

  async #allocate(pool: PoolRecord, ref: NetworkRef, asked: string): Promise<string> {
    const { calls, state, host } = this.#context;
    const id = netmasterId(ref);
    const reservation = randomBytes(8).toString('hex');
    const given = await calls.allocAddress({
      NetworkID: id,
      Reservation: reservation,
      ...(asked === '' ? {} : { PreferredIPv4Address: asked }),
      ...(pool.v6 ? { IPv6: true } : {}),
      Host: host,
    });
    const address = withoutLength(given);
    const record = { ref, netmasterId: id, address, id: reservation, createdAt: Date.now(), kept: false };
    state.reservations.set(reservationKey(ref, address), record);
    return `${address}/${lengthOf(pool.pool)}`;
  }

  async releaseAddress(poolId: string, address: string): Promise<object> {
    const { state } = this.#context;
    const ref = this.#find(poolId)?.ref;
    const held = ref && state.reservations.get(reservationKey(ref, withoutLength(address)));
    // An address an endpoint had went with the endpoint; gateways and others were never ours to give back.
    if (held) await forgetReservation(this.#context, held, FLUSH_WAIT_MS);
    return {};
  }

  /** The pool by what is on disk or, when that was lost or another host's engine made it, by its own text. */
  #find(poolId: string): PoolRecord | undefined {
    const { state, cluster } = this.#context;
    const stored = state.pools.get(poolId);
    if (stored) return stored;
    const parsed = parsePoolId(poolId);
    if (!parsed) return undefined;
    const ref = parsed.owner.startsWith(PENDING) ? this.#madeByEngine(parsed.pool, parsed.v6) : findOwner(cluster.mirror, parsed.owner);
    return ref && { poolId, pool: parsed.pool, v6: parsed.v6, ref, createdAt: 0 };
  }

  /** The network an engine made with that subnet, when there is exactly one: this host's engine, or any of those that share their networks. */
  #madeByEngine(pool: string, v6: boolean): NetworkRef | undefined {
    const { cluster, host, scope } = this.#context;
    const fits = (n: NetworkState) => (scope === 'global' ? n.origin !== undefined : n.origin === host) && poolOf(n, v6) === pool;
    const [first, ...others] = [...cluster.mirror.networks.values()].filter(fits);
    return first && others.length === 0 ? { tenant: first.tenant, network: first.network } : undefined;
  }

  async #pool(poolId: string): Promise<PoolRecord> {
    const { cluster, state } = this.#context;
    // Worth waiting for only when it could be a pool of ours at all.
    const wait = cluster.synced && parsePoolId(poolId) !== undefined ? STREAM_WAIT_MS : 0;
    await cluster.until(() => this.#find(poolId) !== undefined, wait);
    const networkId = state.pools.get(poolId)?.networkId;
    if (networkId !== undefined) await untilNamed(this.#context, networkId);
    const pool = this.#find(poolId);
    if (!pool)
      throw new DriverRefusal(`address pool ${poolId} belongs to no network of netmaster; remove the Docker network and create it again`);
    return pool;
  }
}

const none4 = { address: '255.255.255.255', length: 32 } as Parameters<typeof contains4>[0];
const none6 = { address: '::', length: 128 } as Parameters<typeof contains6>[0];
