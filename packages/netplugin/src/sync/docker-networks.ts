/**
 * Makes the engine's networks agree with netmaster's, outside of driver calls: creates, removes, learns ids, and gives networks made by
 * `docker network create` their final name. Foreign networks are left alone.
 */
import type { AgentCalls } from '@contiv/client';
import { MasterError } from '@contiv/client';
import { type Engine, EngineError, type EngineNetwork } from '@contiv/docker';
import { networkKey } from '@contiv/model';
import type { Cluster } from '../cluster.js';
import { type DriverContext, forgetNetwork } from '../driver/context.js';
import { legalName, provisionalName } from '../driver/names.js';
import { networkPost } from '../driver/networks.js';
import { type NetworkRecord, type NetworkRef, netmasterId, reservationKey } from '../state/records.js';
import { answers } from './cluster-store.js';
import { difference, doubles, isCreator, refKey, refOfOptions, type WantedNetwork, wantedNetworks } from './docker-desired.js';
import { Loop } from './loop.js';
import { inParallel } from './parallel.js';

/** A Docker network the engine does not list (yet) may still be in the making. */
const GRACE_MS = 30_000;
/** An engine lists a network this long after the driver has made it, or it never will. */
const LISTED_MS = 2_000;
/** How long the stream may take to bring a network just made. */
const STREAM_GRACE_MS = 10_000;

export class DockerNetworks {
  readonly #engine: Engine;
  readonly #context: DriverContext;
  readonly #driver: string;
  readonly #loop: Loop;
  #errors = new Map<string, string>();
  #count = 0;
  /** When an engine first did not list a network it had, in milliseconds since the epoch. */
  readonly #missedSince = new Map<string, number>();
  /** Likewise networks of netmaster's that no `docker network create` of this host is making any more, by key. */
  #unfinishedSince: ReadonlyMap<string, number> = new Map();
  /** Where engines share their networks, once an engine has told. */
  #clusterStore: string | undefined;

  constructor(engine: Engine, context: DriverContext, driver: string) {
    this.#engine = engine;
    this.#context = context;
    this.#driver = driver;
    this.#loop = new Loop(() => this.#reconcile(), {
      every: 30_000,
      retry: { baseMs: 500, maxMs: 10_000 },
      failed: (err) => context.log.warn({ err }, 'Docker networks cannot be compared with those of netmaster; trying again'),
    });
    context.cluster.listen({
      synced: () => this.#loop.soon(5),
      changed: (change) => {
        if (change.kind === 'network' || change.kind === 'group' || (change.kind === 'host' && context.scope === 'global'))
          this.#loop.soon(5);
      },
    });
  }

  /** Sentence per Docker network name that is not as it should be. */
  get errors(): ReadonlyMap<string, string> {
    return this.#errors;
  }

  /** Docker networks of our driver. */
  get count(): number {
    return this.#count;
  }

  soon(): void {
    this.#loop.soon(5);
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  get #cluster(): Cluster {
    return this.#context.cluster;
  }

  get #calls(): AgentCalls {
    return this.#context.calls;
  }

  /** Answers whether everything is as it should be. */
  async #reconcile(): Promise<boolean> {
    const began = Date.now();
    // Before the list: one that a store without answer has made short is not to be believed.
    const away = await this.#storeAway();
    const all = await this.#engine.networks();
    const errors = new Map<string, string>();
    const ours = all.filter((network) => network.Driver === this.#driver);
    this.#count = ours.length;
    for (const network of ours) this.#learn(network);
    this.#forgetGone(new Set(ours.map((network) => network.Id)), away !== undefined);
    await this.#nameAll(ours, errors);
    // What is known only from disk may be old: with that, nothing is made or removed.
    if (away !== undefined)
      errors.set(
        'the cluster store',
        `the engine's cluster store ${away} cannot be reached: Docker networks stay as they are until it is back`,
      );
    else if (this.#cluster.synced) {
      await this.#forgetUnfinished(all, errors);
      await this.#agree(all, ours, began, errors);
    }
    this.#errors = errors;
    return errors.size === 0;
  }

  /** The store through which engines share their networks, when it does not answer. */
  async #storeAway(): Promise<string | undefined> {
    if (this.#context.scope === 'local') return undefined;
    this.#clusterStore ??= (await this.#engine.info()).ClusterStore;
    return this.#clusterStore === undefined || (await answers(this.#clusterStore)) ? undefined : this.#clusterStore;
  }

  /** Which netmaster object a Docker network stands for, as far as it can be told. */
  #learn(network: EngineNetwork): void {
    const { state, host, scope } = this.#context;
    const held = state.networks.get(network.Id);
    const named = refOfOptions(network, this.#driver);
    const record = { networkId: network.Id, createdAt: Date.now(), dockerName: network.Name };
    if (named) {
      // The driver is not told which of several equal pools a network has: what it took it for may be another group's.
      if (!held || refKey(held.ref) !== refKey(named)) state.networks.set(network.Id, { ...record, ...held, ref: named });
      return;
    }
    if (held) return;
    const tenant = network.Options.tenant ?? 'default';
    for (const candidate of this.#cluster.mirror.networks.values()) {
      if (candidate.dockerName !== network.Name || candidate.tenant !== tenant) continue;
      if (candidate.origin !== host && scope === 'local') continue;
      const wish = candidate.origin === host ? { wish: wishOf(candidate) } : {};
      state.networks.set(network.Id, { ...record, ref: { tenant, network: candidate.network }, ...wish });
      return;
    }
  }

  /** Records of Docker networks that are gone although nobody told us. @param away the engine could not see all that there is */
  #forgetGone(present: ReadonlySet<string>, away: boolean): void {
    const { state, scope } = this.#context;
    for (const record of state.networks.values()) {
      const id = record.networkId;
      if (present.has(id)) this.#missedSince.delete(id);
      if (present.has(id) || Date.now() - record.createdAt < GRACE_MS) continue;
      const since = away ? Date.now() : (this.#missedSince.get(id) ?? Date.now());
      this.#missedSince.set(id, since);
      // Its store has just come back, and the engine may not have noticed yet.
      if (scope === 'global' && Date.now() - since < GRACE_MS) continue;
      this.#missedSince.delete(id);
      if (record.wish) void forgetNetwork(this.#context, record, 0);
      else state.networks.delete(record.networkId);
    }
  }

  /**
   * Networks whose `docker network create` did not come to its end, because the agent died or netmaster's answer was lost, would keep their
   * subnet for ever: Docker has nothing of them.
   */
  async #forgetUnfinished(all: readonly EngineNetwork[], errors: Map<string, string>): Promise<void> {
    const { state, host, log } = this.#context;
    const held = new Set<string>(state.networks.values().map(({ ref }) => networkKey(ref.tenant, ref.network)));
    const made = new Set(all.map(({ Id }) => provisionalName(Id)));
    const unfinished = [...this.#cluster.mirror.networks.values()].filter(
      ({ key, network, origin, dockerName }) => origin === host && dockerName === undefined && !held.has(key) && !made.has(network),
    );
    const now = Date.now();
    this.#unfinishedSince = new Map(unfinished.map(({ key }) => [key, this.#unfinishedSince.get(key) ?? now]));
    for (const { key, tenant, network } of unfinished) {
      if (now - (this.#unfinishedSince.get(key) ?? now) < GRACE_MS) continue;
      await this.#calls.deleteNetwork(tenant, network).then(
        () => log.info({ tenant, network }, 'removed a network whose docker network create did not come to its end'),
        (error: unknown) => errors.set(network, `network ${network} of tenant ${tenant}, which Docker gave up, stays: ${textOf(error)}`),
      );
    }
  }

  async #nameAll(ours: readonly EngineNetwork[], errors: Map<string, string>): Promise<void> {
    const { state } = this.#context;
    for (const network of ours) {
      const record = state.networks.get(network.Id);
      if (!record || record.dockerName !== undefined || record.deleting) continue;
      if (!record.wish) state.networks.set(network.Id, { ...record, dockerName: network.Name });
      else {
        await this.#name(record, network.Name).catch((error: unknown) => {
          errors.set(network.Name, textOf(error));
        });
      }
    }
  }

  /** Replaces the provisional netmaster network by one with its final name; repeated after a crash, it finds its own result. */
  async #name(record: NetworkRecord, dockerName: string): Promise<void> {
    const { state, host, log } = this.#context;
    const { tenant } = record.ref;
    if (!record.wish) return;
    const isGoing = () => state.networks.get(record.networkId)?.deleting ?? !state.networks.has(record.networkId);
    await this.#calls.deleteNetwork(tenant, record.ref.network);
    if (isGoing()) return;
    const taken = (name: string) => {
      const other = this.#cluster.mirror.networks.get(networkKey(tenant, name)) ?? this.#cluster.mirror.groups.get(`${tenant}:${name}`);
      return other !== undefined && !('origin' in other && other.origin === host && other.dockerName === dockerName);
    };
    const plain = legalName(dockerName);
    let ref: NetworkRef = { tenant, network: taken(plain) ? legalName(dockerName, record.networkId) : plain };
    try {
      await this.#calls.createNetwork(networkPost(ref, record.wish, host, dockerName));
    } catch (error) {
      if (!(error instanceof MasterError) || error.transient) throw error;
      const existing = this.#cluster.mirror.networks.get(networkKey(tenant, ref.network));
      if (existing?.origin !== host || existing.dockerName !== dockerName) {
        ref = { tenant, network: legalName(dockerName, record.networkId) };
        await this.#calls.createNetwork(networkPost(ref, record.wish, host, dockerName));
      }
    }
    for (const address of record.wish.reserved) {
      const netmaster = netmasterId(ref);
      await this.#calls.allocAddress({ NetworkID: netmaster, PreferredIPv4Address: address, Host: host }).then(
        () =>
          state.reservations.set(reservationKey(ref, address), { ref, netmasterId: netmaster, address, createdAt: Date.now(), kept: true }),
        (error: unknown) => log.warn({ network: dockerName, address, err: error }, 'an address of the engine could not be reserved'),
      );
    }
    for (const pool of state.pools.values()) if (pool.networkId === record.networkId) state.pools.set(pool.poolId, { ...pool, ref });
    // The stream may be late with this name as it was with the first.
    const named = { ...record, ref, dockerName, createdAt: Date.now() };
    if (isGoing()) {
      // Docker has removed it meanwhile, by its first name.
      void forgetNetwork(this.#context, named, 0);
      return;
    }
    state.networks.set(record.networkId, named);
    log.info({ tenant, network: ref.network, dockerName }, 'network named');
  }

  /** @param began when the round did, before the engine was asked. */
  async #agree(all: readonly EngineNetwork[], ours: readonly EngineNetwork[], began: number, errors: Map<string, string>): Promise<void> {
    const { state, scope, host } = this.#context;
    const want = wantedNetworks(this.#cluster.mirror, this.#driver);
    const have = new Map<string, EngineNetwork>();
    const mayChange = scope === 'local' || isCreator(this.#cluster.mirror, host);
    const surplus = new Set(doubles(ours, (id) => state.networks.get(id)));
    const listed = new Set(ours.map((network) => network.Id));
    let over = false;
    // The rest may take minutes, and no container can be in a network that has no name yet.
    const isOver = (): boolean => {
      over ||= this.#awaitsName(listed, began);
      return over;
    };
    await inParallel(ours, async (network) => {
      if (isOver()) return;
      const record = state.networks.get(network.Id);
      if (!record || record.deleting) return;
      if (surplus.has(network)) {
        if (mayChange) await this.#remove(network, errors, 'the same network is there twice');
        return;
      }
      const key = refKey(record.ref);
      const wish = want.get(key);
      if (!wish) {
        if (this.#isYoung(record)) return;
        if (mayChange || record.wish) await this.#remove(network, errors);
        return;
      }
      const wrong = record.wish || network.Name !== wish.body.Name ? '' : difference(network, wish.body);
      if (wrong === '') have.set(key, network);
      else if (mayChange && (await this.#remove(network, errors, wrong))) have.delete(key);
      else have.set(key, network);
    });
    const unclear = new Set(
      state.networks
        .values()
        .filter((r) => r.deleting || this.#missedSince.has(r.networkId))
        .map((r) => refKey(r.ref)),
    );
    const names = new Map(all.map((network) => [network.Name, network]));
    await inParallel([...want], async ([key, wish]) => {
      if (have.has(key) || unclear.has(key) || isOver()) return;
      if (mayChange) await this.#create(wish, names.get(wish.body.Name), errors);
      // Another agent makes it; its id is learnt from the shared list.
      else this.#loop.soon(500);
    });
    if (over) this.#loop.soon(100);
  }

  /** Has a network of `docker network create` come that the round began too early for? */
  #awaitsName(listed: ReadonlySet<string>, began: number): boolean {
    return this.#context.state.networks
      .values()
      .some(
        ({ networkId, wish, dockerName, deleting, createdAt }) =>
          wish && dockerName === undefined && !deleting && !listed.has(networkId) && createdAt > began - LISTED_MS,
      );
  }

  /** The stream may not have brought yet what was just made, under its provisional or its final name. */
  #isYoung(record: NetworkRecord): boolean {
    return record.wish !== undefined && (record.dockerName === undefined || Date.now() - record.createdAt < STREAM_GRACE_MS);
  }

  async #remove(network: EngineNetwork, errors: Map<string, string>, why = 'netmaster has no such network'): Promise<boolean> {
    try {
      await this.#engine.removeNetwork(network.Id);
      this.#context.state.networks.delete(network.Id);
      this.#context.log.info({ dockerNetwork: network.Name, why }, 'Docker network removed');
      return true;
    } catch (error) {
      errors.set(
        network.Name,
        `Docker network ${network.Name} should go (${why}) but stays: ${textOf(error)}; it goes by itself once its containers are removed, which docker ps -a --filter network=${network.Name} lists`,
      );
      return false;
    }
  }

  async #create(wish: WantedNetwork, occupant: EngineNetwork | undefined, errors: Map<string, string>): Promise<void> {
    const { Name } = wish.body;
    if (occupant && occupant.Driver !== this.#driver) {
      errors.set(
        Name,
        `network name used by another driver: remove Docker network ${Name} (driver ${occupant.Driver}) or rename the netmaster network`,
      );
      return;
    }
    try {
      const id = await this.#engine.createNetwork(wish.body);
      this.#context.state.networks.set(id, { networkId: id, ref: wish.ref, dockerName: Name, createdAt: Date.now() });
      this.#context.log.info({ dockerNetwork: Name }, 'Docker network created');
      // Another engine, or a store that has just come back, may have had it already.
      if (this.#context.scope === 'global') this.#loop.soon(5);
    } catch (error) {
      if (error instanceof EngineError && error.status === 0) throw error;
      errors.set(Name, `Docker network ${Name} could not be made: ${textOf(error)}`);
    }
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What an adopted network must have been made with; enough to remove it again. */
function wishOf(network: {
  encap: 'vlan' | 'vxlan';
  tag: number;
  subnet: { address: string; length: number };
  gateway?: string | undefined;
}) {
  return {
    encap: network.encap,
    pktTag: network.tag,
    subnet: `${network.subnet.address}/${network.subnet.length}`,
    gateway: network.gateway ?? '',
    subnet6: '',
    gateway6: '',
    foreignIpam: false,
    reserved: [],
  };
}
