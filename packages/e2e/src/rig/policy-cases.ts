/**
 * The truth table of spec/field §3.2 in our terms: namespace → tenant, pod label → endpoint group, several labels → several rules. Every case is a
 * row of worlds; each follows from the one before by the fewest changes, and after each the whole matrix has to hold. Pure.
 */
import type { RuleSpec, World } from './policy-model.js';

export const TENANTS = ['alpha', 'beta', 'gamma'] as const;
export const GROUPS = ['web', 'db', 'ops'] as const;
export const NETWORK = 'net';
export const SUBNET = '10.1.2.0/24';
export const SUBNET6 = '2001:db8:2::/64';

/** Rules by group; several lists are several policies of it. `tenant:*` is an admin policy of the tenant. */
type Attached = Readonly<Record<string, readonly RuleSpec[] | readonly (readonly RuleSpec[])[]>>;

const isLists = (rules: Attached[string]): rules is readonly (readonly RuleSpec[])[] => Array.isArray(rules[0]);

/** Tenants named in `deny` deny what no rule matches. */
export function world(attached: Attached, deny: readonly string[] = []): World {
  const policies: Record<string, World['policies'][string]> = {};
  const groups: Record<string, string[]> = Object.fromEntries(TENANTS.flatMap((t) => GROUPS.map((g) => [`${t}:${g}`, []])));
  for (const [key, rules] of Object.entries(attached)) {
    const [tenant = '', group = ''] = key.split(':');
    for (const [i, list] of (isLists(rules) ? rules : [rules]).entries()) {
      const name = group === '*' ? `admin${i}` : `${group}${i}`;
      policies[`${tenant}:${name}`] = { admin: group === '*', rules: list };
      groups[key]?.push(name);
    }
  }
  const postures = Object.fromEntries(TENANTS.map((t) => [t, deny.includes(t) ? 'deny' : 'allow'] as const));
  return { postures, policies, groups };
}

export const NOTHING = world({});

type Peer = Omit<RuleSpec, 'way' | 'action'>;
const closed = (way: RuleSpec['way'], more: Peer = {}): RuleSpec => ({ way, action: 'deny', priority: 1, ...more });
const open = (way: RuleSpec['way'], more: Peer = {}): RuleSpec => ({ way, action: 'allow', priority: 10, ...more });
const CLOSED_IN = closed('in');
const CLOSED_OUT = closed('out');

export type Case = readonly [title: string, ...worlds: readonly World[]];

/** Number in the list → title and worlds. 21 to 23 move a container besides. */
export const CASES: Readonly<Record<number, Case>> = {
  1: ['default deny ingress', world({ 'alpha:web': [CLOSED_IN] })],
  2: ['default deny all', world({ 'alpha:web': [CLOSED_IN, CLOSED_OUT] })],
  3: ['allow all', world({ 'alpha:web': [CLOSED_IN, open('in')] })],
  4: ['from a group of the same tenant', world({ 'alpha:web': [CLOSED_IN, open('in', { group: 'db' })] })],
  5: ['to a target only', world({ 'alpha:web': [CLOSED_IN, open('in', { group: 'db' })], 'alpha:ops': [CLOSED_IN] })],
  6: [
    'the same rules in all tenants',
    world(Object.fromEntries(TENANTS.map((tenant) => [`${tenant}:web`, [CLOSED_IN, open('in', { network: NETWORK })]]))),
  ],
  7: [
    'an address of another tenant opens nothing, a group of that name neither',
    world({ 'alpha:web': [CLOSED_IN, open('in', { address: '10.1.2.128/25' })], 'beta:db': [CLOSED_OUT, open('out', { group: 'web' })] }),
  ],
  8: ['from one of several groups', world({ 'alpha:web': [CLOSED_IN, open('in', { group: 'db' }), open('in', { group: 'ops' })] })],
  9: ['group OR addresses', world({ 'alpha:web': [CLOSED_IN, open('in', { group: 'db' }), open('in', { address: '10.1.2.31-32' })] })],
  10: [
    'group AND addresses, and to one container of the group',
    world({ 'alpha:web': [CLOSED_IN, open('in', { group: 'db', address: '10.1.2.21/31' })] }),
    world({
      'alpha:web': [CLOSED_IN, open('in', { group: 'db', address: '10.1.2.21/31' }), open('in', { group: 'ops', own: '10.1.2.11' })],
    }),
  ],
  11: [
    'several groups and tenants',
    world({
      'alpha:web': [CLOSED_IN, open('in', { group: 'db' })],
      'alpha:db': [CLOSED_IN, open('in', { group: 'ops' })],
      'beta:web': [CLOSED_IN, open('in', { group: 'ops' })],
      'gamma:ops': [CLOSED_IN],
    }),
  ],
  12: ['from any group, by network', world({ 'beta:web': [CLOSED_IN, open('in', { network: NETWORK, protocol: 'udp' })] })],
  13: ['by ports', world({ 'alpha:web': [CLOSED_IN, open('in', { protocol: 'tcp', port: 80 })] })],
  14: [
    'stacked policies that overlap',
    world({
      'alpha:web': [
        [CLOSED_IN, open('in', { group: 'db', protocol: 'tcp', port: 80 })],
        [
          open('in', { group: 'ops', protocol: 'tcp', port: 80, endPort: 81 }),
          closed('in', { group: 'ops', protocol: 'tcp', port: 81, priority: 20 }),
        ],
      ],
    }),
  ],
  15: ['allow all outranks, inwards', world({ 'alpha:web': [[CLOSED_IN, open('in', { group: 'db' })], [open('in', { priority: 50 })]] })],
  16: [
    'allow all outranks, outwards',
    world({ 'alpha:web': [[CLOSED_OUT, closed('out', { group: 'db' })], [open('out', { priority: 50 })]] }),
  ],
  17: ['a port, whatever the protocol', world({ 'alpha:web': [CLOSED_IN, open('in', { port: 81 })] })],
  18: ['a port from a network', world({ 'alpha:web': [CLOSED_IN, open('in', { port: 81, network: NETWORK, protocol: 'tcp' })] })],
  19: ['a port outwards', world({ 'alpha:web': [CLOSED_OUT, open('out', { port: 81, protocol: 'tcp' })] })],
  20: [
    'an updated rule',
    world({ 'alpha:web': [CLOSED_IN, open('in', { protocol: 'tcp', port: 80 })] }),
    world({ 'alpha:web': [CLOSED_IN, open('in', { protocol: 'tcp', port: 81 })] }),
    world({ 'alpha:web': [CLOSED_IN] }),
  ],
  21: ['policies of a group exchanged', world({ 'alpha:web': [CLOSED_IN], 'alpha:db': [CLOSED_OUT] }), world({ 'alpha:ops': [CLOSED_IN] })],
  22: ['a container comes into a group that is let in', world({ 'alpha:web': [CLOSED_IN, open('in', { group: 'db' })] })],
  23: ['and leaves it', world({ 'alpha:web': [CLOSED_IN, open('in', { group: 'db' })] })],
  24: ['egress of a group denied', world({ 'alpha:db': [CLOSED_OUT] })],
  25: ['egress of a whole tenant denied', world({ 'beta:*': [closed('out')] })],
  26: [
    'ingress and egress together',
    world({ 'alpha:web': [CLOSED_IN, CLOSED_OUT, open('in', { group: 'db' }), open('out', { group: 'ops' })] }),
  ],
  27: [
    'ingress and egress by themselves',
    world({ 'alpha:web': [CLOSED_IN, open('out')] }),
    world({ 'alpha:web': [CLOSED_IN, open('out'), open('in')] }),
    world({ 'alpha:web': [CLOSED_OUT, open('in')] }),
  ],
  28: [
    'egress to a subnet, of either family',
    world({ 'alpha:web': [CLOSED_OUT, open('out', { address: '10.1.2.20/30' }), open('out', { address: '2001:db8:2::/126' })] }),
  ],
  29: [
    'a subnet but for a part of it',
    world({ 'alpha:web': [CLOSED_OUT, open('out', { address: '10.1.2.0/24' }), closed('out', { address: '10.1.2.32/28', priority: 20 })] }),
  ],
  30: [
    'an exception within the exception',
    world({
      'alpha:web': [
        CLOSED_OUT,
        open('out', { address: '10.1.2.0/24' }),
        closed('out', { address: '10.1.2.16/28', priority: 20 }),
        open('out', { address: '10.1.2.22', priority: 30 }),
      ],
    }),
  ],
  31: ['policies deleted', world({ 'gamma:web': [CLOSED_IN, CLOSED_OUT], 'gamma:db': [CLOSED_IN] }), world({})],
  32: ['egress denied although the server allows', world({ 'alpha:web': [CLOSED_OUT], 'alpha:db': [open('in', { priority: 100 })] })],
  33: ['only UDP allowed: no TCP', world({ 'alpha:web': [CLOSED_IN, open('in', { protocol: 'udp', port: 80 })] })],
  34: ['SCTP is not TCP', world({ 'alpha:web': [CLOSED_IN, open('in', { protocol: '132', port: 80 })] })],
  35: ['a protocol nobody knows is isolated, too', world({ 'alpha:web': [CLOSED_IN, open('in', { protocol: '253', group: 'db' })] })],
  36: ['any port of one protocol', world({ 'alpha:web': [CLOSED_IN, open('in', { protocol: 'tcp' })] })],
  37: ['one port never stands for all', world({ 'alpha:web': [CLOSED_IN, open('in', { protocol: 'udp', port: 82, endPort: 65_535 })] })],
  38: ['UDP: default deny', world({ 'beta:web': [closed('in', { protocol: 'udp' })] })],
  39: ['UDP: egress', world({ 'beta:web': [closed('out', { protocol: 'udp', port: 80 })] })],
  40: ['UDP: a port from a group', world({ 'beta:web': [CLOSED_IN, open('in', { protocol: 'udp', port: 81, group: 'ops' })] })],
  41: [
    'UDP: stacked policies',
    world({ 'beta:web': [[closed('in', { protocol: 'udp' })], [open('in', { protocol: 'udp', port: 80, group: 'db' })]] }),
  ],
  42: [
    'echoes: denied, but for one address and one family',
    world({
      'beta:web': [
        closed('in', { protocol: 'icmp' }),
        open('in', { protocol: 'icmp', address: '10.1.2.22' }),
        open('in', { protocol: '58' }),
      ],
    }),
  ],
  43: ['a tenant that denies by default', world({}, ['gamma'])],
  44: [
    'what such a tenant opens, both ends have to open',
    world({ 'gamma:web': [open('out', { group: 'db' })], 'gamma:db': [open('in', { protocol: 'tcp', port: 80 })] }, ['gamma']),
    world({ 'gamma:web': [open('out', { group: 'db' })], 'gamma:db': [open('in')], 'gamma:ops': [open('in'), open('out')] }, ['gamma']),
  ],
  45: [
    'an admin policy denies what groups allow',
    world({ 'beta:*': [closed('in', { protocol: 'tcp', port: 81 })], 'beta:web': [open('in', { priority: 100 })] }),
  ],
  46: [
    'an admin policy allows what groups and the default deny',
    world({ 'beta:*': [open('in', { protocol: 'icmp', priority: 1 })], 'beta:web': [closed('in', { priority: 100 })] }),
    world({ 'gamma:*': [open('in', { protocol: 'tcp', port: 80 }), open('out', { protocol: 'tcp', port: 80 })] }, ['gamma']),
  ],
  47: [
    'lists of groups, addresses and ports in one rule',
    world({ 'alpha:web': [CLOSED_IN, open('in', { group: 'ops,db', protocol: 'tcp', ports: '80,82-90' })] }),
    world({
      'alpha:web': [CLOSED_IN, open('in', { group: 'db,ops', address: '10.1.2.22,10.1.2.31-32,2001:db8:2::4/126' })],
      'alpha:db': [CLOSED_OUT, open('out', { address: '10.1.2.11,2001:db8:2::/64', ports: '81,82' })],
    }),
  ],
};
