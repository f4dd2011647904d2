/**
 * What the kernel has translated once it goes on translating, and a conversation of UDP has no end: as long as somebody goes on sending, all
 * of it goes where its first packet went, also when that was to a container that is gone, or to nobody because the port was not published yet.
 */
import { contains4, contains6, type Prefix4, type Prefix6, parseIpv4, parseIpv6 } from '@contiv/model';
import { forgetTranslations, type Netlink, type Translation } from '@contiv/netlink';
import type { Mapping, NatState } from './nat.js';

type Family = 4 | 6;
type Held = Pick<NatState, 'privateSubnet' | 'mappings'>;
/** Ports that are asked for one by one; for more of them all of UDP is looked through. */
const FEW = 8;

const familyOf = ({ address }: Prefix4 | Prefix6): Family => (parseIpv4(address) === undefined ? 6 : 4);
function contains({ address, length }: Prefix4 | Prefix6, ip: string): boolean {
  const [four, six] = [parseIpv4(address), parseIpv6(address)];
  return (four !== undefined && contains4({ address: four, length }, ip)) || (six !== undefined && contains6({ address: six, length }, ip));
}

/** Would the mappings of now lead the conversation elsewhere? Pure. @param local addresses of this host. */
export function isOutOfDate(
  { dst, dport, answers, answersPort }: Translation,
  { privateSubnet, mappings }: Held,
  local: ReadonlySet<string>,
): boolean {
  const candidates = mappings.filter(({ protocol, hostPort }) => protocol === 'udp' && hostPort === dport);
  const to = candidates.find(({ hostIp }) => hostIp === dst) ?? candidates.find(({ hostIp }) => hostIp === undefined);
  if (answers === dst && answersPort === dport) return to !== undefined && local.has(dst);
  // Others translate as well, and that is their own business.
  return contains(privateSubnet, answers) && !(to?.to === answers && to.toPort === answersPort);
}

const textOf = (mapping: Mapping): string => JSON.stringify(mapping);

export class Translations {
  readonly #netlink: Netlink;
  /** Mappings of UDP, by text, that the kernel's conversations were last compared with. */
  readonly #known = new Map<Family, ReadonlyMap<string, number>>();

  constructor(netlink: Netlink) {
    this.#netlink = netlink;
  }

  /** Conversations that are out of date begin anew with their next packet. For after the rules are in place. */
  follow(state: Held): void {
    const family = familyOf(state.privateSubnet);
    const wanted = new Map(state.mappings.flatMap((m) => (m.protocol === 'udp' ? [[textOf(m), m.hostPort] as const] : [])));
    const known = this.#known.get(family);
    const ports = known && changed(known, wanted);
    if (ports?.size === 0) return;
    const local = new Set(this.#netlink.addresses().map(({ ip }) => ip));
    const which = (translation: Translation): boolean => isOutOfDate(translation, state, local);
    for (const port of ports && ports.size <= FEW ? ports : [undefined]) forgetTranslations(family, port, which);
    this.#known.set(family, wanted);
  }

  /** Nothing is known any more of what the kernel does. */
  forget(): void {
    this.#known.clear();
  }
}

/** Ports of this host that lead elsewhere than before. */
function changed(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): Set<number> {
  const of = (some: ReadonlyMap<string, number>, others: ReadonlyMap<string, number>) =>
    [...some].flatMap(([text, port]) => (others.has(text) ? [] : [port]));
  return new Set([...of(before, after), ...of(after, before)]);
}
