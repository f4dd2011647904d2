/** A data path that only remembers, for tests of what stands above it. */
import type {
  ApplyMode,
  ApplyReport,
  Datapath,
  DatapathEndpoint,
  DatapathPort,
  DesiredDatapath,
  FlowEvent,
  FlowLimits,
  FlowSource,
  PortCounters,
  PublishedPort,
  TrackedConnection,
  UplinkStatus,
} from '@contiv/datapath';
import type { Ipv4, Ipv6, Vni } from '@contiv/model';

/** Connections that a test makes up. */
export class FakeFlows implements FlowSource {
  limits: FlowLimits | undefined;
  readonly events: FlowEvent[] = [];
  table: TrackedConnection[] = [];
  left = { opened: 0, denied: 0, logged: 0, room: 0 };
  numbers = new Map<number, readonly Vni[]>();

  limit(limits: FlowLimits | undefined): void {
    this.limits = limits;
  }

  read(take: (event: FlowEvent) => void, most: number): number {
    const some = this.events.splice(0, most);
    for (const event of some) take(event);
    return some.length;
  }

  connections(): TrackedConnection[] {
    return this.table;
  }

  leftOut() {
    return this.left;
  }

  domains(): ReadonlyMap<number, readonly Vni[]> {
    return this.numbers;
  }
}

export class FakeDatapath implements Datapath {
  readonly containerMtu = 1450;
  vlanMtu: number | undefined;
  uplinkStates: UplinkStatus[] = [];
  readonly ports = new Map<string, DatapathPort>();
  readonly upserts: DatapathEndpoint[] = [];
  readonly removed: string[] = [];
  /** As an earlier start left it. */
  published: PublishedPort[] = [];
  desired: DesiredDatapath | undefined;
  applies = 0;
  fault = '';
  readonly flows = new FakeFlows();

  async apply(desired: DesiredDatapath, mode: ApplyMode = 'exact'): Promise<ApplyReport> {
    this.applies++;
    if (this.fault !== '') throw new Error(this.fault);
    this.desired = desired;
    if (mode === 'add') return { written: 0, repaired: [], failed: [] };
    const kept = new Set([...desired.ports.map((port) => port.name), ...(desired.idle ?? [])]);
    for (const name of this.ports.keys()) if (!kept.has(name)) this.ports.delete(name);
    return { written: 1, repaired: [], failed: [] };
  }
  async addPort(port: DatapathPort): Promise<void> {
    if (this.fault !== '') throw new Error(this.fault);
    this.ports.set(port.name, port);
  }
  async removePort(name: string): Promise<void> {
    this.ports.delete(name);
  }
  upsertEndpoint(endpoint: DatapathEndpoint): void {
    this.upserts.push(endpoint);
  }
  removeEndpoint(vni: Vni, ip: Ipv4, _ip6?: Ipv6): void {
    this.removed.push(`${vni} ${ip}`);
  }
  async listPorts(): Promise<readonly string[]> {
    return [...this.ports.keys()];
  }
  async listPublished(): Promise<readonly PublishedPort[]> {
    return this.published;
  }
  counters(): ReadonlyMap<string, PortCounters> {
    return new Map();
  }
  drops(): Readonly<Record<string, bigint>> {
    return {};
  }
  uplinks(): readonly UplinkStatus[] {
    return this.uplinkStates;
  }
  uplinkCounters(): PortCounters {
    return { rxPackets: 0n, rxBytes: 0n, txPackets: 0n, txBytes: 0n, dropped: {} };
  }
  stations(): readonly never[] {
    return [];
  }
  async rules(): Promise<readonly string[]> {
    return [];
  }
  fill(): readonly never[] {
    return [];
  }
  portOfDnsClient(): string | undefined {
    return undefined;
  }
  trial(): never {
    throw new Error('there are no programs to try');
  }
  async audit(): Promise<readonly string[]> {
    return [];
  }
  close(): void {}
  async teardown(): Promise<void> {}
}
