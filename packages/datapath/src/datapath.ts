/** The data path of this host in its kernel. Everything happens in the network namespace the process runs in. */
import { release } from 'node:os';
import { type Ipv4, type Ipv6, parseMac, type Vni, vlanOf } from '@contiv/model';
import { Netlink } from '@contiv/netlink';
import type { BpfMap } from '@contiv/syscall';
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
  Station,
  Surroundings,
  Trial,
  UplinkStatus,
} from './contract.js';
import { DatapathError, reasonOf } from './errors.js';
import { Departures } from './flows/departures.js';
import { KernelFlows, nowUnits } from './flows/source.js';
import { announce } from './kernel/announce.js';
import { Counting } from './kernel/counting.js';
import { DNS, dnsMac, ensureHostDevice, ensureTunnel, removeOtherTunnels, resizeDevices } from './kernel/devices.js';
import { ensureFirewall, probeFirewall } from './kernel/firewall.js';
import { listForwarding } from './kernel/forwarding.js';
import { ensureHostEnd, refuseTaken } from './kernel/host-end.js';
import { DNS_DEVICE, instanceDir, nftTable, vxlanDevice } from './kernel/names.js';
import { listTables } from './kernel/nat.js';
import { Outside } from './kernel/outside.js';
import { PortLinks } from './kernel/ports.js';
import { findObject, isAtLeast, probeHost, trialObject } from './kernel/probe.js';
import { openPrograms, type Programs } from './kernel/programs.js';
import { Shaper, type Sharer } from './kernel/shaper.js';
import { ensureShortcut, isShort } from './kernel/shortcut.js';
import { findUnderlay, overhead, type Underlay } from './kernel/underlay.js';
import { Uplinks } from './kernel/uplinks.js';
import { audit } from './maps/audit.js';
import {
  configBytes,
  configEnforces,
  configEpoch,
  configUplink,
  dnsClientIndex,
  endpointAddress,
  endpointDomain,
  endpointIfindex,
  endpointKey,
  keepUplink,
  MAX_PORTS,
  macKey,
  macText,
  memberBytes,
  memberKey,
  networkDomain,
  type PortValue,
  parseOutside,
  parsePort,
  parseStation,
  type StationValue,
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
  type PortPlace,
  portEntries,
  TABLES,
  type TableName,
} from './maps/tables.js';
import { isSetTable } from './policy/tables.js';
import { removeDatapath } from './removal.js';
import { Trials } from './trial.js';

/** Tables whose change may change verdicts or ways. */
const DECIDING: ReadonlySet<TableName> = new Set(['subjects', 'endpoints', 'ports', 'networks', 'peers'] as const);
/** Tables the programs fill by themselves. */
const DYNAMIC = ['connections4', 'connections6', 'fragments', 'stations'] as const;
/** Counting the entries of a large table takes milliseconds. */
const FILL_AGE_MS = 15_000;
/** How often the uplinks are looked at: a fail-over takes this long at most. */
const UPLINK_WATCH_MS = 200;
/** The same for the interface that carries the tunnel, whose MTU may change. */
const UNDERLAY_WATCH_MS = 1_000;
/** A station that has been silent for so long is forgotten; as in bridges. */
const STATION_AGE_SECONDS = 300;
const SWEEP_SECONDS = 30;

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
  #stationsSweptAt = 0;
  #othersReleased = false;
  readonly #tables: Readonly<Record<TableName, Table>>;
  readonly #rules: RuleTables;
  readonly #config: BpfMap;
  readonly #outside: Outside;
  /** Local ports that exist, by name. */
  readonly #places = new Map<string, PortPlace>();
  #epoch: number;
  #enforces: boolean;
  /** An earlier start has left a configuration that is in use. */
  readonly #inherited: boolean;
  #tunnelIfindex: number;
  #dnsIfindex: number;
  /** Number given last: the next one is looked for behind it, so that what still comes for a container that is gone meets nobody. */
  #lastIndex = 0;
  /** Older programs carry the traffic until the new tables are full. */
  #staged: boolean;
  /** Of the nftables table as last written. */
  #firewallMark: string | undefined;
  /** What the devices were last found right for. */
  #devices: string | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  #dynamicFill: { at: number; fill: MapFill[] } | undefined;

  constructor(options: DatapathOptions) {
    this.#options = options;
    const { instance, vxlanPort, vtepIp } = options;
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
      ifindexOf: (port) => {
        const place = this.#places.get(port);
        if (!place) throw new DatapathError(`interface ${port} is gone; restart its container`);
        return place.ifindex;
      },
      portAt: (ifindex) => [...this.#places].find(([, place]) => place.ifindex === ifindex)?.[0] ?? String(ifindex),
      uplink: () => this.#uplinks.active,
    });
    const map = (name: string): BpfMap => this.#programs.map(name);
    this.#departures = new Departures(map);
    this.flows = new KernelFlows(map, () => this.#departures.takeEnded());
    try {
      this.#uplinks = new Uplinks(this.#netlink, options.uplinks ?? [], map('uplinks'));
      this.#links = new PortLinks(this.#netlink, instance, (vni) => this.#mtuOf(vni));
      this.#shaper = new Shaper(this.#netlink, instance);
      this.#counting = new Counting(map);
      this.#config = map('config');
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
      const held = this.#config.get(u32Key(0));
      this.#epoch = held ? configEpoch(held) : 0;
      this.#enforces = held !== undefined && configEnforces(held);
      this.#inherited = held?.some((byte) => byte !== 0) === true;
      // The one an earlier start chose, while it can.
      this.#uplinks.refresh(held && configUplink(held));
      this.#outside = new Outside(this.#netlink, { instance, mtu: () => this.containerMtu }, held && parseOutside(held));
      // Programs of an earlier start are at work, and the tables of these here are empty: an exchange now would cut everything off.
      this.#staged = this.#programs.fresh.length > 0 && this.#netlink.link(vxlanDevice(vxlanPort)) !== undefined;
      const device = { instance, port: vxlanPort, mtu: this.containerMtu };
      this.#tunnelIfindex = ensureTunnel(this.#netlink, device, this.#staged ? undefined : this.#programs.programs.from_tunnel).ifindex;
      // Not before there is the new one: its port may be taken, and then all has to stay as it is.
      removeOtherTunnels(this.#netlink, device);
      this.#dnsIfindex = ensureHostDevice(this.#netlink, device, DNS, this.#staged ? undefined : this.#programs.programs.from_dns).ifindex;
      this.#writeConfig();
      this.#findPlaces();
      if (!this.#staged) this.#exchange();
      if (this.#uplinks.any) this.#watches.push(setInterval(() => this.#watchUplinks(), UPLINK_WATCH_MS).unref());
      this.#watches.push(setInterval(() => this.#watchUnderlay(), UNDERLAY_WATCH_MS).unref());
    } catch (error) {
      this.close();
      throw error;
    }
  }

  apply(desired: DesiredDatapath, mode: ApplyMode = 'exact', surroundings: Surroundings = 'read'): Promise<ApplyReport> {
    return this.#serially(() => this.#apply(desired, mode, surroundings));
  }

  async addPort(port: DatapathPort, peerName: string): Promise<void> {
    await this.#links.gone(port.name);
    if (!this.#places.has(port.name)) await this.#succeed(port);
    const ifindex = this.#links.make(port, peerName, this.#programs.programs);
    const known = this.#places.get(port.name);
    const index = known?.ifindex === ifindex ? known.index : this.#freeIndex();
    if (known?.index !== index) this.#counting.reset(index);
    this.#places.set(port.name, { ifindex, index });
    try {
      const place = { ifindex, index, limited: this.#limit(port, index) };
      this.#places.set(port.name, place);
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
    if (!limit || this.#staged) return false;
    try {
      const first = this.#shaper.ifindex === 0;
      if (first) this.#shaper.ensureDevice(this.#programs.programs.from_shaper);
      this.#shaper.add({ index, group, limit });
      if (first) this.#writeConfig();
      return true;
    } catch {
      return false;
    }
  }

  async removePort(name: string): Promise<void> {
    const link = this.#links.find(name);
    const place = this.#places.get(name);
    this.#places.delete(name);
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
    if (changed) this.#nextEpoch();
  }

  removeEndpoint(vni: Vni, ip: Ipv4, ip6?: Ipv6): void {
    const value = this.#tables.endpoints.get(endpointKey(vni, ip));
    const keys = value ? endpointKeys(vni, endpointDomain(value), macOf(value), ip, ip6) : [];
    const gone = keys.filter((key) => this.#tables.endpoints.delete(key));
    if (gone.length > 0) this.#nextEpoch();
  }

  async listPorts(): Promise<readonly string[]> {
    return [...this.#links.list().keys()].filter((name) => !this.#links.isDying(name)).sort();
  }

  counters(): ReadonlyMap<string, PortCounters> {
    return this.#counting.ports(new Map([...this.#places].map(([name, { index }]) => [name, index])));
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
    if (index === undefined) return undefined;
    for (const [name, place] of this.#places) if (place.index === index) return name;
    return undefined;
  }

  get containerMtu(): number {
    return this.#underlay.mtu - overhead(this.#underlay.ipv6);
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
    const now = nowUnits();
    return this.#readStations().map(({ vni, mac, ip, ifindex, seen }) => ({
      vlan: vlanOf(vni) ?? 0,
      mac,
      ...(ip === undefined ? {} : { ip }),
      uplink: this.#uplinks.nameOf(ifindex) ?? String(ifindex),
      silentSeconds: Math.max(0, Math.round((now - seen) * SECONDS_PER_UNIT)),
    }));
  }

  async rules(): Promise<readonly string[]> {
    return [...(await listTables(this.#options.instance)), ...(await listForwarding())];
  }

  trial(): Trial {
    if (this.#staged) throw new DatapathError('the data path of an earlier version is still at work; it is exchanged within a moment');
    return this.#trials.open(trialObject());
  }

  audit(desired: DesiredDatapath, concern: Concern): Promise<readonly string[]> {
    return this.#serially(async () => {
      const domains = numberDomains(desired.networks, (vni) => this.#knownDomain(vni));
      const { tables } = buildTables(desired, this.#places, this.#underlay.ipv6, domains, this.#rules.subjectOf);
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

  async #apply(desired: DesiredDatapath, mode: ApplyMode, surroundings: Surroundings): Promise<ApplyReport> {
    const believe = surroundings !== 'read';
    const failed: string[] = [];
    const repaired: string[] = [];
    let written = 0;
    const attempt = async (work: () => void | Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        failed.push(reasonOf(error));
      }
    };
    if (desired.ports.some((port) => port.limit))
      await attempt(() => {
        const before = this.#shaper.ifindex;
        repaired.push(...this.#shaper.ensureDevice(this.#staged ? undefined : this.#programs.programs.from_shaper));
        if (this.#shaper.ifindex !== before) this.#writeConfig();
      });
    const devices = JSON.stringify([mode, desired.outside?.privateSubnet, desired.outside?.ipv6]);
    if (!believe || this.#devices !== devices) {
      this.#devices = undefined;
      await attempt(() => {
        repaired.push(...this.#repairDevices(desired, mode));
        this.#devices = devices;
      });
    }
    if (this.#underlayFault !== '') failed.push(this.#underlayFault);
    await attempt(() => this.#forgetStations());
    await attempt(async () => {
      const { instance, vxlanPort, vtepIp } = this.#options;
      const state = { instance, port: vxlanPort, underlay: this.#underlay, vtep: vtepIp, peers: desired.peers };
      const firewall = await ensureFirewall(state, mode, believe ? this.#firewallMark : undefined);
      if (firewall.written && firewall.mark === this.#firewallMark)
        repaired.push(`the nftables table ${nftTable(instance)} was missing or changed`);
      else if (firewall.written) written++;
      this.#firewallMark = firewall.mark;
    });

    const made = new Set<string>();
    for (const port of desired.ports) {
      const { host } = port;
      if (!host || this.#links.list().has(port.name)) continue;
      await attempt(() => {
        refuseTaken(this.#netlink, host);
        this.#links.up(this.#links.make(port, host.name, this.#programs.programs));
        made.add(port.name);
      });
    }
    const links = this.#links.list();
    const inHost = new Set(desired.ports.flatMap(({ name, host }) => (host ? [name] : [])));
    const wanted = new Set(desired.ports.map((port) => port.name));
    const placed = new Set(this.#places.keys());
    for (const [name, link] of links) if (wanted.has(name)) this.#place(name, link.index, inHost.has(name));
    for (const name of this.#places.keys()) if (!links.has(name)) this.#places.delete(name);

    const sharers: Sharer[] = desired.ports.flatMap(({ name, group, limit }) => {
      const place = this.#places.get(name);
      return place && limit && this.#shaper.ifindex !== 0 ? [{ index: place.index, group, limit }] : [];
    });
    let leaveShaper: (() => number) | undefined;
    if (this.#shaper.ifindex !== 0) {
      await attempt(() => {
        const { written: classes, repaired: mended, finish: leave } = this.#shaper.bring(sharers);
        written += classes;
        repaired.push(...mended);
        leaveShaper = () => leave(mode);
      });
    }
    const shared = new Set(leaveShaper ? sharers.map(({ index }) => index) : []);
    for (const [name, place] of this.#places) this.#places.set(name, { ...place, limited: shared.has(place.index) });

    const domains = numberDomains(desired.networks, (vni) => this.#knownDomain(vni));
    let setsWhole = false;
    await attempt(() => {
      const rules = this.#rules.write(desired.policy?.subjects ?? new Map(), mode, believe);
      written += rules.written;
      repaired.push(...rules.repaired);
      failed.push(...rules.failed);
      setsWhole = rules.whole;
    });
    const built = buildTables(desired, this.#places, this.#underlay.ipv6, domains, this.#rules.subjectOf);
    failed.push(...built.failed);
    const finish: (() => void)[] = [];
    let decideAgain = false;
    let switched = false;
    for (const name of TABLES) {
      // Rules that could not be written whole decide nothing: whoever has rules keeps those of before, and nobody new gets in.
      if (isSetTable(name) || (name === 'subjects' && !setsWhole)) continue;
      await attempt(() => {
        const result = this.#tables[name].bring(built.tables[name], mode, believe);
        written += result.written;
        repaired.push(...result.repaired);
        failed.push(...result.failed);
        finish.unshift(result.finish);
        if (result.changed && DECIDING.has(name)) decideAgain = true;
        if (name === 'subjects') switched = result.failed.length === 0;
      });
    }
    if (this.#enforces !== (desired.policy !== undefined) && (mode === 'exact' || !this.#inherited)) {
      this.#enforces = desired.policy !== undefined;
      decideAgain = true;
    }
    await attempt(() => void this.#writeConfig());
    for (const port of desired.ports) {
      const link = links.get(port.name);
      if (link && !this.#staged && !(believe && placed.has(port.name)))
        await attempt(() => void repaired.push(...this.#links.repair(link, port.vni, this.#programs.programs)));
    }
    for (const port of desired.ports) {
      const { host } = port;
      if (!host || !links.has(port.name)) continue;
      await attempt(async () => {
        const done = ensureHostEnd(this.#netlink, port, host, made.has(port.name));
        repaired.push(...(done ?? [`${host.name} was gone; it is made again`]));
        if (!done) await this.removePort(port.name);
      });
    }
    // Tables that may lack something are no reason to let go of complete ones.
    if (this.#staged && mode === 'exact') await attempt(() => this.#exchange());
    for (const work of finish) await attempt(work);
    if (decideAgain) await attempt(() => this.#nextEpoch());
    // Nobody waits for this: what goes is referred to by nobody, and reading all of it back takes a while.
    await attempt(() => {
      const differed = this.#rules.finish(mode, switched);
      repaired.push(...differed);
      if (differed.length > 0) this.#nextEpoch();
    });
    await attempt(() => {
      written += leaveShaper?.() ?? 0;
      if (mode === 'exact' && !this.#staged && sharers.length === 0 && this.#shaper.removeDevice()) this.#writeConfig();
    });

    if (mode === 'exact' || !this.#inherited) {
      await attempt(async () => {
        const inside = desired.networks.flatMap(({ subnet, subnet6 }) => (subnet6 ? [subnet, subnet6] : [subnet]));
        const six = new Set(desired.ports.flatMap(({ name, ip6 }) => (ip6 === undefined ? [] : [name])));
        const index = (port: string, family: 4 | 6) => (family === 6 && !six.has(port) ? undefined : this.#places.get(port)?.index);
        written += await this.#outside.settle(desired.outside, inside, index, surroundings);
      });
    }

    if (mode === 'add') return { written, repaired, failed };
    const idle = new Set(desired.idle);
    const strange = [...links.values()].filter(({ name }) => !wanted.has(name) && !idle.has(name) && !this.#links.isDying(name));
    written += strange.length;
    for (const { name } of strange) this.#places.delete(name);
    await attempt(() => this.#links.remove(strange));
    return { written, repaired, failed, ...(this.#outside.fault === '' ? {} : { outsideFault: this.#outside.fault }) };
  }

  #repairDevices(desired: DesiredDatapath, mode: ApplyMode): string[] {
    const { instance, vxlanPort } = this.#options;
    const { from_tunnel, from_dns, from_outside } = this.#programs.programs;
    const device = { instance, port: vxlanPort, mtu: this.containerMtu };
    const tunnel = ensureTunnel(this.#netlink, device, this.#staged ? undefined : from_tunnel);
    const dns = ensureHostDevice(this.#netlink, device, DNS, this.#staged ? undefined : from_dns);
    this.#tunnelIfindex = tunnel.ifindex;
    this.#dnsIfindex = dns.ifindex;
    this.#uplinks.refresh();
    // Which interfaces are uplinks is said at the start: what an earlier one used is looked for once.
    if (!this.#othersReleased) this.#uplinks.release();
    this.#othersReleased = true;
    const uplinks = this.#staged ? [] : this.#uplinks.attach(this.#programs.programs.from_uplink);
    const shortcut = this.#staged ? [] : ensureShortcut(this.#netlink, this.#underlay, this.#programs.programs.from_underlay, true);
    const repaired = [...tunnel.repaired, ...dns.repaired, ...uplinks, ...shortcut];
    if (tunnel.made) repaired.push(`the tunnel device ${vxlanDevice(vxlanPort)} was missing`);
    if (dns.made) repaired.push(`the DNS device ${DNS_DEVICE} was missing`);
    const before = JSON.stringify(this.#outside.place);
    try {
      // What is not known yet is no reason to let go of a way out that an earlier start made.
      if (desired.outside || mode === 'exact' || !this.#inherited)
        repaired.push(...this.#outside.prepare(desired.outside, this.#staged ? undefined : from_outside));
    } finally {
      const wrote = this.#writeConfig();
      if (wrote && !tunnel.made && !dns.made && before === JSON.stringify(this.#outside.place))
        repaired.push('the configuration in the table config was changed');
    }
    return repaired;
  }

  #writeConfig(): boolean {
    const key = u32Key(0);
    const value = configBytes({
      epoch: this.#epoch,
      vxlanIfindex: this.#tunnelIfindex,
      dnsIfindex: this.#dnsIfindex,
      dnsMac: dnsMac(),
      vtep: this.#options.vtepIp,
      setsLocal: isAtLeast(release(), 6, 1),
      policies: this.#enforces ? 1 : 0,
      uplink: this.#uplinks.active,
      uplinkMac: parseMac(this.#uplinks.activeMac),
      shortPort: isShort(this.#underlay) ? this.#options.vxlanPort : undefined,
      outside: this.#outside.place,
      shaper: this.#shaper.ifindex,
    });
    const held = this.#config.get(key);
    // Who was not told of uplinks leaves them as they are.
    if (this.#options.uplinks === undefined && held) keepUplink(held, value);
    if (held?.equals(value)) return false;
    this.#config.set(key, value);
    return true;
  }

  #knownDomain(vni: Vni): number | undefined {
    const network = this.#tables.networks.get(u32Key(vni));
    return network && networkDomain(network);
  }

  #domainOf = (vni: Vni): number => this.#knownDomain(vni) ?? vni;

  /** Every verdict is found again with the next packet of its connection. */
  #nextEpoch(): void {
    this.#epoch = (this.#epoch + 1) >>> 0;
    this.#writeConfig();
  }

  /** Interfaces and numbers of an earlier start. */
  #findPlaces(): void {
    for (const [name, link] of this.#links.list()) {
      const value = this.#tables.ports.get(u32Key(link.index));
      if (!value) continue;
      const { index, inHost = false } = parsePort(value);
      this.#places.set(name, { ifindex: link.index, index, inHost });
    }
  }

  #place(name: string, ifindex: number, inHost: boolean): void {
    if (this.#places.get(name)?.ifindex === ifindex) return;
    const index = this.#freeIndex();
    this.#counting.reset(index);
    this.#places.set(name, { ifindex, index, inHost });
  }

  #freeIndex(): number {
    const taken = new Set([...this.#places.values()].map((place) => place.index));
    for (let i = 0; i < MAX_PORTS - 1; i++) {
      const index = ((this.#lastIndex + i) % (MAX_PORTS - 1)) + 1;
      if (taken.has(index)) continue;
      this.#lastIndex = index;
      return index;
    }
    throw new DatapathError(`this host has ${MAX_PORTS - 1} containers in networks of ours already, and no more fit`);
  }

  /** Our programs and tables take over from whatever was attached; each interface changes between two packets. */
  #exchange(): void {
    const { programs } = this.#programs;
    const { instance, vxlanPort } = this.#options;
    const device = { instance, port: vxlanPort, mtu: this.containerMtu };
    // Whoever receives comes first, so that nothing meets a table its peer has not filled yet.
    ensureTunnel(this.#netlink, device, programs.from_tunnel);
    ensureHostDevice(this.#netlink, device, DNS, programs.from_dns);
    ensureShortcut(this.#netlink, this.#underlay, programs.from_underlay, false);
    this.#uplinks.attach(programs.from_uplink);
    this.#outside.exchange(programs.from_outside);
    this.#shaper.exchange(programs.from_shaper);
    for (const link of this.#links.list().values()) this.#links.attach(link.index, programs);
    this.#programs.commit();
    this.#staged = false;
  }

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
    this.#nextEpoch();
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
      if (!this.#staged) this.#uplinks.attach(this.#programs.programs.from_uplink);
      this.#writeConfig();
      this.#announce([...this.#tables.ports.read().values()].map(parsePort));
    } catch {
      // An interface on its way out. The next look, or the next apply, sees how it ended.
    }
  }

  /** A new MTU of the underlay is the networks' within a second: what is larger would be lost in the tunnel. */
  #watchUnderlay(): void {
    try {
      const { mtu } = findUnderlay(this.#netlink, this.#options.vtepIp);
      this.#underlayFault = '';
      if (mtu === this.#underlay.mtu) return;
      this.#underlay = { ...this.#underlay, mtu };
      void this.#serially(async () => this.#resize());
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

  #readStations(): StationValue[] {
    return this.#programs
      .map('stations')
      .entries()
      .map(([key, value]) => parseStation(key, value));
  }

  #forgetStations(): void {
    if (nowUnits() < this.#stationsSweptAt + SWEEP_SECONDS / SECONDS_PER_UNIT) return;
    this.#stationsSweptAt = nowUnits();
    const oldest = nowUnits() - STATION_AGE_SECONDS / SECONDS_PER_UNIT;
    const map = this.#programs.map('stations');
    for (const [key, value] of map.entries()) if (parseStation(key, value).seen < oldest) map.delete(key);
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

type Announceable = Pick<PortValue, 'vni' | 'mac' | 'ip' | 'ip6'>;

const SECONDS_PER_UNIT = 2 ** 30 / 1e9;

const macOf = (endpoint: Buffer) => macText(endpoint.subarray(24, 30));

/** Opens the data path of this host: adopts what an earlier start left, makes what is missing. Throws `DatapathError` with one sentence. */
export async function openDatapath(options: DatapathOptions): Promise<Datapath> {
  probeHost();
  await probeFirewall();
  return new KernelDatapath(options);
}
