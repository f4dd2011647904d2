/** The way out of the tenants, as one thing: the device, the NAT and the leave to forward. */
import { writeFileSync } from 'node:fs';
import { type Ipv4, type Ipv6, ipv4FromNumber, ipv4Value, ipv6FromBigInt, type Prefix4, type Prefix6, parseIpv4 } from '@contiv/model';
import type { Netlink } from '@contiv/netlink';
import type { DatapathOutside, PublishedPort, Surroundings } from '../contract.js';
import { DatapathError, reasonOf } from '../errors.js';
import { attach, ensureHostDevice, outsideDevice } from './devices.js';
import { routeIpv6 } from './forwarding6.js';
import { ensureForwarding, removeForwarding } from './iptables.js';
import { isOurs, namesakes, OUTSIDE_DEVICE } from './names.js';
import { ensureNat, type Mapping, type NatState, natRules, readMappings, removeNat } from './nat.js';
import { freeSubnet } from './private-subnet.js';
import type { Program } from './programs.js';
import { Translations } from './translations.js';

/** Private address of a port. */
export const privateAddress = (privateNet: Ipv4, index: number): Ipv4 => ipv4FromNumber(ipv4Value(privateNet) + index);

/** The unique local /64 (RFC 4193) of IPv6: two octets of the private subnet behind a prefix of ours, fd63:6f6e:7469:ac13:: for 172.19.0.0. */
const PRIVATE6 = 0xfd63_6f6e_7469_0000n;
export const privateAddress6 = (privateNet: Ipv4, index: number): Ipv6 =>
  ipv6FromBigInt(((PRIVATE6 | BigInt(ipv4Value(privateNet) >>> 16)) << 64n) | BigInt(index));
const privateSubnet6 = (privateNet: Ipv4): Prefix6 => ({ address: privateAddress6(privateNet, 0), length: 64 });
/** The host's own one, in either family. */
const HOST_INDEX = 0xfffe;

function setting(name: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv4/${name}`, '1');
  } catch (error) {
    throw new DatapathError(`net.ipv4.${name.replaceAll('/', '.')} cannot be set to 1, which NAT needs: ${reasonOf(error)}`);
  }
}

const EVERY = { 4: ipv4FromNumber(0), 6: ipv6FromBigInt(0n) } as const;

/** Number of a published port's interface; `undefined` when it is gone, or has no address of that family. */
type IndexOf = (port: string, family: 4 | 6) => number | undefined;

export function mappingsOf(outside: DatapathOutside, family: 4 | 6, index: IndexOf): Mapping[] {
  return outside.published.flatMap(({ port, protocol, hostIp, hostPort, containerPort }) => {
    const at = index(port, family);
    if (at === undefined || (hostIp !== undefined && (parseIpv4(hostIp) === undefined) !== (family === 6))) return [];
    const { address } = outside.privateSubnet;
    const to = family === 4 ? privateAddress(address, at) : privateAddress6(address, at);
    return [{ protocol, hostPort, to, toPort: containerPort, ...(hostIp === undefined || hostIp === EVERY[family] ? {} : { hostIp }) }];
  });
}

/**
 * The published ports that mappings of both families stand for: what `mappingsOf` made of them, backwards. Those of one family are said to be
 * that one's where both lead outside; what leads to none of these interfaces is left out.
 * @param numbers of the interfaces, by name.
 */
export function publishedIn(
  { privateNet, ipv6 }: Pick<OutsidePlace, 'privateNet' | 'ipv6'>,
  mappings: Readonly<Record<4 | 6, readonly Mapping[]>>,
  numbers: Iterable<readonly [name: string, index: number]>,
): PublishedPort[] {
  const names = new Map<Ipv4 | Ipv6, string>();
  for (const [name, index] of numbers) names.set(privateAddress(privateNet, index), name).set(privateAddress6(privateNet, index), name);
  const read = (family: 4 | 6): PublishedPort[] =>
    mappings[family].flatMap(({ to, toPort: containerPort, ...rest }) => {
      const port = names.get(to);
      return port === undefined ? [] : [{ port, ...rest, containerPort }];
    });
  const text = ({ port, protocol, hostPort, containerPort }: PublishedPort) => [port, protocol, hostPort, containerPort].join();
  const everywhere = (ports: readonly PublishedPort[]) => new Set(ports.filter(({ hostIp }) => hostIp === undefined).map(text));
  const [four, six] = [read(4), read(6)];
  const [everywhere4, everywhere6] = [everywhere(four), everywhere(six)];
  const only = (family: 4 | 6, port: PublishedPort) => (port.hostIp === undefined && ipv6 ? { ...port, hostIp: EVERY[family] } : port);
  return [
    ...four.map((port) => (everywhere6.has(text(port)) ? port : only(4, port))),
    ...six.filter((port) => port.hostIp !== undefined || !everywhere4.has(text(port))).map((port) => only(6, port)),
  ];
}

/** What the tables of each family are to say. */
function natStates(
  outside: DatapathOutside,
  ipv6: boolean,
  inside: readonly (Prefix4 | Prefix6)[],
  index: IndexOf,
): Pick<NatState, 'privateSubnet' | 'inside' | 'mappings'>[] {
  const { privateSubnet } = outside;
  const is4 = ({ address }: Prefix4 | Prefix6): boolean => parseIpv4(address) !== undefined;
  const four = { privateSubnet, inside: inside.filter(is4), mappings: mappingsOf(outside, 4, index) };
  if (!ipv6) return [four];
  const six = privateSubnet6(privateSubnet.address);
  return [four, { privateSubnet: six, inside: inside.filter((prefix) => !is4(prefix)), mappings: mappingsOf(outside, 6, index) }];
}

export interface OutsideOptions {
  readonly instance: string;
  /** The underlay's may change at any time. */
  readonly mtu: () => number;
}

/** What the programs know of the way out. */
export interface OutsidePlace {
  readonly ifindex: number;
  readonly privateNet: Ipv4;
  readonly ipv6: boolean;
}

export class Outside {
  readonly #netlink: Netlink;
  readonly #options: OutsideOptions;
  readonly #translations: Translations;
  #place: OutsidePlace | undefined;
  #removed = false;
  #namesakes: readonly string[] | undefined;
  /** Text of the NAT rules that were last found or written, with the leave to forward. */
  #settled: { readonly for: string; readonly text: string } | undefined;
  /** Are rules of IPv6 in place? Unknown after a start. */
  #six: boolean | undefined;
  #fault = '';

  /** @param place where an earlier start left it. */
  constructor(netlink: Netlink, options: OutsideOptions, place: OutsidePlace | undefined) {
    this.#netlink = netlink;
    this.#options = options;
    this.#translations = new Translations(netlink);
    this.#place = place;
  }

  get place(): OutsidePlace | undefined {
    return this.#place;
  }

  /** Why there is no way out although one is wanted. */
  get fault(): string {
    return this.#fault;
  }

  /** What the rules publish, whoever wrote them. Throws when nft cannot say. @param numbers of the interfaces, by name. */
  async listPublished(numbers: Iterable<readonly [name: string, index: number]>): Promise<PublishedPort[]> {
    const place = this.#place;
    if (!place) return [];
    const [four, six] = await Promise.all(([4, 6] as const).map((family) => readMappings(this.#options.instance, family)));
    return publishedIn(place, { 4: four ?? [], 6: six ?? [] }, numbers);
  }

  /** The device, as far as one is wanted; answers what had to be repaired. Throws one sentence when the subnet is in use. */
  prepare(wanted: DatapathOutside | undefined, program: Program | undefined): string[] {
    this.#fault = '';
    let repaired: string[];
    try {
      repaired = this.#prepare(wanted, program);
    } catch (error) {
      this.#fault = reasonOf(error);
      throw error;
    }
    // A host that has no IPv6 has a way out all the same.
    if (wanted?.ipv6 === true && this.#place) this.#place = this.#prepare6(this.#place);
    return repaired;
  }

  #prepare6(place: OutsidePlace): OutsidePlace {
    routeIpv6(OUTSIDE_DEVICE);
    const ip = privateAddress6(place.privateNet, HOST_INDEX);
    if (!this.#netlink.addresses(place.ifindex).some((address) => address.ip === ip))
      this.#netlink.addAddress({ link: place.ifindex, ip, length: 64 });
    return { ...place, ipv6: true };
  }

  #prepare(wanted: DatapathOutside | undefined, program: Program | undefined): string[] {
    const before = this.#place;
    this.#place = undefined;
    if (!wanted) return [];
    const subnet = freeSubnet(this.#netlink, [wanted.privateSubnet, ...(wanted.spareSubnets ?? [])], before?.privateNet);
    const device = ensureHostDevice(this.#netlink, { ...this.#options, mtu: this.#options.mtu() }, outsideDevice(subnet), program);
    if (device.made) {
      // Connections from localhost to published ports leave by this device.
      setting(`conf/${OUTSIDE_DEVICE}/route_localnet`);
      setting('ip_forward');
    }
    this.#place = { ifindex: device.ifindex, privateNet: subnet.address, ipv6: false };
    return device.made && before?.privateNet === subnet.address ? [`the device ${OUTSIDE_DEVICE} was missing`] : device.repaired;
  }

  exchange(program: Program): void {
    if (this.#place) attach(this.#netlink, this.#place.ifindex, 'egress', 'from_outside', program);
  }

  /**
   * The rules, once programs and tables are as they should be; or nothing at all, where there is no way out.
   * @param inside subnets of tenants.
   * @returns how much had to be written.
   */
  async settle(
    desired: DatapathOutside | undefined,
    inside: readonly (Prefix4 | Prefix6)[],
    index: IndexOf,
    surroundings: Surroundings,
  ): Promise<number> {
    const { instance } = this.#options;
    const ipv6 = this.#place?.ipv6 === true;
    const wanted = desired && this.#place && { ...desired, privateSubnet: { address: this.#place.privateNet, length: 16 } };
    const whatFor = JSON.stringify([wanted?.privateSubnet, ipv6]);
    if (surroundings === 'later' && this.#settled?.for === whatFor) return 0;
    if (!wanted) {
      if (this.#removed && !this.#netlink.link(OUTSIDE_DEVICE)) return 0;
      await this.remove();
      this.#removed = true;
      return 0;
    }
    this.#removed = false;
    if (surroundings === 'read' || !this.#namesakes) this.#namesakes = namesakes(this.#netlink.links());
    const host = { instance, namesakes: this.#namesakes };
    const states = natStates(wanted, ipv6, inside, index).map((state) => ({ ...host, ...state }));
    const text = states.map((state) => natRules(state).text).join('');
    const settled = surroundings === 'read' ? undefined : this.#settled?.text;
    if (text === settled) return 0;
    this.#settled = undefined;
    try {
      // Each of them runs a program or two, and somebody may wait for a published port.
      const done = await Promise.allSettled([
        ...states.map((state) => ensureNat(state, settled !== undefined && this.#six === ipv6)),
        ...(settled === undefined ? [ensureForwarding('iptables')] : []),
        ...(ipv6 && (settled === undefined || this.#six !== true) ? [ensureForwarding('ip6tables')] : []),
        ...(!ipv6 && this.#six !== false ? [this.#remove6()] : []),
      ]);
      const failed = done.find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
      for (const state of states) this.#translations.follow(state);
      this.#six = ipv6;
      this.#settled = { for: whatFor, text };
      return done.filter((result) => result.status === 'fulfilled' && result.value).length;
    } catch (error) {
      this.#fault = reasonOf(error);
      throw error;
    }
  }

  async #remove6(): Promise<boolean> {
    await removeNat(this.#options.instance, [6]);
    await removeForwarding(['ip6tables']);
    return false;
  }

  async remove(): Promise<void> {
    const { instance } = this.#options;
    this.#settled = undefined;
    this.#six = undefined;
    this.#translations.forget();
    if (isOurs(this.#netlink.link(OUTSIDE_DEVICE)?.alias ?? '', instance)) this.#netlink.deleteLink(OUTSIDE_DEVICE);
    await removeNat(instance);
    await removeForwarding();
  }
}
