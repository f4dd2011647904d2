/**
 * NAT between the private subnet and the world: out under this host's address, in by published ports. One nftables table of ours for each
 * family, replaced as a whole and never half; what the kernel has translated once it goes on translating.
 */
import { createHash } from 'node:crypto';
import { type Ipv4, type Ipv6, ipv4Value, ipv6Value, type Prefix4, type Prefix6, parseIpv4, parseIpv6 } from '@contiv/model';
import { DOCKERS_BRIDGES, INFRA_GROUP, nftTable, OUTSIDE_DEVICE } from './names.js';
import { nft, sameElements } from './nft.js';

/** A published port whose container's private address is known. */
export interface Mapping {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly hostIp?: Ipv4 | Ipv6;
  readonly hostPort: number;
  readonly to: Ipv4 | Ipv6;
  readonly toPort: number;
}

/** All of one family, that of the private subnet. */
export interface NatState {
  readonly instance: string;
  readonly privateSubnet: Prefix4 | Prefix6;
  /** Subnets of tenants: a client outside with such an address would be taken for somebody inside. */
  readonly inside: readonly (Prefix4 | Prefix6)[];
  readonly mappings: readonly Mapping[];
  /** Interfaces of the host that are called like Docker's bridges. */
  readonly namesakes?: readonly string[];
}

const table = (instance: string): string => `${nftTable(instance)}_nat`;
const prefix = ({ address, length }: Prefix4 | Prefix6): string => `${address}/${length}`;

const FAMILIES = {
  4: { table: 'ip', type: 'ipv4_addr' },
  6: { table: 'ip6', type: 'ipv6_addr' },
} as const;
const familyOf = (subnet: Prefix4 | Prefix6): 4 | 6 => (parseIpv4(subnet.address) === undefined ? 6 : 4);

/** First address of a subnet and the one behind its last. */
function ends({ address, length }: Prefix4 | Prefix6): readonly [bigint, bigint] {
  const four = parseIpv4(address);
  const six = parseIpv6(address);
  const first = four !== undefined ? BigInt(ipv4Value(four)) : six !== undefined ? ipv6Value(six) : 0n;
  return [first, first + (1n << BigInt((four === undefined ? 128 : 32) - length))];
}

/** Without those that lie in another one: sets of intervals take no overlaps. */
function outermost(subnets: readonly (Prefix4 | Prefix6)[]): (Prefix4 | Prefix6)[] {
  const kept: { readonly subnet: Prefix4 | Prefix6; readonly end: bigint }[] = [];
  const sorted = subnets.map((subnet) => ({ subnet, ends: ends(subnet) }));
  sorted.sort((a, b) => (a.ends[0] < b.ends[0] ? -1 : a.ends[0] > b.ends[0] ? 1 : a.subnet.length - b.subnet.length));
  for (const {
    subnet,
    ends: [first, end],
  } of sorted) {
    const last = kept.at(-1);
    if (!last || first >= last.end) kept.push({ subnet, end });
  }
  return kept.map(({ subnet }) => subnet);
}

/** The table as `nft -f` takes it, and the mark that every rule bears. Pure. */
export function natRules(state: NatState): { readonly text: string; readonly rules: number; readonly mark: string } {
  const { table: family, type } = FAMILIES[familyOf(state.privateSubnet)];
  const own = prefix(state.privateSubnet);
  const target = (m: Mapping) => `${m.to} . ${m.toPort}`;
  const anywhere = state.mappings.filter((m) => m.hostIp === undefined).map((m) => `${m.protocol} . ${m.hostPort} : ${target(m)}`);
  const somewhere = state.mappings.flatMap((m) =>
    m.hostIp === undefined ? [] : [`${m.hostIp} . ${m.protocol} . ${m.hostPort} : ${target(m)}`],
  );
  const inside = outermost(state.inside).map(prefix);
  const names = (all: readonly string[]) => `{ ${all.map((name) => `"${name}"`).join(', ')} }`;
  const toDockers = [`oifname ${names(DOCKERS_BRIDGES)}`, ...(state.namesakes?.length ? [`oifname != ${names(state.namesakes)}`] : [])];
  // From ::1 no way leads to another interface: who asks there is refused, for the agent's own socket does not listen.
  const local = family === 'ip' ? 'fib daddr type local' : 'ip6 daddr != ::1 fib daddr type local';
  const publish = (to: string) => [
    `${to} dnat ${family} to ${family} daddr . meta l4proto . th dport map @published_on`,
    `${to} dnat ${family} to meta l4proto . th dport map @published`,
  ];
  // The kernel drops what comes from elsewhere to 127.0.0.1, but only after it was translated to somebody who may be reached.
  const arriving = family === 'ip' ? `ip daddr != 127.0.0.0/8 ${local}` : local;
  const chains: readonly (readonly [name: string, hook: string, rules: readonly string[]])[] = [
    [
      'spoofed',
      'type filter hook prerouting priority -300',
      [`${family} saddr ${own} iifname != { "${OUTSIDE_DEVICE}", "lo" } counter drop`],
    ],
    ['prerouting', 'type nat hook prerouting priority -105', publish(arriving)],
    ['output', 'type nat hook output priority -105', publish(local)],
    [
      'postrouting',
      'type nat hook postrouting priority 95',
      [
        `${family} saddr ${own} counter masquerade`,
        ...(family === 'ip' ? [`oifname "${OUTSIDE_DEVICE}" ip saddr 127.0.0.0/8 counter masquerade`] : []),
        `oifname "${OUTSIDE_DEVICE}" ${family} saddr @inside counter masquerade`,
      ],
    ],
    [
      'forward',
      'type filter hook forward priority -10',
      [
        `iifname != "${OUTSIDE_DEVICE}" oifname != "${OUTSIDE_DEVICE}" accept`,
        'ct state established,related accept',
        'ct status dnat accept',
        // Docker's own containers, and hosts' ways into other tenants, are reached by published ports only.
        `iifname "${OUTSIDE_DEVICE}" ${toDockers.join(' ')} counter drop`,
        `iifname "${OUTSIDE_DEVICE}" oifgroup ${INFRA_GROUP} counter drop`,
        `oifname "${OUTSIDE_DEVICE}" counter drop`,
      ],
    ],
  ];
  const set = (kind: string, elements: readonly string[]) =>
    `  ${kind}${elements.length > 0 ? ` elements = { ${elements.join(', ')} };` : ''} }`;
  const mark = createHash('sha256').update(JSON.stringify(chains)).digest('hex').slice(0, 12);
  const name = table(state.instance);
  const text = [
    // Adding what is there is no error, so that deleting never is one.
    `table ${family} ${name} {}`,
    `delete table ${family} ${name}`,
    `table ${family} ${name} {`,
    set(`map published { type inet_proto . inet_service : ${type} . inet_service;`, anywhere),
    set(`map published_on { type ${type} . inet_proto . inet_service : ${type} . inet_service;`, somewhere),
    set(`set inside { type ${type}; flags interval;`, inside),
    ...chains.flatMap(([chain, hook, rules]) => [
      `  chain ${chain} {`,
      `    ${hook}; policy accept;`,
      ...rules.map((rule) => `    ${rule} comment "contiv ${mark}"`),
      '  }',
    ]),
    '}',
    '',
  ].join('\n');
  return { text, rules: chains.reduce((sum, [, , rules]) => sum + rules.length, 0), mark };
}

/** Brings the table up to date; answers whether it had to be written. @param differs it is known to: no look at it first. */
export async function ensureNat(state: NatState, differs = false): Promise<boolean> {
  const { text, rules, mark } = natRules(state);
  const { table: family } = FAMILIES[familyOf(state.privateSubnet)];
  const held = differs ? '' : await nft(['list', 'table', family, table(state.instance)]).catch(() => '');
  if (held.split(`comment "contiv ${mark}"`).length - 1 === rules && sameElements(text, held)) return false;
  await nft(['-f', '-'], text);
  return true;
}

/** An element of either map, as `natRules` writes it and nft prints it. */
const ELEMENT = /^(?:(?<hostIp>\S+) \. )?(?<protocol>tcp|udp|sctp) \. (?<hostPort>\d+) : (?<to>\S+) \. (?<toPort>\d+)$/;
const addressOf = (text: string): Ipv4 | Ipv6 | undefined => parseIpv4(text) ?? parseIpv6(text);

/** The mappings a listing of the table names. Pure. */
export function mappingsIn(listing: string): Mapping[] {
  const elements = [...listing.matchAll(/elements = \{([^}]*)\}/g)].flatMap((found) => (found[1] ?? '').split(','));
  return elements.flatMap((element) => {
    const { hostIp, protocol, hostPort, to: target = '', toPort } = ELEMENT.exec(element.trim())?.groups ?? {};
    const to = addressOf(target);
    const on = hostIp === undefined ? undefined : addressOf(hostIp);
    if (to === undefined || (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp')) return [];
    return [{ protocol, hostPort: Number(hostPort), to, toPort: Number(toPort), ...(on === undefined ? {} : { hostIp: on }) }];
  });
}

/** What the table of a family maps; nothing where there is no table. Throws when nft cannot say. */
export async function readMappings(instance: string, number: 4 | 6): Promise<Mapping[]> {
  const { table: family } = FAMILIES[number];
  const name = `table ${family} ${table(instance)}`;
  const there = (await nft(['list', 'tables', family])).split('\n').some((line) => line.trim() === name);
  return there ? mappingsIn(await nft(['list', ...name.split(' ')])) : [];
}

/** A kernel without IPv6 has no table of it to remove. */
export async function removeNat(instance: string, families: readonly (4 | 6)[] = [4, 6]): Promise<void> {
  for (const { table: family } of families.map((number) => FAMILIES[number])) {
    const name = ['table', family, table(instance)];
    const held = await nft(['list', ...name]).catch(() => '');
    if (held !== '') await nft(['delete', ...name]);
  }
}

/** Everything of ours, as nft prints it. */
export async function listTables(instance: string): Promise<string[]> {
  const listings = await Promise.all(
    [`inet ${nftTable(instance)}`, ...Object.values(FAMILIES).map(({ table: family }) => `${family} ${table(instance)}`)].map((name) =>
      nft(['list', 'table', ...name.split(' ')]).catch(() => ''),
    ),
  );
  return listings.flatMap((text) => text.split('\n')).filter((line) => line.trim() !== '');
}
