/**
 * Nobody but the other hosts may speak to a VTEP's UDP port: a container on one of Docker's own bridges could otherwise send frames of
 * its own making into any network. And the host does not track the tunnel, whose packets come from a port for each connection inside: each would be
 * an entry of its own, without an answer, in a table that is full soon, and then the host loses connections that are none of ours.
 * One nftables table of ours, replaced as a whole and never half.
 */
import { createHash } from 'node:crypto';
import type { Ipv4, Ipv6 } from '@contiv/model';
import { parseIpv4 } from '@contiv/model';
import type { ApplyMode } from '../contract.js';
import { DNS_DEVICE, nftTable, PORT_GROUP } from './names.js';
import { nft, sameElements } from './nft.js';
import type { Underlay } from './underlay.js';

export interface FirewallState {
  readonly instance: string;
  readonly port: number;
  readonly underlay: Pick<Underlay, 'name' | 'loopback'>;
  readonly vtep: Ipv4 | Ipv6;
  readonly peers: readonly (Ipv4 | Ipv6)[];
}

const DNS_CLIENTS = '169.254.128.0/19';

/** The table as `nft -f` takes it, and the marks by which it is known again. Pure. */
export function ruleset(state: FirewallState): { readonly text: string; readonly rules: number; readonly mark: string } {
  const { instance, port, underlay, vtep } = state;
  const peers = [...new Set(state.peers)].sort();
  const split = (addresses: readonly string[]) => [
    addresses.filter((a) => parseIpv4(a) !== undefined),
    addresses.filter((a) => parseIpv4(a) === undefined),
  ];
  const [peers4 = [], peers6 = []] = split(peers);
  const [vteps4 = [], vteps6 = []] = split([...new Set([...peers, vtep])].sort());
  const set = (name: string, type: string, elements: readonly string[]) =>
    `  set ${name} { type ${type};${elements.length > 0 ? ` elements = { ${elements.join(', ')} };` : ''} }`;
  // On a loopback address any uplink may carry the tunnel, but none of Docker's bridges.
  const from = underlay.loopback ? 'iifname != { "docker*", "br-*", "veth*" }' : `iifname "${underlay.name}"`;
  const rules: [chain: string, rule: string][] = [
    ['prerouting', `${parseIpv4(vtep) === undefined ? 'ip6' : 'ip'} daddr ${vtep} udp dport ${port} notrack`],
    ['output', `ip daddr @vteps4 udp dport ${port} notrack`],
    ['output', `ip6 daddr @vteps6 udp dport ${port} notrack`],
    ['input', `iifgroup ${PORT_GROUP} counter drop`],
    ['input', `udp dport ${port} ${from} ip saddr @peers4 accept`],
    ['input', `udp dport ${port} ${from} ip6 saddr @peers6 accept`],
    ['input', `udp dport ${port} counter drop`],
    ['input', `ip saddr ${DNS_CLIENTS} iifname != "${DNS_DEVICE}" counter drop`],
    ['forward', `iifgroup ${PORT_GROUP} counter drop`],
    ['forward', `ip daddr @vteps4 udp dport ${port} counter drop`],
    ['forward', `ip6 daddr @vteps6 udp dport ${port} counter drop`],
  ];
  const table = nftTable(instance);
  const mark = createHash('sha256')
    .update(JSON.stringify([rules, peers4, peers6, vteps4, vteps6]))
    .digest('hex')
    .slice(0, 12);
  const chain = (name: string, priority: string) => [
    `  chain ${name} {`,
    `    type filter hook ${name} priority ${priority}; policy accept;`,
    ...rules.filter(([of]) => of === name).map(([, rule]) => `    ${rule} comment "contiv ${mark}"`),
    '  }',
  ];
  const text = [
    // Adding what is there is no error, so that deleting never is one.
    `table inet ${table} {}`,
    `delete table inet ${table}`,
    `table inet ${table} {`,
    set('peers4', 'ipv4_addr', peers4),
    set('peers6', 'ipv6_addr', peers6),
    set('vteps4', 'ipv4_addr', vteps4),
    set('vteps6', 'ipv6_addr', vteps6),
    ...chain('prerouting', 'raw'),
    ...chain('output', 'raw'),
    ...chain('input', '-10'),
    ...chain('forward', '-10'),
    '}',
    '',
  ].join('\n');
  return { text, rules: rules.length, mark };
}

/** Without a firewall a VTEP would believe anybody: such a host gets no data path at all. */
export async function probeFirewall(): Promise<void> {
  await nft(['list', 'tables', 'inet']);
}

/**
 * Brings the table up to date, or only makes it where there is none; answers whether it had to be written, and its mark when that is known.
 * @param believed mark that the kernel's table is taken to have without a look at it.
 */
export async function ensureFirewall(
  state: FirewallState,
  mode: ApplyMode = 'exact',
  believed?: string,
): Promise<{ readonly written: boolean; readonly mark: string }> {
  const { text, rules, mark } = ruleset(state);
  if (mark === believed) return { written: false, mark };
  const held = await nft(['list', 'table', 'inet', nftTable(state.instance)]).catch(() => '');
  if (mode === 'add' && held.includes('comment "contiv ')) return { written: false, mark: '' };
  if (held.split(`comment "contiv ${mark}"`).length - 1 === rules && sameElements(text, held)) return { written: false, mark };
  await nft(['-f', '-'], text);
  return { written: true, mark };
}

export async function removeFirewall(instance: string): Promise<void> {
  const table = nftTable(instance);
  await nft(['-f', '-'], `table inet ${table} {}\ndelete table inet ${table}\n`);
}
