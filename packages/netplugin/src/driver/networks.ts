/** The network half of the network driver: Docker networks that stand for netmaster's, and such that become netmaster's. */
import { MasterError } from '@contiv/client';
import type { libnetwork } from '@contiv/docker';
import { networkKey } from '@contiv/model';
import type { NetworkRecord, NetworkRef, NetworkWish, PoolRecord } from '../state/records.js';
import { ADDRESS_SPACE, type DriverContext, FLUSH_WAIT_MS, forgetNetwork } from './context.js';
import { provisionalName } from './names.js';
import { DriverRefusal, genericOptions, type NetworkOptions, parseNetworkOptions } from './options.js';
import { canonicalPool, subnetText, withoutLength } from './pools.js';

export class NetworkDriver {
  readonly #context: DriverContext;

  constructor(context: DriverContext) {
    this.#context = context;
  }

  capabilities(): object {
    return { Scope: this.#context.scope === 'global' ? 'global' : 'local', ConnectivityScope: 'global', GwAllocChecker: true };
  }

  /** Newer engines ask whether they have to reserve a gateway where nobody named one: no. */
  gatewayCheck(): object {
    return { SkipIPv4: true, SkipIPv6: true };
  }

  async create(request: libnetwork.CreateNetwork): Promise<object> {
    const { state } = this.#context;
    if (state.networks.has(request.NetworkID)) return {};
    const options = parseNetworkOptions(genericOptions(request.Options));
    const [four, ...more] = request.IPv4Data ?? [];
    const six = request.IPv6Data?.[0];
    if (!four || more.length > 0) throw new DriverRefusal('netplugin networks have exactly one IPv4 subnet: give one --subnet a.b.c.d/len');
    const existing = this.#boundPool(four, options);
    if (existing?.ref) {
      this.#bind(request.NetworkID, existing.ref, [existing.poolId]);
      return {};
    }
    await this.#make(request.NetworkID, options, four, six);
    return {};
  }

  /** The pool of a netmaster network that was requested for a Docker network not yet heard of. */
  #boundPool(data: libnetwork.IpamData, options: NetworkOptions): PoolRecord | undefined {
    const { state, cluster } = this.#context;
    if (data.AddressSpace !== ADDRESS_SPACE) return undefined;
    const fits = (pool: PoolRecord): boolean => {
      if (!pool.ref || pool.v6 || pool.pool !== canonicalPool(data.Pool, false) || pool.ref.tenant !== options.tenant) return false;
      const network = cluster.mirror.networks.get(networkKey(pool.ref.tenant, pool.ref.network));
      return network !== undefined && (options.pktTag === 0 || options.pktTag === network.tag);
    };
    return state.pools
      .values()
      .filter((pool) => pool.networkId === undefined && fits(pool))
      .sort((a, b) => b.createdAt - a.createdAt)[0];
  }

  #bind(networkId: string, ref: NetworkRef, poolIds: readonly string[], wish?: NetworkWish): NetworkRecord {
    const { state } = this.#context;
    const record: NetworkRecord = { networkId, ref, createdAt: Date.now(), ...(wish ? { wish } : {}) };
    state.networks.set(networkId, record);
    for (const poolId of poolIds) {
      const pool = state.pools.get(poolId);
      if (pool) state.pools.set(poolId, { ...pool, ref, networkId });
    }
    return record;
  }

  /** `docker network create -d netplugin`: a new network of netmaster's, named provisionally until the engine tells its name. */
  async #make(networkId: string, options: NetworkOptions, four: libnetwork.IpamData, six: libnetwork.IpamData | undefined): Promise<void> {
    const { calls, host, log } = this.#context;
    const pool = this.#pendingPool(four, false);
    const pool6 = six && this.#pendingPool(six, true);
    const subnet = subnetText(canonicalPool(four.Pool, false) ?? '', pool?.subPool ?? '');
    if (!subnet) throw new DriverRefusal(`subnet ${four.Pool} is not usable`);
    const foreignIpam = four.AddressSpace !== ADDRESS_SPACE;
    // Docker's default IPAM names a gateway in any case; it is kept free, but nothing answers there.
    const reserved = [...(foreignIpam ? [four.Gateway] : []), ...Object.values(four.AuxAddresses ?? {})]
      .map(withoutLength)
      .filter((a) => a !== '');
    const wish: NetworkWish = {
      encap: options.encap,
      pktTag: options.pktTag,
      subnet,
      gateway: options.gateway || (pool?.gateway ?? ''),
      subnet6: six === undefined ? '' : (canonicalPool(six.Pool, true) ?? ''),
      gateway6: options.gateway6 || (pool6?.gateway ?? ''),
      foreignIpam,
      reserved: reserved.filter((address) => address !== options.gateway),
    };
    const ref = { tenant: options.tenant, network: provisionalName(networkId) };
    await calls.createNetwork(networkPost(ref, wish, host)).catch((error: unknown) => {
      if (!(error instanceof MasterError) || error.code !== 'not-found') throw error;
      throw new DriverRefusal(`${error.message}: ${ref.tenant}; make it with: netctl tenant create ${ref.tenant}`);
    });
    const pools = [pool, pool6].flatMap((p) => (p ? [p.poolId] : []));
    this.#bind(networkId, ref, pools, wish);
    log.info({ tenant: ref.tenant, network: ref.network, subnet }, 'network made by docker network create');
    this.#context.nudge();
  }

  #pendingPool(data: libnetwork.IpamData, v6: boolean): PoolRecord | undefined {
    if (data.AddressSpace !== ADDRESS_SPACE) return undefined;
    const text = canonicalPool(data.Pool, v6);
    for (const pool of this.#context.state.pools.values()) {
      if (pool.v6 === v6 && pool.pool === text && pool.ref === undefined && pool.networkId === undefined) return pool;
    }
    throw new DriverRefusal(`the address pool ${data.Pool} was not requested from netplugin; try docker network create again`);
  }

  async remove(networkId: string): Promise<object> {
    const { state, cluster, scope } = this.#context;
    const record = state.networks.get(networkId);
    if (!record) return {};
    for (const pool of state.pools.values()) if (pool.networkId === networkId) state.pools.delete(pool.poolId);
    // Engines that share their networks may remove one on another host than the one that made it.
    const network = cluster.mirror.networks.get(networkKey(record.ref.tenant, record.ref.network));
    const shared = scope === 'global' && record.ref.group === undefined && network?.dockerName !== undefined;
    if (record.wish || shared) await forgetNetwork(this.#context, record, FLUSH_WAIT_MS);
    else state.networks.delete(networkId);
    this.#context.nudge();
    return {};
  }
}

/** What netmaster is sent for a network made by the engine of `origin`; `dockerName` when that is known. */
export function networkPost(ref: NetworkRef, wish: NetworkWish, origin: string, dockerName = '') {
  return {
    tenantName: ref.tenant,
    networkName: ref.network,
    nwType: 'data',
    encap: wish.encap,
    subnet: wish.subnet,
    pktTag: wish.pktTag,
    ...(wish.gateway === '' ? {} : { gateway: wish.gateway }),
    ...(wish.subnet6 === '' ? {} : { ipv6Subnet: wish.subnet6 }),
    ...(wish.gateway6 === '' ? {} : { ipv6Gateway: wish.gateway6 }),
    origin,
    foreignIpam: wish.foreignIpam,
    ...(dockerName === '' ? {} : { dockerName }),
  };
}
