/** The data path of this host in its kernel. Everything happens in the network namespace the process runs in. */
import { release } from 'node:os';
import { type Ipv4, type Ipv6, parseMac, type Vni, vlanOf } from '@contiv/model';
import { Netlink } from '@contiv/netlink';
import type { BpfMap } from '@contiv/syscall';
import { Attachments } from './attachments.js';
import type {
  ApplyMode,
  ApplyReport,
  Concern,
  Datapath,
  DatapathEndpoint,
  DatapathOptions,
  DatapathPort,
  DesiredDatapath,
  MapFill,
  PortCounters,
  PublishedPort,
  Station,
  Surroundings,
  Trial,
  UplinkStatus,
} from './contract.js';
import { DatapathError, reasonOf } from './errors.js';
import { Departures } from './flows/departures.js';
import { KernelFlows } from './flows/source.js';
import { announce } from './kernel/announce.js';
import { Counting } from './kernel/counting.js';
import { dnsMac, resizeDevices } from './kernel/devices.js';
import { probeFirewall } from './kernel/firewall.js';
import { listChains } from './kernel/iptables.js';
import { instanceDir } from './kernel/names.js';
import { listTables } from './kernel/nat.js';
import { Outside } from './kernel/outside.js';
import { Places } from './kernel/places.js';
import { PortLinks } from './kernel/ports.js';
import { findObject, isAtLeast, probeHost, trialObject } from './kernel/probe.js';
import { openPrograms, type Programs } from './kernel/programs.js';
import { Shaper } from './kernel/shaper.js';
import { isShort } from './kernel/shortcut.js';
import { Stations } from './kernel/stations.js';
import { containerMtu, findUnderlay, type Underlay } from './kernel/underlay.js';
import { Uplinks } from './kernel/uplinks.js';
import { audit } from './maps/audit.js';
import { Configuration, type Facts } from './maps/configuration.js';
import {
  dnsClientIndex,
  endpointAddress,
  endpointDomain,
  endpointIfindex,
  endpointKey,
  macKey,
  macText,
  memberBytes,
  memberKey,
  networkDomain,
  type PortValue,
  parsePort,
  u32Key,
  withLocals,
} from './maps/layout.js';
import { RuleTables } from './maps/rule-tables.js';
import { type Replaced, Table } from './maps/table.js';
import {
  buildTables,
  endpointEntries,
  endpointKeys,
  endpointOf,
  numberDomains,
  portEntries,
  TABLES,
  type TableName,
} from './maps/tables.js';
import { removeDatapath } from './removal.js';
import { Trials } from './trial.js';
import { WholeApply } from './whole-apply.js';

/** Tables the programs fill by themselves. */
const DYNAMIC = ['connections4', 'connections6', 'fragments', 'stations'] as const;
/** Counting the entries of a large table takes milliseconds. */
const FILL_AGE_MS = 15_000;
/** How often the uplinks are looked at: a fail-over takes this long at most. */
const UPLINK_WATCH_MS = 200;
/** The same for the interface that carries the tunnel, whose MTU may change. */
const UNDERLAY_WATCH_MS = 1_000;

export class KernelDatapath implements Datapath {
  readonly flows: KernelFlows;
  readonly #options: DatapathOptions;
  readonly #netlink: Netlink;
  #underlay: Underlay;
  /** Why the underlay cannot carry the tunnel any more. */
  #underlayFault = '';
  readonly #programs: Programs;
  readonly #departures: Departures;
  readonly #trials: Trials;
  readonly #links: PortLinks;
  readonly #counting: Counting;
  readonly #uplinks: Uplinks;
  readonly #shaper: Shaper;
  readonly #watches: NodeJS.Timeout[] = [];
  readonly #tables: Readonly<Record<TableName, Table>>;
  readonly #rules: RuleTables;
  readonly #outside: Outside;
  readonly #places: Places;
  readonly #stations: Stations;
  readonly #configuration: Configuration;
  readonly #attachments: Attachments;
  readonly #whole: WholeApply;
  #tail: Promise<unknown> = Promise.resolve();
  #dynamicFill: { at: number; fill: MapFill[] } | undefined;

  constructor(options: DatapathOptions) {
    this.#options = options;
    const { instance, vtepIp } = options;
    const object = findObject();
    this.#netlink = Netlink.open();
    try {
      this.#underlay = findUnderlay(this.#netlink, vtepIp);
      this.#programs = openPrograms(object, instanceDir(instance));
    } catch (error) {
      this.#netlink.close();
      throw error;
    }
    this.#trials = new Trials((name) => this.#programs.map(name), {
      ifindexOf: (port) => this.#places.ifindexOf(port),
      portAt: (ifindex) => this.#places.nameAt(ifindex),
      uplink: () => this.#uplinks.active,
    });
    const map = (name: string): BpfMap => this.#programs.map(name);
    this.#departures = new Departures(map);
    this.flows = new KernelFlows(map, () => this.#departures.takeEnded());
    try {
      this.#uplinks = new Uplinks(this.#netlink, options.uplinks ?? [], map('uplinks'));
      this.#links = new PortLinks(this.#netlink, instance, (vni) => this.#mtuOf(vni));
      this.#shaper = new Shaper(this.#netlink, instance, () => Math.max(this.containerMtu, this.#uplinks.mtu ?? 0));
      this.#counting = new Counting(map);
      this.#places = new Places(this.#links, this.#counting, map('schema'));
      this.#stations = new Stations(map('stations'));
      const table = (name: TableName): Table => new Table(name, map(name));
      const depart: Replaced = (key, before, after) => {
        if (!after || endpointIfindex(after) !== endpointIfindex(before))
          this.#departures.add(endpointDomain(before), endpointAddress(key));
      };
      this.#tables = {
        rules: table('rules'),
        rule_addresses: table('rule_addresses'),
        rule_ports: table('rule_ports'),
        subjects: table('subjects'),
        peers: table('peers'),
        members: table('members'),
        networks: table('networks'),
        subnets: table('subnets'),
        endpoints: new Table('endpoints', map('endpoints'), depart),
        dns_clients: table('dns_clients'),
        local_macs: table('local_macs'),
        ports: table('ports'),
      };
      this.#rules = new RuleTables(this.#tables, this.#tables.subjects);
      this.#configuration = new Configuration(map('config'), options.uplinks !== undefined, () => this.#facts());
      const { earlier } = this.#configuration;
      // The one an earlier start chose, while it can.
      this.#uplinks.refresh(earlier.uplink);
      this.#outside = new Outside(this.#netlink, { instance, mtu: () => this.containerMtu }, earlier.outside);
      const parts = {
        options,
        netlink: this.#netlink,
        programs: this.#programs,
        links: this.#links,
        uplinks: this.#uplinks,
        shaper: this.#shaper,
        outside: this.#outside,
        configuration: this.#configuration,
        underlay: () => this.#underlay,
      };
      this.#attachments = new Attachments(parts);
      this.#whole = new WholeApply({
        ...parts,
        attachments: this.#attachments,
        places: this.#places,
        stations: this.#stations,
        tables: this.#tables,
        rules: this.#rules,
        knownDomain: (vni) => this.#knownDomain(vni),
        underlayFault: () => this.#underlayFault,
        removePort: (name) => this.removePort(name),
      });
      this.#attachments.open();
      this.#configuration.write();
      this.#places.find(this.#tables.ports, this.#programs.earlier);
      if (!this.#attachments.staged) this.#attachments.exchange();
      if (this.#uplinks.any) this.#watches.push(setInterval(() => this.#watchUplinks(), UPLINK_WATCH_MS).unref());
      this.#watches.push(setInterval(() => this.#watchUnderlay(), UNDERLAY_WATCH_MS).unref());
    } catch (error) {
      this.close();
      throw error;
    }
  }

  apply(desired: DesiredDatapath, mode: ApplyMode = 'exact', surroundings: Surroundings = 'read'): Promise<ApplyReport> {
    return this.#serially(() => this.#whole.run(desired, mode, surroundings));
  }

  async addPort(port: DatapathPort, peerName: string): Promise<void> {
    await this.#links.gone(port.name);
    if (!this.#places.get(port.name)) await this.#succeed(port);
    const ifindex = this.#links.make(port, peerName, this.#programs.programs);
    const { index } = this.#places.take(port.name, ifindex);
    try {
      const place = this.#places.limit(port.name, this.#limit(port, index));
      const entries = portEntries(port, place, this.#domainOf(port.vni));
      this.#tables.dns_clients.set(...entries.dns_clients);
      if (entries.local_macs) this.#tables.local_macs.set(...entries.local_macs);
      this.#tables.ports.set(...entries.ports);
      this.upsertEndpoint(endpointOf(port));
      this.#joinFlood(port.vni, ifindex);
      this.#links.up(ifindex);
      this.#announce([port]);
    } catch (error) {
      await this.removePort(port.name);
      throw error;
    }
  }

  /** Whoever had these addresses before leaves no connection to the one who gets them. */
  async #succeed({ vni, mac, ip, ip6 }: DatapathPort): Promise<void> {
    const domain = this.#domainOf(vni);
    const keys = endpointKeys(vni, domain, mac, ip, ip6);
    for (const key of keys) this.#tables.endpoints.delete(key);
    await this.#departures.done(domain, keys.map(endpointAddress));
  }

  /** Its share of its group's bandwidth; where that cannot be had, the next whole apply says why. */
  #limit({ group, limit }: DatapathPort, index: number): boolean {
    if (!limit || this.#attachments.staged) return false;
    try {
      const first = this.#shaper.ifindex === 0;
      if (first) this.#shaper.ensureDevice(this.#programs.programs.from_shaper);
      this.#shaper.add({ index, group, limit });
      if (first) this.#configuration.write();
      return true;
    } catch {
      return false;
    }
  }

  async removePort(name: string): Promise<void> {
    const link = this.#links.find(name);
    const place = this.#places.leave(name);
    const ifindex = link?.index ?? place?.ifindex;
    if (ifindex !== undefined) this.#forgetPort(ifindex);
    if (link) await this.#links.remove([link]);
  }

  upsertEndpoint(endpoint: DatapathEndpoint): void {
    const place = 'port' in endpoint.at ? this.#places.get(endpoint.at.port) : undefined;
    if ('port' in endpoint.at && !place)
      throw new DatapathError(`endpoint ${endpoint.ip} is behind ${endpoint.at.port}, which does not exist`);
    let changed = false;
    for (const [key, value] of endpointEntries(endpoint, place, this.#domainOf(endpoint.vni))) {
      const before = this.#tables.endpoints.get(key);
      this.#tables.endpoints.set(key, value);
      // Whatever was decided while the address was unknown, or another container's, is not worth anything.
      if (!before?.equals(value)) changed = true;
    }
    if (changed) this.#configuration.nextEpoch();
  }

  removeEndpoint(vni: Vni, ip: Ipv4, ip6?: Ipv6): void {
    const value = this.#tables.endpoints.get(endpointKey(vni, ip));
    const keys = value ? endpointKeys(vni, endpointDomain(value), macOf(value), ip, ip6) : [];
    const gone = keys.filter((key) => this.#tables.endpoints.delete(key));
    if (gone.length > 0) this.#configuration.nextEpoch();
  }

  async listPorts(): Promise<readonly string[]> {
    return [...this.#links.list().keys()].filter((name) => !this.#links.isDying(name)).sort();
  }

  listPublished(): Promise<readonly PublishedPort[]> {
    return this.#outside.listPublished([...this.#places.all].map(([name, { index }]) => [name, index]));
  }

  counters(): ReadonlyMap<string, PortCounters> {
    return this.#counting.ports(new Map([...this.#places.all].map(([name, { index }]) => [name, index])));
  }

  drops(): Readonly<Record<string, bigint>> {
    return this.#counting.totals();
  }

  fill(): readonly MapFill[] {
    const fixed = TABLES.map((name): MapFill => ({ name, entries: this.#tables[name].size(), max: this.#tables[name].max }));
    const now = Date.now();
    if (!this.#dynamicFill || now - this.#dynamicFill.at > FILL_AGE_MS) {
      const fill = DYNAMIC.map((name): MapFill => {
        const map = this.#programs.map(name);
        return { name, entries: map.count(), max: map.shape.maxEntries };
      });
      this.#dynamicFill = { at: now, fill };
    }
    return [...fixed, ...this.#dynamicFill.fill];
  }

  portOfDnsClient(address: string): string | undefined {
    const index = dnsClientIndex(address);
    return index === undefined ? undefined : this.#places.nameOfIndex(index);
  }

  get containerMtu(): number {
    return containerMtu(this.#underlay);
  }

  get vlanMtu(): number | undefined {
    return this.#uplinks.mtu;
  }

  uplinks(): readonly UplinkStatus[] {
    return this.#uplinks.status();
  }

  uplinkCounters(): PortCounters {
    return this.#counting.uplinks();
  }

  stations(): readonly Station[] {
    return this.#stations.list((ifindex) => this.#uplinks.nameOf(ifindex));
  }

  async rules(): Promise<readonly string[]> {
    return [...(await listTables(this.#options.instance)), ...(await listChains())];
  }

  trial(): Trial {
    if (this.#attachments.staged)
      throw new DatapathError('the data path of an earlier version is still at work; it is exchanged within a moment');
    return this.#trials.open(trialObject());
  }

  audit(desired: DesiredDatapath, concern: Concern): Promise<readonly string[]> {
    return this.#serially(async () => {
      const domains = numberDomains(desired.networks, (vni) => this.#knownDomain(vni));
      const { tables } = buildTables(desired, this.#places.all, this.#underlay.ipv6, domains, this.#rules.subjectOf);
      return audit({ ...tables, ...this.#rules.known() }, (table, key) => this.#tables[table].get(key), {
        ...concern,
        domains: concern.networks.map((n) => domains.get(n) ?? n),
      });
    });
  }

  close(): void {
    for (const watch of this.#watches) clearInterval(watch);
    this.#departures.close();
    this.flows.close();
    this.#trials.close();
    this.#programs.close();
    this.#netlink.close();
  }

  async teardown(): Promise<void> {
    await this.#serially(async () => {
      this.close();
      await removeDatapath(this.#options.instance);
    });
  }

  /** What the programs are told of this host. */
  #facts(): Facts {
    return {
      vxlanIfindex: this.#attachments.tunnelIfindex,
      dnsIfindex: this.#attachments.dnsIfindex,
      dnsMac: dnsMac(),
      vtep: this.#options.vtepIp,
      setsLocal: isAtLeast(release(), 6, 1),
      uplink: this.#uplinks.active,
      uplinkMac: parseMac(this.#uplinks.activeMac),
      shortPort: isShort(this.#underlay) ? this.#options.vxlanPort : undefined,
      outside: this.#outside.place,
      shaper: this.#shaper.ifindex,
    };
  }

  #knownDomain(vni: Vni): number | undefined {
    const network = this.#tables.networks.get(u32Key(vni));
    return network && networkDomain(network);
  }

  #domainOf = (vni: Vni): number => this.#knownDomain(vni) ?? vni;

  #forgetPort(ifindex: number): void {
    const value = this.#tables.ports.get(u32Key(ifindex));
    if (!value) return;
    const port = parsePort(value);
    this.#tables.ports.delete(u32Key(ifindex));
    this.#tables.dns_clients.clear(u32Key(port.index));
    const mac = macKey(port.vni, port.mac);
    if (this.#tables.local_macs.get(mac)?.readUInt32LE(0) === ifindex) this.#tables.local_macs.delete(mac);
    for (const key of endpointKeys(port.vni, port.domain, port.mac, port.ip, port.ip6)) {
      const entry = this.#tables.endpoints.get(key);
      if (entry && endpointIfindex(entry) === ifindex) this.#tables.endpoints.delete(key);
    }
    this.#configuration.nextEpoch();
  }

  /** A member more, until the next whole apply sorts the list. */
  #joinFlood(vni: Vni, ifindex: number): void {
    const network = this.#tables.networks.get(u32Key(vni));
    if (!network || (network.readUInt32LE(0) !== 1 && vlanOf(vni) === undefined)) return;
    const locals = network.readUInt32LE(4);
    for (let i = 0; i < locals; i++) {
      if (this.#tables.members.get(memberKey(vni, false, i))?.readUInt32LE(0) === ifindex) return;
    }
    this.#tables.members.set(memberKey(vni, false, locals), memberBytes({ ifindex }));
    this.#tables.networks.set(u32Key(vni), withLocals(network, locals + 1));
  }

  #mtuOf(vni: number): number {
    return vlanOf(vni) === undefined ? this.containerMtu : (this.#uplinks.mtu ?? this.containerMtu);
  }

  /** Another uplink carries the VLANs within a moment of the one in use going down; the switches learn of it at once. */
  #watchUplinks(): void {
    try {
      const mtu = this.#uplinks.mtu;
      const another = this.#uplinks.refresh();
      if (this.#uplinks.mtu !== mtu) void this.#serially(async () => this.#resize());
      if (!another) return;
      if (!this.#attachments.staged) this.#uplinks.attach(this.#programs.programs.from_uplink);
      this.#configuration.write();
      this.#announce([...this.#tables.ports.read().values()].map(parsePort));
    } catch {
      // An interface on its way out. The next look, or the next apply, sees how it ended.
    }
  }

  /**
   * A new MTU of the underlay is the networks' within a second: what is larger would be lost in the tunnel. Where the address is on another interface
   * now, that is whom the firewall takes the tunnel from with the next whole apply.
   */
  #watchUnderlay(): void {
    try {
      const known = this.#underlay;
      // Mostly nothing has changed, and two questions to the kernel say so.
      const link = known.loopback || this.#underlayFault !== '' ? undefined : this.#netlink.link(known.name);
      if (link?.up === true && link.mtu === known.mtu && this.#netlink.addresses(link.index).some(({ ip }) => ip === this.#options.vtepIp))
        return;
      this.#underlay = findUnderlay(this.#netlink, this.#options.vtepIp);
      this.#underlayFault = '';
      if (this.#underlay.mtu !== known.mtu) void this.#serially(async () => this.#resize());
    } catch (error) {
      // Nothing fits into it, or the address is gone: the next whole apply says so, until it is mended.
      this.#underlayFault = reasonOf(error);
    }
  }

  /** Devices and interfaces of containers get the MTUs that the networks have now. What fails here, the next read-back repairs. */
  #resize(): void {
    try {
      resizeDevices(this.#netlink, { instance: this.#options.instance, port: this.#options.vxlanPort, mtu: this.containerMtu });
      for (const link of this.#links.list().values()) {
        const value = this.#tables.ports.get(u32Key(link.index));
        if (value && !this.#links.isDying(link.name)) this.#links.resize(link, parsePort(value).vni);
      }
      this.#shaper.resize();
    } catch {
      // An interface on its way out.
    }
  }

  /** Tells the physical network where containers of VLANs are. */
  #announce(ports: readonly Announceable[]): void {
    const endpoints = ports.flatMap(({ vni, mac, ip, ip6 }) => {
      const vlan = vlanOf(vni);
      return vlan === undefined ? [] : [{ vlan, mac, ip, ip6 }];
    });
    if (this.#uplinks.active !== 0) announce(this.#uplinks.active, endpoints);
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

type Announceable = Pick<PortValue, 'vni' | 'mac' | 'ip' | 'ip6'>;

const macOf = (endpoint: Buffer) => macText(endpoint.subarray(24, 30));

/** Opens the data path of this host: adopts what an earlier start left, makes what is missing. Throws `DatapathError` with one sentence. */
export async function openDatapath(options: DatapathOptions): Promise<Datapath> {
  probeHost();
  await probeFirewall();
  return new KernelDatapath(options);
}
