/** Everything on this host made as it is desired: what is right stays untouched, what is missing comes first, what is too much goes last. */
import type { Vni } from '@contiv/model';
import type { Attached, Attachments } from './attachments.js';
import type { ApplyMode, ApplyReport, DesiredDatapath, Surroundings } from './contract.js';
import { reasonOf } from './errors.js';
import { ensureFirewall } from './kernel/firewall.js';
import { ensureHostEnd, refuseTaken } from './kernel/host-end.js';
import { ensureInput } from './kernel/iptables.js';
import { nftTable } from './kernel/names.js';
import type { Places } from './kernel/places.js';
import type { Sharer } from './kernel/shaper.js';
import type { Stations } from './kernel/stations.js';
import type { RuleTables } from './maps/rule-tables.js';
import type { Table } from './maps/table.js';
import { buildTables, numberDomains, TABLES, type TableName } from './maps/tables.js';
import { isSetTable } from './policy/tables.js';

/** Tables whose change may change verdicts or ways. */
const DECIDING: ReadonlySet<TableName> = new Set(['subjects', 'endpoints', 'ports', 'networks', 'peers'] as const);

export interface Applied extends Attached {
  readonly attachments: Attachments;
  readonly places: Places;
  readonly stations: Stations;
  readonly tables: Readonly<Record<TableName, Table>>;
  readonly rules: RuleTables;
  /** The domain a network has in the tables. */
  readonly knownDomain: (vni: Vni) => number | undefined;
  /** Why the underlay cannot carry the tunnel; empty while it can. */
  readonly underlayFault: () => string;
  readonly removePort: (name: string) => Promise<void>;
}

/** What one apply has done so far. */
class Report {
  written = 0;
  readonly repaired: string[] = [];
  readonly failed: string[] = [];

  /** What fails is said, and the rest is done all the same. */
  async attempt(work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.failed.push(reasonOf(error));
    }
  }

  add(part: { readonly written: number; readonly repaired: readonly string[]; readonly failed?: readonly string[] }): void {
    this.written += part.written;
    this.repaired.push(...part.repaired);
    this.failed.push(...(part.failed ?? []));
  }
}

export class WholeApply {
  readonly #parts: Applied;
  /** Of the nftables table as last written. */
  #firewallMark: string | undefined;
  /** May containers ask for names, as far as was last seen? */
  #asked = false;
  /** What the devices were last found right for. */
  #devices: string | undefined;

  constructor(parts: Applied) {
    this.#parts = parts;
  }

  async run(desired: DesiredDatapath, mode: ApplyMode, surroundings: Surroundings): Promise<ApplyReport> {
    const { links, places, shaper, outside, stations, attachments, configuration, programs } = this.#parts;
    const believe = surroundings !== 'read';
    const report = new Report();
    if (desired.ports.some((port) => port.limit))
      await report.attempt(() => {
        const before = shaper.ifindex;
        report.repaired.push(...shaper.ensureDevice(attachments.program('from_shaper')));
        if (shaper.ifindex !== before) configuration.write();
      });
    await this.#bringDevices(report, desired, mode, believe);
    await report.attempt(() => stations.sweep());
    await report.attempt(() => this.#bringFirewall(report, desired, mode, believe));
    if (!believe || !this.#asked)
      await report.attempt(async () => {
        if ((await ensureInput()) && this.#asked) report.repaired.push('the chain CONTIV-INPUT of iptables was missing or changed');
        this.#asked = true;
      });

    const made = await this.#makeHostPorts(report, desired);
    const present = links.list();
    const inHost = new Set(desired.ports.flatMap(({ name, host }) => (host ? [name] : [])));
    const wanted = new Set(desired.ports.map((port) => port.name));
    const placed = new Set(places.all.keys());
    for (const [name, link] of present) if (wanted.has(name)) places.take(name, link.index, inHost.has(name));
    for (const name of placed) if (!present.has(name)) places.leave(name);

    const sharers: Sharer[] = desired.ports.flatMap(({ name, group, limit }) => {
      const place = places.get(name);
      return place && limit && shaper.ifindex !== 0 ? [{ index: place.index, group, limit }] : [];
    });
    let leaveShaper: (() => number) | undefined;
    if (shaper.ifindex !== 0) {
      await report.attempt(() => {
        const { finish: leave, ...done } = shaper.bring(sharers);
        report.add(done);
        leaveShaper = () => leave(mode);
      });
    }
    const shared = new Set(leaveShaper ? sharers.map(({ index }) => index) : []);
    for (const [name, { index }] of places.all) places.limit(name, shared.has(index));

    const { finish, decideAgain, switched } = await this.#bringTables(report, desired, mode, believe);
    await report.attempt(() => void configuration.write());
    for (const port of desired.ports) {
      const link = present.get(port.name);
      if (link && !attachments.staged && !(believe && placed.has(port.name)))
        await report.attempt(() => void report.repaired.push(...links.repair(link, port.vni, programs.programs)));
    }
    await this.#bringHostEnds(report, desired, made, present);
    // Tables that may lack something are no reason to let go of complete ones.
    if (attachments.staged && mode === 'exact') await report.attempt(() => attachments.exchange());
    for (const work of finish) await report.attempt(work);
    if (decideAgain) await report.attempt(() => configuration.nextEpoch());
    // Nobody waits for this: what goes is referred to by nobody, and reading all of it back takes a while.
    await report.attempt(() => {
      const differed = this.#parts.rules.finish(mode, switched);
      report.repaired.push(...differed);
      if (differed.length > 0) configuration.nextEpoch();
    });
    await report.attempt(() => {
      report.written += leaveShaper?.() ?? 0;
      if (mode === 'exact' && !attachments.staged && sharers.length === 0 && shaper.removeDevice()) configuration.write();
    });
    if (mode === 'exact' || !configuration.inherited) await report.attempt(() => this.#settleOutside(report, desired, surroundings));

    const { written, repaired, failed } = report;
    if (mode === 'add') return { written, repaired, failed };
    const idle = new Set(desired.idle);
    const strange = [...present.values()].filter(({ name }) => !wanted.has(name) && !idle.has(name) && !links.isDying(name));
    for (const { name } of strange) places.leave(name);
    await report.attempt(() => links.remove(strange));
    return { written: written + strange.length, repaired, failed, ...(outside.fault === '' ? {} : { outsideFault: outside.fault }) };
  }

  async #bringDevices(report: Report, desired: DesiredDatapath, mode: ApplyMode, believe: boolean): Promise<void> {
    const devices = JSON.stringify([mode, desired.outside?.privateSubnet, desired.outside?.ipv6]);
    if (!believe || this.#devices !== devices) {
      this.#devices = undefined;
      await report.attempt(() => {
        report.repaired.push(...this.#parts.attachments.repair(desired, mode));
        this.#devices = devices;
      });
    }
    const fault = this.#parts.underlayFault();
    if (fault !== '') report.failed.push(fault);
  }

  async #bringFirewall(report: Report, desired: DesiredDatapath, mode: ApplyMode, believe: boolean): Promise<void> {
    const { instance, vxlanPort, vtepIp } = this.#parts.options;
    const state = { instance, port: vxlanPort, underlay: this.#parts.underlay(), vtep: vtepIp, peers: desired.peers };
    const firewall = await ensureFirewall(state, mode, believe ? this.#firewallMark : undefined);
    if (firewall.written && firewall.mark === this.#firewallMark)
      report.repaired.push(`the nftables table ${nftTable(instance)} was missing or changed`);
    else if (firewall.written) report.written++;
    this.#firewallMark = firewall.mark;
  }

  /** The hosts' own ports in networks that are missing; answers their names. */
  async #makeHostPorts(report: Report, desired: DesiredDatapath): Promise<ReadonlySet<string>> {
    const { links, netlink, programs } = this.#parts;
    const made = new Set<string>();
    for (const port of desired.ports) {
      const { host } = port;
      if (!host || links.list().has(port.name)) continue;
      await report.attempt(() => {
        refuseTaken(netlink, host);
        links.up(links.make(port, host.name, programs.programs));
        made.add(port.name);
      });
    }
    return made;
  }

  async #bringHostEnds(
    report: Report,
    desired: DesiredDatapath,
    made: ReadonlySet<string>,
    present: ReadonlyMap<string, unknown>,
  ): Promise<void> {
    for (const port of desired.ports) {
      const { host } = port;
      if (!host || !present.has(port.name)) continue;
      await report.attempt(async () => {
        const done = ensureHostEnd(this.#parts.netlink, port, host, made.has(port.name));
        report.add({ written: 0, ...(done ?? { repaired: [`${host.name} was gone; it is made again`] }) });
        if (!done) await this.#parts.removePort(port.name);
      });
    }
  }

  /**
   * @returns `finish`: removes what is too much; `decideAgain`: verdicts may be others now; `switched`: groups have the rules of now.
   */
  async #bringTables(report: Report, desired: DesiredDatapath, mode: ApplyMode, believe: boolean) {
    const { tables, rules, places, configuration, knownDomain, underlay } = this.#parts;
    const domains = numberDomains(desired.networks, knownDomain);
    let setsWhole = false;
    await report.attempt(() => {
      const sets = rules.write(desired.policy?.subjects ?? new Map(), mode, believe);
      report.add(sets);
      setsWhole = sets.whole;
    });
    const built = buildTables(desired, places.all, underlay().ipv6, domains, rules.subjectOf);
    report.failed.push(...built.failed);
    const finish: (() => void)[] = [];
    let decideAgain = false;
    let switched = false;
    for (const name of TABLES) {
      // Rules that could not be written whole decide nothing: whoever has rules keeps those of before, and nobody new gets in.
      if (isSetTable(name) || (name === 'subjects' && !setsWhole)) continue;
      await report.attempt(() => {
        const result = tables[name].bring(built.tables[name], mode, believe);
        report.add(result);
        finish.unshift(result.finish);
        if (result.changed && DECIDING.has(name)) decideAgain = true;
        if (name === 'subjects') switched = result.failed.length === 0;
      });
    }
    if (configuration.enforces !== (desired.policy !== undefined) && (mode === 'exact' || !configuration.inherited)) {
      configuration.enforces = desired.policy !== undefined;
      decideAgain = true;
    }
    return { finish, decideAgain, switched };
  }

  async #settleOutside(report: Report, desired: DesiredDatapath, surroundings: Surroundings): Promise<void> {
    const { outside, places } = this.#parts;
    const inside = desired.networks.flatMap(({ subnet, subnet6 }) => (subnet6 ? [subnet, subnet6] : [subnet]));
    const six = new Set(desired.ports.flatMap(({ name, ip6 }) => (ip6 === undefined ? [] : [name])));
    const index = (port: string, family: 4 | 6) => (family === 6 && !six.has(port) ? undefined : places.get(port)?.index);
    report.written += await outside.settle(desired.outside, inside, index, surroundings);
  }
}
