/**
 * Keeps the data path as `desiredDatapath` says: at once for a single endpoint, as a whole soon after any change, and again every 30 s
 * against what the kernel really holds. All writes go through one queue, so that a whole apply never undoes a port just made.
 */
import type { Change } from '@contiv/client';
import type { ApplyReport, Concern, Datapath, DesiredDatapath, Surroundings } from '@contiv/datapath';
import { networkKey, parseIpv4, parseIpv6, vlanOf } from '@contiv/model';
import { backoffMs, KeyedMutex, type Logger, sleep } from '@contiv/observe';
import { adopted, withoutRecord } from './adopt.js';
import type { Cluster } from './cluster.js';
import { desiredDatapath, participation, portOf, remoteEndpoint } from './desired.js';
import { DriverRefusal } from './driver/options.js';
import { Policies } from './policy.js';
import { vniOf } from './segment.js';
import { type EndpointRecord, interfaceNames, type LocalState, type PublishedRecord } from './state/records.js';
import { lackOfUplinks } from './uplinks.js';

const READ_BACK_MS = 30_000;
/** Timers are not exact. */
const SLACK_MS = 1_000;
/** A change is applied at once, and those that follow closely are collected for so long after the apply before. */
const COLLECT_MS = 20;
/** The same for endpoints, which are programmed at once by themselves. */
const COLLECT_ENDPOINTS_MS = 250;
/** An apply that is due within this time may be all that is missing. */
const SETTLES_MS = 400;
const RETRY = { baseMs: 200, maxMs: 15_000 };

export interface DataplaneStatus {
  readonly applies: number;
  readonly written: number;
  readonly repaired: number;
  /** Sentences of the last apply about what could not be programmed. */
  readonly failed: readonly string[];
  readonly lastRepairs: readonly string[];
  readonly lastApplyMs: number;
}

export class Dataplane {
  readonly #datapath: Datapath;
  readonly #cluster: Cluster;
  readonly #state: LocalState;
  readonly #host: string;
  readonly #log: Logger;
  readonly #mutex = new KeyedMutex();
  #timer: NodeJS.Timeout | undefined;
  /** When devices and packet filter were last read back. */
  #readAt = Number.NEGATIVE_INFINITY;
  #dueAt = Number.POSITIVE_INFINITY;
  #endedAt = Number.NEGATIVE_INFINITY;
  #attempt = 0;
  #applying = false;
  #stopped = false;
  /** Single changes that came while a whole apply was under way; done again after it. */
  #missed: Change[] = [];
  #participates = new Set<string>();
  #outsideFault = '';
  /** Something other than endpoints changed since the last apply began. */
  #behind = true;
  readonly #policies = new Policies();
  #status = { applies: 0, written: 0, repaired: 0, failed: [] as readonly string[], lastRepairs: [] as readonly string[], lastApplyMs: 0 };

  constructor(datapath: Datapath, cluster: Cluster, state: LocalState, host: string, log: Logger) {
    this.#datapath = datapath;
    this.#cluster = cluster;
    this.#state = state;
    this.#host = host;
    this.#log = log;
    cluster.listen({
      replaced: () => {
        this.#behind = true;
        this.schedule(0);
      },
      synced: () => this.#scheduleSoon(),
      changed: (change) => this.#changed(change),
    });
  }

  start(): void {
    this.schedule(0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#mutex.run('', async () => undefined);
  }

  get status(): DataplaneStatus {
    return this.#status;
  }

  /** A whole apply, `inMs` from now at the latest. */
  schedule(inMs: number): void {
    const at = performance.now() + inMs;
    if (this.#stopped || at >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = at;
    this.#timer = setTimeout(() => void this.#mutex.run('', () => this.#apply()), inMs);
  }

  #scheduleSoon(): void {
    this.schedule(Math.max(0, this.#endedAt + COLLECT_MS - performance.now()));
  }

  /** MTU of an endpoint's network on this host; `undefined` while it is not known. */
  mtuOf({ ref }: EndpointRecord): number | undefined {
    const network = this.#cluster.mirror.networks.get(networkKey(ref.tenant, ref.network));
    if (!network) return undefined;
    return network.encap === 'vlan' ? this.#datapath.vlanMtu : this.#datapath.containerMtu;
  }

  /** Creates the interface pair of an endpoint; its network is in the data path before it. */
  async attach(record: EndpointRecord): Promise<void> {
    await this.#mutex.run('', async () => {
      const port = portOf(this.#cluster.mirror, record);
      if (!port)
        throw new DriverRefusal(
          `network ${record.ref.network} of tenant ${record.ref.tenant} is not known on this host yet; try again in a moment`,
        );
      const lacking = vlanOf(port.vni) === undefined ? undefined : lackOfUplinks(this.#datapath.uplinks());
      if (lacking !== undefined)
        throw new DriverRefusal(`network ${record.ref.network} of tenant ${record.ref.tenant} is a VLAN, and ${lacking}`);
      this.#state.endpoints.set(record.endpointId, record);
      // No container without its rules: what is known of them is in the data path before its interface is.
      if (this.#behind || !this.#participates.has(networkKey(record.ref.tenant, record.ref.network))) await this.#apply('later');
      await this.#datapath.addPort(port, record.peer);
      const mtu = this.mtuOf(record);
      this.#state.endpoints.set(record.endpointId, { ...record, stage: 'ready', ...(mtu === undefined ? {} : { mtu }) });
    });
    this.schedule(COLLECT_ENDPOINTS_MS);
  }

  /**
   * Takes an endpoint out of the tables and its interface pair in hand; the record stays, marked `deleting`, until netmaster knows. The
   * kernel needs a while for the pair, which nobody has to wait for: what is left of it after a kill or a failure, a whole apply removes.
   */
  async detach(record: EndpointRecord): Promise<void> {
    await this.#mutex.run('', async () => {
      this.#state.endpoints.setAnyway(record.endpointId, { ...record, stage: 'deleting' });
      this.#datapath
        .removePort(record.port)
        .catch((err: unknown) =>
          this.#log.warn({ err, endpoint: record.endpointId }, 'an interface could not be removed; the next apply does it'),
        );
    });
    this.schedule(COLLECT_ENDPOINTS_MS);
  }

  /** The published ports of an endpoint as they are to be; throws when no way leads to them. */
  async publish(endpointId: string, published: readonly PublishedRecord[]): Promise<void> {
    await this.#mutex.run('', async () => {
      if (!this.#setPublished(endpointId, published)) return;
      await this.#apply('believe');
      if (published.length === 0 || this.#outsideFault === '') return;
      this.#setPublished(endpointId, []);
      throw new DriverRefusal(this.#outsideFault);
    });
  }

  /** In the record as it is now; answers whether there is one. */
  #setPublished(endpointId: string, published: readonly PublishedRecord[]): boolean {
    const record = this.#state.endpoints.get(endpointId);
    if (!record) return false;
    const { published: _before, ...rest } = record;
    if (published.length === 0) this.#state.endpoints.setAnyway(endpointId, rest);
    else this.#state.endpoints.set(endpointId, { ...rest, published: [...published] });
    return true;
  }

  /**
   * What the kernel holds otherwise than it should, of what a connection depends on; changes nothing. What is only on its way is waited for.
   */
  async audit(concern: Concern): Promise<readonly string[]> {
    for (let look = 0; ; look++) {
      const found = await this.#mutex.run('', () => this.#datapath.audit(this.#desired(), concern));
      if (found.length === 0 || look === 2 || this.#dueAt - performance.now() > SETTLES_MS) return found;
      await sleep(SETTLES_MS);
    }
  }

  /** Compares with the kernel now instead of at the next read-back. */
  async repair(): Promise<{ readonly repaired: readonly string[]; readonly failed: readonly string[] }> {
    return this.#mutex.run('', async () => {
      const before = this.#status.repaired;
      await this.#apply('read');
      const { repaired, lastRepairs, failed } = this.#status;
      return { repaired: repaired > before ? lastRepairs : [], failed };
    });
  }

  #desired(): DesiredDatapath {
    return desiredDatapath(this.#cluster.mirror, this.#host, this.#state.endpoints.values(), this.#policies, this.#state.infra.values());
  }

  #changed(change: Change): void {
    if (change.kind !== 'endpoint') this.#behind = true;
    // What was missed while this agent was away comes in the order in which it happened; the kernel has the end of it already, in part.
    if (!this.#cluster.confirmed) return;
    if (change.kind !== 'endpoint') {
      this.#scheduleSoon();
      return;
    }
    // Of this host: its container is known now, or it is in another group.
    const { before, after } = change;
    if (after?.host === this.#host && (before?.group !== after.group || before?.containerId !== after.containerId)) this.schedule(0);
    if (this.#applying) this.#missed.push(change);
    if (this.#single(change)) this.schedule(COLLECT_ENDPOINTS_MS);
  }

  /** One endpoint elsewhere came, moved or went: straight into the maps. Answers whether it concerns this host. */
  #single(change: Change): boolean {
    if (change.kind !== 'endpoint') return false;
    const { mirror } = this.#cluster;
    const subject = change.after ?? change.before;
    if (!subject || !this.#participates.has(networkKey(subject.tenant, subject.network))) return false;
    try {
      const gone = change.before;
      if (gone && gone.host !== this.#host && (!change.after || change.after.ip !== gone.ip || change.after.ip6 !== gone.ip6)) {
        const network = mirror.networks.get(networkKey(gone.tenant, gone.network));
        const vni = network && vniOf(network);
        const ip = parseIpv4(gone.ip);
        // Another endpoint may have the address already; the whole apply sorts that out.
        if (vni !== undefined && ip !== undefined && !this.#taken(gone.tenant, gone.network, gone.ip)) {
          this.#datapath.removeEndpoint(vni, ip, gone.ip6 === undefined ? undefined : parseIpv6(gone.ip6));
        }
      }
      const entry = change.after && remoteEndpoint(mirror, this.#host, change.after);
      if (entry && !this.#taken(subject.tenant, subject.network, subject.ip)) this.#datapath.upsertEndpoint(entry);
    } catch (err) {
      this.#log.warn({ err, endpoint: change.key }, 'an endpoint could not be programmed at once; the next full apply does it');
    }
    return true;
  }

  #taken(tenant: string, network: string, ip: string): boolean {
    for (const record of this.#state.endpoints.values()) {
      if (
        record.stage !== 'deleting' &&
        record.disputed !== true &&
        record.ip === ip &&
        record.ref.tenant === tenant &&
        record.ref.network === network
      )
        return true;
    }
    return false;
  }

  /** Runs inside the queue. @param surroundings default: read back when they have not been for a while. */
  async #apply(
    surroundings: Surroundings = performance.now() < this.#readAt + READ_BACK_MS - SLACK_MS ? 'believe' : 'read',
  ): Promise<void> {
    clearTimeout(this.#timer);
    this.#dueAt = Number.POSITIVE_INFINITY;
    if (this.#stopped) return;
    // Without a snapshot nobody knows what may go: what runs goes on.
    if (!this.#cluster.complete) {
      this.schedule(READ_BACK_MS);
      return;
    }
    const began = performance.now();
    if (surroundings === 'read') this.#readAt = began;
    this.#missed = [];
    this.#behind = false;
    this.#applying = true;
    try {
      await this.#adopt();
      const records = this.#state.endpoints.values();
      const report = await this.#datapath.apply(this.#desired(), this.#cluster.confirmed ? 'exact' : 'add', surroundings);
      this.#participates = participation(this.#cluster.mirror, records);
      this.#report(report, performance.now() - began);
    } catch (err) {
      this.#behind = true;
      const fault = err instanceof Error ? err.message : String(err);
      if (!this.#status.failed.includes(fault)) this.#log.error({ err }, 'the data path could not be brought up to date; trying again');
      this.#status = { ...this.#status, failed: [fault] };
    } finally {
      this.#applying = false;
      this.#endedAt = performance.now();
      for (const change of this.#missed) this.#single(change);
      this.#missed = [];
    }
    if (this.#status.failed.length > 0) {
      this.#readAt = Number.NEGATIVE_INFINITY;
      this.schedule(backoffMs(this.#attempt++, RETRY));
    } else {
      this.#attempt = 0;
      this.schedule(Math.max(SLACK_MS, this.#readAt + READ_BACK_MS - performance.now()));
    }
  }

  /** Before anything may go that only netmaster remembers. */
  async #adopt(): Promise<void> {
    if (!this.#cluster.confirmed) return;
    const missing = withoutRecord(this.#cluster.mirror, this.#host, (endpointId) => this.#state.endpoints.has(endpointId));
    if (missing.length === 0) return;
    const ports = new Set(await this.#datapath.listPorts());
    // Whether the engine still has it as well, the comparison with the engine finds out.
    const found = missing.filter(({ endpointId }) => ports.has(interfaceNames(endpointId).port));
    if (found.length === 0) return;
    const published = await this.#datapath.listPublished();
    for (const endpoint of found) {
      if (this.#state.endpoints.has(endpoint.endpointId)) continue;
      const record = adopted(endpoint, published, Date.now());
      this.#state.endpoints.set(record.endpointId, record);
      this.#log.info({ endpoint: record.endpointId, ip: record.ip }, 'adopted an endpoint');
    }
  }

  #report(report: ApplyReport, ms: number): void {
    const previous = this.#status;
    this.#outsideFault = report.outsideFault ?? '';
    this.#status = {
      applies: previous.applies + 1,
      written: previous.written + report.written,
      repaired: previous.repaired + report.repaired.length,
      failed: report.failed,
      lastRepairs: report.repaired.length > 0 ? report.repaired.slice(0, 20) : previous.lastRepairs,
      lastApplyMs: ms,
    };
    for (const sentence of report.repaired) this.#log.warn({ drift: sentence }, 'the kernel differed from what was programmed; repaired');
    for (const sentence of report.failed) {
      if (!previous.failed.includes(sentence)) this.#log.error({ reason: sentence }, 'could not be programmed; trying again');
    }
    if (report.written > 0) this.#log.debug({ written: report.written, ms }, 'data path applied');
  }
}
