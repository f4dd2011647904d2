/** Devices of ours, and our programs on them and on interfaces of others: made, repaired, and exchanged for those of another version. */
import type { Netlink } from '@contiv/netlink';
import type { ApplyMode, DatapathOptions, DesiredDatapath } from './contract.js';
import { DNS, ensureHostDevice, ensureTunnel, removeOtherTunnels } from './kernel/devices.js';
import { DNS_DEVICE, vxlanDevice } from './kernel/names.js';
import type { Outside } from './kernel/outside.js';
import type { PortLinks } from './kernel/ports.js';
import type { Program, Programs } from './kernel/programs.js';
import type { Shaper } from './kernel/shaper.js';
import { ensureShortcut } from './kernel/shortcut.js';
import { containerMtu, type Underlay } from './kernel/underlay.js';
import type { Uplinks } from './kernel/uplinks.js';
import type { Configuration } from './maps/configuration.js';

export interface Attached {
  readonly options: DatapathOptions;
  readonly netlink: Netlink;
  readonly programs: Programs;
  readonly links: PortLinks;
  readonly uplinks: Uplinks;
  readonly shaper: Shaper;
  readonly outside: Outside;
  readonly configuration: Configuration;
  /** As it is now: its MTU may change. */
  readonly underlay: () => Underlay;
}

export class Attachments {
  readonly #parts: Attached;
  #staged: boolean;
  #othersReleased = false;
  #tunnelIfindex = 0;
  #dnsIfindex = 0;

  constructor(parts: Attached) {
    this.#parts = parts;
    // Programs of an earlier start are at work, and the tables of these here are empty: an exchange now would cut everything off.
    this.#staged = parts.programs.fresh.length > 0 && parts.netlink.link(vxlanDevice(parts.options.vxlanPort)) !== undefined;
  }

  /** Older programs carry the traffic until the new tables are full. */
  get staged(): boolean {
    return this.#staged;
  }

  get tunnelIfindex(): number {
    return this.#tunnelIfindex;
  }

  get dnsIfindex(): number {
    return this.#dnsIfindex;
  }

  get #device() {
    const { instance, vxlanPort } = this.#parts.options;
    return { instance, port: vxlanPort, mtu: containerMtu(this.#parts.underlay()) };
  }

  /** None while older ones are at work. */
  program(name: keyof Programs['programs']): Program | undefined {
    return this.#staged ? undefined : this.#parts.programs.programs[name];
  }

  /** The devices every host has. */
  open(): void {
    const { netlink } = this.#parts;
    this.#tunnelIfindex = ensureTunnel(netlink, this.#device, this.program('from_tunnel')).ifindex;
    // Not before there is the new one: its port may be taken, and then all has to stay as it is.
    removeOtherTunnels(netlink, this.#device);
    this.#dnsIfindex = ensureHostDevice(netlink, this.#device, DNS, this.program('from_dns')).ifindex;
  }

  /** Compares with the kernel; answers what had to be mended, each as one sentence. */
  repair(desired: DesiredDatapath, mode: ApplyMode): string[] {
    const { netlink, uplinks, outside, configuration, programs, underlay } = this.#parts;
    const { port } = this.#device;
    const tunnel = ensureTunnel(netlink, this.#device, this.program('from_tunnel'));
    const dns = ensureHostDevice(netlink, this.#device, DNS, this.program('from_dns'));
    this.#tunnelIfindex = tunnel.ifindex;
    this.#dnsIfindex = dns.ifindex;
    uplinks.refresh();
    // Which interfaces are uplinks is said at the start: what an earlier one used is looked for once.
    if (!this.#othersReleased) uplinks.release();
    this.#othersReleased = true;
    const attached = this.#staged ? [] : uplinks.attach(programs.programs.from_uplink);
    const shortcut = this.#staged ? [] : ensureShortcut(netlink, underlay(), programs.programs.from_underlay, true);
    const repaired = [...tunnel.repaired, ...dns.repaired, ...attached, ...shortcut];
    if (tunnel.made) repaired.push(`the tunnel device ${vxlanDevice(port)} was missing`);
    if (dns.made) repaired.push(`the DNS device ${DNS_DEVICE} was missing`);
    const before = JSON.stringify(outside.place);
    try {
      // What is not known yet is no reason to let go of a way out that an earlier start made.
      if (desired.outside || mode === 'exact' || !configuration.inherited)
        repaired.push(...outside.prepare(desired.outside, this.program('from_outside')));
    } finally {
      const wrote = configuration.write();
      if (wrote && !tunnel.made && !dns.made && before === JSON.stringify(outside.place))
        repaired.push('the configuration in the table config was changed');
    }
    return repaired;
  }

  /** Our programs and tables take over from whatever was attached; each interface changes between two packets. */
  exchange(): void {
    const { netlink, uplinks, outside, shaper, links, underlay } = this.#parts;
    const { programs } = this.#parts.programs;
    // Whoever receives comes first, so that nothing meets a table its peer has not filled yet.
    ensureTunnel(netlink, this.#device, programs.from_tunnel);
    ensureHostDevice(netlink, this.#device, DNS, programs.from_dns);
    ensureShortcut(netlink, underlay(), programs.from_underlay, false);
    uplinks.attach(programs.from_uplink);
    outside.exchange(programs.from_outside);
    shaper.exchange(programs.from_shaper);
    for (const link of links.list().values()) links.attach(link.index, programs);
    this.#parts.programs.commit();
    this.#staged = false;
  }
}
