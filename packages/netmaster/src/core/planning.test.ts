/** Whatever is asked in whatever order, what is stored stays consistent. */
import { type EndpointState, ipv4Value, parseIpv4 } from '@contiv/model';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allocAddress, releaseAddress } from './addresses.js';
import { createEndpoint, deleteEndpoint } from './endpoints.js';
import { bootstrap, defaultGlobal } from './global.js';
import { deleteGroup, putGroup } from './groups.js';
import { leftBehind, releaseHoldings } from './hosts.js';
import { deleteNetwork, putNetwork } from './networks.js';
import type { Plan } from './plan.js';
import { type Entry, KINDS } from './records.js';
import { State } from './state.js';

/** Commits a plan as the store would, after checking that it says what it expects of every key it writes. */
class Bench {
  readonly state = new State();
  revision = 1;

  constructor() {
    this.run((state) => bootstrap(state, defaultGlobal));
  }

  /** The reply, or `undefined` when it was refused. */
  run<T>(plan: (state: State) => Plan<T>): T | undefined {
    let made: Plan<T>;
    try {
      made = plan(this.state);
    } catch (error) {
      if (error instanceof Error && error.name === 'Refusal') return undefined;
      throw error;
    }
    for (const [key, expected] of made.expects) expect(this.#present(key)?.modRevision ?? 0).toBe(expected);
    for (const key of made.writes.keys()) expect(made.expects.has(key)).toBe(true);
    if (made.writes.size === 0) return made.reply;
    this.revision++;
    for (const prefix of made.cleared)
      for (const kind of ['address', 'endpoint'] as const)
        for (const key of Array.from(this.state.all(kind), (e) => e.key)) if (key.startsWith(prefix)) this.state.set(key, undefined);
    for (const { key, entry } of made.writes.values()) {
      if (!entry) this.state.set(key, undefined);
      else {
        const createRevision = this.#present(key)?.createRevision ?? this.revision;
        this.state.set(key, { ...entry, createRevision, modRevision: this.revision } as Entry);
      }
    }
    return made.reply;
  }

  #present(key: string): Entry | undefined {
    for (const kind of KINDS) {
      const found = this.state.at(kind, key);
      if (found) return found;
    }
    return undefined;
  }
}

const network = (name: string, subnet: string, pktTag = 0) => ({
  tenantName: 'default',
  networkName: name,
  encap: 'vxlan',
  nwType: 'data',
  subnet,
  gateway: '',
  ipv6Subnet: '2001:db8::/120',
  ipv6Gateway: '',
  cfgdTag: '',
  origin: '',
  dockerName: '',
  foreignIpam: false,
  pktTag,
});
const group = (name: string, ipPool: string) => ({
  tenantName: 'default',
  groupName: name,
  networkName: 'n',
  ipPool,
  policies: [],
  extContractsGrps: [],
  netProfile: '',
  cfgdTag: '',
});

const id = fc.integer({ min: 0, max: 12 }).map(String);
const host = fc.constantFrom('h1', 'h2');
const address = fc.integer({ min: 0, max: 16 }).map((n) => `10.1.1.${n}`);
const command = fc.oneof(
  fc.record({ what: fc.constant('create' as const), id, host, address: fc.option(address), group: fc.constantFrom('', 'g', 'p') }),
  fc.record({ what: fc.constant('delete' as const), id }),
  fc.record({ what: fc.constant('alloc' as const), host, address: fc.option(address), group: fc.constantFrom('', 'g', 'p') }),
  fc.record({ what: fc.constant('release' as const), host, address }),
  fc.record({ what: fc.constant('group' as const), name: fc.constantFrom('g', 'p') }),
  fc.record({ what: fc.constant('ungroup' as const), name: fc.constantFrom('g', 'p') }),
  fc.record({ what: fc.constant('reconcile' as const), host, keep: fc.array(id) }),
);

type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;

function apply(bench: Bench, c: Command): void {
  switch (c.what) {
    case 'create':
      bench.run((s) =>
        createEndpoint(s, {
          TenantName: 'default',
          NetworkName: 'n',
          EndpointID: c.id,
          ServiceName: c.group,
          ConfigEP: { Host: c.host, ...(c.address === null ? {} : { IPAddress: c.address }) },
        }),
      );
      return;
    case 'delete':
      bench.run((s) => deleteEndpoint(s, { EndpointID: c.id }));
      return;
    case 'alloc':
      bench.run((s) =>
        allocAddress(s, {
          NetworkID: c.group === '' ? 'n.default' : `n:${c.group}.default`,
          Host: c.host,
          ...(c.address === null ? {} : { PreferredIPv4Address: c.address }),
        }),
      );
      return;
    case 'release':
      bench.run((s) => releaseAddress(s, { NetworkID: 'n.default', IPv4Address: c.address, Host: c.host }));
      return;
    case 'group':
      bench.run((s) => putGroup(s, group(c.name, c.name === 'p' ? '10.1.1.4-10.1.1.6' : '')));
      return;
    case 'ungroup':
      bench.run((s) => deleteGroup(s, 'default', c.name));
      return;
    case 'reconcile': {
      const keep = { endpointIds: new Set(c.keep), reservations: new Set<string>() };
      const holdings = leftBehind(bench.state, c.host, keep, bench.revision);
      bench.run((s) => releaseHoldings(s, c.host, holdings, bench.revision));
    }
  }
}

describe('endpoints and addresses', () => {
  test('no address twice, none without a holder, every endpoint holds its own', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
        const bench = new Bench();
        bench.run((s) => putNetwork(s, network('n', '10.1.1.0/28')));
        for (const c of commands) {
          apply(bench, c);
          const endpoints = [...bench.state.all('endpoint')].map((e) => e.record);
          const addresses = [...bench.state.all('address')];
          expect(new Set(endpoints.map((e) => e.ip)).size).toBe(endpoints.length);
          for (const e of endpoints)
            for (const ip of [e.ip, e.ip6 ?? ''])
              expect(bench.state.address('default:n', ip)?.record).toEqual({ host: e.host, endpointId: e.endpointId });
          const held = addresses.filter((a) => a.record.endpointId !== undefined);
          expect(held.length).toBe(endpoints.length * 2);
          expect(bench.state.usage('default:n').v4.size + bench.state.usage('default:n').v6.size).toBe(addresses.length);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('the lowest free address is given, whatever came before', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
        const bench = new Bench();
        bench.run((s) => putNetwork(s, network('n', '10.1.1.0/28')));
        for (const c of commands) apply(bench, c);
        const pool = bench.state.group('default:p') ? [4, 5, 6] : [];
        const taken = new Set(bench.state.usage('default:n').v4.keys());
        const lowest = Array.from({ length: 14 }, (_, i) => i + 1).find(
          (n) => !taken.has(ipv4Value(parseIpv4('10.1.1.0') ?? fail()) + n) && !pool.includes(n),
        );
        const made = bench.run<EndpointState>((s) =>
          createEndpoint(s, { TenantName: 'default', NetworkName: 'n', EndpointID: 'new', ConfigEP: { Host: 'h1' } }),
        );
        expect(made?.ip).toBe(lowest === undefined ? undefined : `10.1.1.${lowest}`);
      }),
      { numRuns: 300 },
    );
  });

  test('everything deleted is everything gone', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
        const bench = new Bench();
        bench.run((s) => putNetwork(s, network('n', '10.1.1.0/28')));
        for (const c of commands) apply(bench, c);
        for (let i = 0; i <= 12; i++) bench.run((s) => deleteEndpoint(s, { EndpointID: String(i) }));
        for (const name of ['g', 'p']) bench.run((s) => deleteGroup(s, 'default', name));
        bench.run((s) => deleteNetwork(s, 'default', 'n'));
        expect(['network', 'group', 'address', 'endpoint'].map((k) => bench.state.count(k as 'network'))).toEqual([0, 0, 0, 0]);
        expect(bench.state.tagCount('vxlan')).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});

describe('tags', () => {
  test('are unique and the lowest free ones', () => {
    const step = fc.record({ add: fc.boolean(), n: fc.integer({ min: 0, max: 15 }), tag: fc.constantFrom(0, 0, 0, 3, 5) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const bench = new Bench();
        for (const { add, n, tag } of steps) {
          if (!add) {
            bench.run((s) => deleteNetwork(s, 'default', `n${n}`));
            continue;
          }
          const used = new Set(bench.state.tagsInUse('vxlan'));
          const known = bench.state.network(`default:n${n}`) !== undefined;
          bench.run((s) => putNetwork(s, { ...network(`n${n}`, `10.${n}.0.0/24`, tag), ipv6Subnet: '' }));
          const made = bench.state.network(`default:n${n}`)?.record.tag;
          if (known || made === undefined) continue;
          expect(used.has(made)).toBe(false);
          if (tag === 0) for (let t = 1; t < made; t++) expect(used.has(t)).toBe(true);
          else expect(made).toBe(tag);
        }
        const tags = [...bench.state.all('network')].map((x) => x.record.tag);
        expect(new Set(tags).size).toBe(tags.length);
      }),
      { numRuns: 300 },
    );
  });
});

function fail(): never {
  throw new Error('unreachable');
}
