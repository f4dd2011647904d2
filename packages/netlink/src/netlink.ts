/** A handle on the network configuration of one namespace. Every call is synchronous and throws `NetlinkError` when the kernel refuses. */
import { text, u32 } from './codec.js';
import { IFLA, NLM_F, RTM } from './constants.js';
import { classAttributes, classBody, decodeClass, type HtbClass, rootAttributes, rootBody } from './htb.js';
import {
  type Address,
  addressAttributes,
  addressBody,
  addressesBody,
  decodeAddress,
  decodeNeighbour,
  decodeRoute,
  type Neighbour,
  neighbourAttributes,
  neighbourBody,
  neighbourKey,
  neighboursBody,
  type Route,
  routeAttributes,
  routeBody,
  routesBody,
} from './ip.js';
import { decodeLink, kindAttribute, type Link, type LinkKind, type LinkSettings, linkBody, linkFlags, settingAttributes } from './link.js';
import { type ByteQueue, byteQueueAttributes, byteQueueBody, decodeQdisc, type Qdisc, qdiscsBody } from './qdisc.js';
import { isRefused, NetlinkError, NetlinkSocket } from './socket.js';
import {
  type BpfFilter,
  decodeFilter,
  type FilterPlace,
  filterAttributes,
  filterBody,
  filterKind,
  filtersBody,
  type Hook,
  qdiscAttributes,
  qdiscBody,
} from './tc.js';

/** How the kernel says that there is no such thing. */
const ABSENT = ['ENODEV', 'ENOENT', 'ESRCH', 'EADDRNOTAVAIL'] as const;

export class Netlink {
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** @param netns path of a network namespace; default the current one. The handle stays with it. */
  static open(netns?: string): Netlink {
    return new Netlink(NetlinkSocket.open(netns));
  }

  close(): void {
    this.#socket.close();
  }

  /**
   * Makes an interface (or a pair) and answers its index. What the kernel takes only from an interface that exists (alias, IPv6 mode, up)
   * follows in a second request; when that fails the interface is removed again.
   */
  addLink(link: LinkKind & LinkSettings & { readonly name: string }): number {
    const [first, later] = inTwo(link);
    const peers = link.kind === 'veth' ? inTwo(link.peer) : undefined;
    const made = link.kind === 'veth' ? { ...link, peer: { ...peers?.[0], name: link.peer.name } } : link;
    const attributes = [...settingAttributes(first), kindAttribute(made)];
    this.#socket.change(`add interface ${link.name}`, RTM.newLink, NLM_F.create | NLM_F.excl, linkBody(0), attributes);
    try {
      const { index } = this.#present(link.name);
      if (Object.keys(later).length > 0) this.setLink(index, later);
      if (link.kind === 'veth' && peers && Object.keys(peers[1]).length > 0) this.setLink(this.#present(link.peer.name).index, peers[1]);
      return index;
    } catch (error) {
      this.deleteLink(link.name);
      throw error;
    }
  }

  #present(name: string): Link {
    const link = this.link(name);
    if (!link) throw new NetlinkError(`interface ${name}`, 19, 'somebody removed it');
    return link;
  }

  /** Changes an interface. The index may be 0 where `name` finds it. */
  setLink(index: number, settings: LinkSettings): void {
    const { noLinkLocal, ...others } = settings;
    try {
      this.#change(index, settings);
    } catch (error) {
      // Without IPv6, on the interface or on the whole host (ipv6.disable=1), the kernel gives no such address anyway.
      if (noLinkLocal !== true || !isRefused(error, 'EAFNOSUPPORT')) throw error;
      this.#change(index, others);
    }
  }

  #change(index: number, settings: LinkSettings): void {
    const { flags, mask } = linkFlags(settings);
    this.#socket.change(`change interface ${index}`, RTM.newLink, 0, linkBody(index, flags, mask), settingAttributes(settings));
  }

  /** Answers whether there was one. */
  deleteLink(which: number | string): boolean {
    return this.#removed(() =>
      this.#socket.change(
        `remove interface ${which}`,
        RTM.delLink,
        0,
        linkBody(typeof which === 'number' ? which : 0),
        typeof which === 'number' ? [] : [[IFLA.ifname, text(which)]],
      ),
    );
  }

  /**
   * Removes every interface of a group at once, on another thread: one wait of the kernel (for RCU, some 10 ms) instead of one for each,
   * and nobody here waits with it. Nothing else may be asked by this handle meanwhile.
   */
  async deleteGroup(group: number): Promise<boolean> {
    try {
      await this.#socket.changeInThread(`remove interface group ${group}`, RTM.delLink, 0, linkBody(0), [[IFLA.group, u32(group)]]);
      return true;
    } catch (error) {
      if (isRefused(error, ...ABSENT)) return false;
      throw error;
    }
  }

  link(which: number | string): Link | undefined {
    const byIndex = typeof which === 'number';
    const attributes = byIndex ? [] : [[IFLA.ifname, text(which)] as const];
    const payload = this.#socket.get(`interface ${which}`, RTM.getLink, linkBody(byIndex ? which : 0), attributes);
    return payload && decodeLink(payload);
  }

  links(filter: { readonly group?: number; readonly kind?: string; readonly prefix?: string } = {}): Link[] {
    return this.#socket
      .dump('list interfaces', RTM.getLink, linkBody(0))
      .map(decodeLink)
      .filter(
        (link) =>
          (filter.group === undefined || link.group === filter.group) &&
          (filter.kind === undefined || link.kind === filter.kind) &&
          (filter.prefix === undefined || link.name.startsWith(filter.prefix)),
      );
  }

  /** Adds an address, or leaves it as it is. */
  addAddress(address: Address): void {
    const what = `add address ${address.ip}/${address.length} to interface ${address.link}`;
    this.#socket.change(what, RTM.newAddr, NLM_F.create | NLM_F.replace, addressBody(address), addressAttributes(address));
  }

  deleteAddress(address: Address): boolean {
    const what = `remove address ${address.ip}/${address.length} of interface ${address.link}`;
    return this.#removed(() => this.#socket.change(what, RTM.delAddr, 0, addressBody(address), addressAttributes(address)));
  }

  addresses(link?: number): Address[] {
    const all = this.#socket.dump('list addresses', RTM.getAddr, addressesBody()).map(decodeAddress);
    return link === undefined ? all : all.filter((address) => address.link === link);
  }

  /** Adds a route of the main table, or replaces the one to the same destination. */
  setRoute(route: Route): void {
    const what = `set route to ${route.ip}/${route.length}`;
    this.#socket.change(what, RTM.newRoute, NLM_F.create | NLM_F.replace, routeBody(route), routeAttributes(route));
  }

  deleteRoute(route: Route): boolean {
    const what = `remove route to ${route.ip}/${route.length}`;
    return this.#removed(() => this.#socket.change(what, RTM.delRoute, 0, routeBody(route), routeAttributes(route)));
  }

  routes(link?: number): Route[] {
    const all = this.#socket.dump('list routes', RTM.getRoute, routesBody()).map(decodeRoute);
    return link === undefined ? all : all.filter((route) => route.link === link);
  }

  /** Adds or replaces a permanent neighbour entry. */
  setNeighbour(neighbour: Neighbour): void {
    const what = `set neighbour ${neighbour.ip} of interface ${neighbour.link}`;
    this.#socket.change(what, RTM.newNeigh, NLM_F.create | NLM_F.replace, neighbourBody(neighbour), neighbourAttributes(neighbour));
  }

  deleteNeighbour(neighbour: Pick<Neighbour, 'link' | 'ip'>): boolean {
    const what = `remove neighbour ${neighbour.ip} of interface ${neighbour.link}`;
    return this.#removed(() => this.#socket.change(what, RTM.delNeigh, 0, neighbourBody(neighbour), neighbourKey(neighbour.ip)));
  }

  neighbours(link?: number): Neighbour[] {
    const all = this.#socket.dump('list neighbours', RTM.getNeigh, neighboursBody()).map(decodeNeighbour);
    return link === undefined ? all : all.filter((neighbour) => neighbour.link === link);
  }

  /** Puts the clsact hook on an interface; one that is there already stays. */
  addClsact(link: number): void {
    try {
      this.#socket.change(`add clsact to interface ${link}`, RTM.newQdisc, NLM_F.create | NLM_F.excl, qdiscBody(link), qdiscAttributes());
    } catch (error) {
      if (!isRefused(error, 'EEXIST')) throw error;
    }
  }

  /** Removes the hook with every filter on it. */
  deleteClsact(link: number): boolean {
    return this.#removed(() =>
      this.#socket.change(`remove clsact of interface ${link}`, RTM.delQdisc, 0, qdiscBody(link), qdiscAttributes()),
    );
  }

  hasClsact(link: number): boolean {
    return this.qdiscs(link).some((qdisc) => qdisc.kind === 'clsact');
  }

  qdiscs(link: number): Qdisc[] {
    return this.#socket
      .dump(`list queueing disciplines of interface ${link}`, RTM.getQdisc, qdiscsBody(link))
      .map(decodeQdisc)
      .filter((qdisc) => qdisc.link === link);
  }

  /** Makes an interface's queue an HTB without classes; whatever stood there goes. */
  setHtb(link: number, major: number): void {
    const what = `set the queueing discipline htb of interface ${link}`;
    this.#socket.change(what, RTM.newQdisc, NLM_F.create | NLM_F.replace, rootBody(link, major), rootAttributes());
  }

  /** Adds a class, or changes the one with its handle. */
  setHtbClass(link: number, htb: HtbClass): void {
    const what = `set class ${classText(htb.handle)} of interface ${link}`;
    this.#socket.change(what, RTM.newClass, NLM_F.create, classBody(link, htb), classAttributes(htb));
  }

  /** With what waits in it. Classes below it go first. */
  deleteHtbClass(link: number, handle: number): boolean {
    const what = `remove class ${classText(handle)} of interface ${link}`;
    return this.#removed(() => this.#socket.change(what, RTM.delClass, 0, classBody(link, { handle, parent: 0 }), []));
  }

  htbClasses(link: number): HtbClass[] {
    return this.#socket
      .dump(`list classes of interface ${link}`, RTM.getClass, qdiscsBody(link))
      .map(decodeClass)
      .filter((htb) => htb !== undefined);
  }

  /** Gives a class, whose handle is `parent`, a queue of its own, or changes the one it has. */
  setByteQueue(link: number, parent: number, queue: ByteQueue): void {
    const what = `set the queue of class ${classText(parent)} of interface ${link}`;
    this.#socket.change(what, RTM.newQdisc, NLM_F.create | NLM_F.replace, byteQueueBody(link, parent, queue), byteQueueAttributes(queue));
  }

  /** Puts a program at a place; a program that is there already is replaced without a packet seeing neither. */
  setFilter(place: FilterPlace, programFd: number, name: string): void {
    const what = `attach ${name} to ${place.hook} of interface ${place.link}`;
    this.#socket.change(what, RTM.newFilter, NLM_F.create | NLM_F.replace, filterBody(place), filterAttributes(programFd, name));
  }

  deleteFilter(place: FilterPlace): boolean {
    const what = `detach from ${place.hook} of interface ${place.link}`;
    return this.#removed(() => this.#socket.change(what, RTM.delFilter, 0, filterBody(place), filterKind()));
  }

  /** Filters of an interface; none where it has no clsact hook. */
  filters(link: number, hook: Hook): BpfFilter[] {
    try {
      return (
        this.#socket
          .dump(`list filters of interface ${link}`, RTM.getFilter, filtersBody(link, hook))
          .map(decodeFilter)
          // Each priority also lists itself, without a handle.
          .filter((filter) => filter.handle !== 0)
      );
    } catch (error) {
      if (isRefused(error, 'EINVAL', 'ENOENT', 'ENODEV')) return [];
      throw error;
    }
  }

  #removed(change: () => void): boolean {
    try {
      change();
      return true;
    } catch (error) {
      if (isRefused(error, ...ABSENT)) return false;
      throw error;
    }
  }
}

/** As tc(8) writes it. */
const classText = (handle: number): string => `${(handle >>> 16).toString(16)}:${(handle & 0xffff).toString(16)}`;

/** Settings an interface can be made with, and those it takes only afterwards. */
function inTwo(settings: LinkSettings): [LinkSettings, LinkSettings] {
  const { name, mtu, mac, group, netnsFd, alias, up, noArp, promiscuous, noLinkLocal, master } = settings;
  return [defined({ name, mtu, mac, group, netnsFd }), defined({ alias, up, noArp, promiscuous, noLinkLocal, master })];
}

const defined = <T extends object>(settings: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> };
