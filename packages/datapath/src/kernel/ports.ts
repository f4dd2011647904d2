/** Interface pairs of containers. The host side bears our group and alias; the other end is the container's `eth0`. */
import { setTimeout } from 'node:timers/promises';
import { isRefused, type Link, Netlink } from '@contiv/netlink';
import type { DatapathPort } from '../contract.js';
import { DatapathError } from '../errors.js';
import { attach } from './devices.js';
import { DYING_GROUP, INFRA_GROUP, isPort, PORT_GROUP, portAlias } from './names.js';
import type { Programs } from './programs.js';

const IFNAMSIZ = 16;
/** Interfaces that go within this time of each other go together. */
const GATHER_MS = 50;

export function checkName(name: string): void {
  if (!/^[A-Za-z0-9._-]+$/.test(name) || name.length >= IFNAMSIZ)
    throw new DatapathError(`"${name}" is no interface name: letters, digits, dots, hyphens and underscores, at most ${IFNAMSIZ - 1}`);
}

export class PortLinks {
  readonly #netlink: Netlink;
  readonly #instance: string;
  readonly #mtuOf: (vni: number) => number;
  /** Interfaces whose removal is in hand, with their index. */
  readonly #dying = new Map<string, number>();
  #next: Promise<void> | undefined;
  #underWay: Promise<void> = Promise.resolve();

  /** @param mtuOf MTU of a network. */
  constructor(netlink: Netlink, instance: string, mtuOf: (vni: number) => number) {
    this.#netlink = netlink;
    this.#instance = instance;
    this.#mtuOf = mtuOf;
  }

  /** Host-side interfaces of this instance, by name; also those whose making or removal a crash cut short. */
  list(): Map<string, Link> {
    const links = this.#netlink.links({ kind: 'veth' }).filter((link) => this.#isOurs(link));
    return new Map(links.map((link) => [link.name, link]));
  }

  /** The host-side interface of that name, if there is one of this instance. */
  find(name: string): Link | undefined {
    const link = this.#netlink.link(name);
    return link?.kind === 'veth' && this.#isOurs(link) ? link : undefined;
  }

  /** The alias comes a moment after the interface, which is in our group from its first moment. */
  #isOurs({ alias, group }: Link): boolean {
    return isPort(alias, this.#instance) || (alias === '' && (group === PORT_GROUP || group === DYING_GROUP));
  }

  /**
   * Makes the pair, programs attached, still down. One that is there already is kept, for its other end may be in use.
   * @returns the host side's index.
   */
  make(port: DatapathPort, peerName: string, programs: Programs['programs']): number {
    checkName(port.name);
    checkName(peerName);
    const held = this.#netlink.link(port.name);
    if (held && !this.#isOurs(held))
      throw new DatapathError(`an interface ${port.name} exists that is not ours; remove it: ip link del ${port.name}`);
    const mtu = this.#mtuOf(port.vni);
    const ifindex =
      held?.index ??
      this.#netlink.addLink({
        kind: 'veth',
        name: port.name,
        mtu,
        group: PORT_GROUP,
        alias: portAlias(this.#instance, port),
        noLinkLocal: true,
        peer: { name: peerName, mtu, mac: port.mac, ...(port.host ? { group: INFRA_GROUP, noLinkLocal: true } : {}) },
      });
    try {
      if (held?.alias === '') this.#netlink.setLink(ifindex, { alias: portAlias(this.#instance, port), group: PORT_GROUP });
      this.attach(ifindex, programs);
      return ifindex;
    } catch (error) {
      if (!held) this.#netlink.deleteLink(ifindex);
      throw error;
    }
  }

  /** Both hooks; answers whether either had to be set. */
  attach(ifindex: number, programs: Programs['programs']): boolean {
    const egress = attach(this.#netlink, ifindex, 'egress', 'to_container', programs.to_container);
    return attach(this.#netlink, ifindex, 'ingress', 'from_container', programs.from_container) || egress;
  }

  up(ifindex: number): void {
    this.#netlink.setLink(ifindex, { up: true });
  }

  /** What an existing interface lacked, in words; it has it now. */
  repair(link: Link, vni: number, programs: Programs['programs']): string[] {
    const repaired: string[] = [];
    const mtu = this.#mtuOf(vni);
    if (this.attach(link.index, programs)) repaired.push(`the program of ${link.name} was missing or another`);
    if (!link.up) {
      this.up(link.index);
      repaired.push(`${link.name} was down`);
    }
    if (link.group !== PORT_GROUP) {
      this.#netlink.setLink(link.index, { group: PORT_GROUP });
      repaired.push(`${link.name} was in interface group ${link.group}, where the firewall does not hold it`);
    }
    if (this.resize(link, vni)) repaired.push(`${link.name} had MTU ${link.mtu} instead of ${mtu}`);
    return repaired;
  }

  /** Gives the host's side its network's MTU, and the other end where that is the host's as well; answers whether there was anything to change. */
  resize(link: Link, vni: number): boolean {
    const mtu = this.#mtuOf(vni);
    if (link.mtu === mtu) return false;
    if (!link.elsewhere && link.peerIndex !== undefined) this.#netlink.setLink(link.peerIndex, { mtu });
    this.#netlink.setLink(link.index, { mtu });
    return true;
  }

  /**
   * Removes pairs. The kernel waits a while for each removal, so those of one moment share one wait, and it is a thread's of its own.
   * Resolves when they are gone.
   */
  remove(links: readonly { readonly name: string; readonly index: number }[]): Promise<void> {
    if (links.length === 0) return Promise.resolve();
    for (const { name, index } of links) this.#dying.set(name, index);
    this.#next ??= Promise.all([setTimeout(GATHER_MS), this.#underWay]).then(() => {
      this.#next = undefined;
      const burial = this.#bury();
      this.#underWay = burial.catch(() => undefined);
      return burial;
    });
    return this.#next;
  }

  /** Is its removal in hand? */
  isDying(name: string): boolean {
    return this.#dying.has(name);
  }

  /** Resolves when an interface whose removal is in hand is gone. */
  async gone(name: string): Promise<void> {
    if (this.#dying.has(name)) await (this.#next ?? this.#underWay);
  }

  async #bury(): Promise<void> {
    const batch = [...this.#dying];
    // A handle of its own: the other one goes on answering while the kernel waits.
    const netlink = Netlink.open();
    try {
      for (const [, index] of batch) {
        try {
          netlink.setLink(index, { group: DYING_GROUP });
        } catch (error) {
          // Gone already: its container's namespace was faster.
          if (!isRefused(error, 'ENODEV')) throw error;
        }
      }
      await netlink.deleteGroup(DYING_GROUP);
    } finally {
      for (const [name] of batch) this.#dying.delete(name);
      netlink.close();
    }
  }
}
