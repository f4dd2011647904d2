/** A trace's verdict, worked out from the stored intent, is the one the data path's own sets of rules give. */
import { emptyMirror, type Mirror } from '@contiv/client';
import { combine, decide, type EndpointState, evaluate, judge, type RuleState, resolve, ruleNumber, type TrialAnswer } from '@contiv/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groupNumber, Policies } from './policy.js';
import { vniOf } from './segment.js';

const GROUPS = ['web', 'db', 'ops'] as const;
const POLICIES = ['p0', 'p1', 'admin'] as const;

const endpoint = (n: number, more: Partial<EndpointState> = {}): EndpointState => ({
  key: `net1.blue-${n}`,
  tenant: 'blue',
  network: 'net1',
  endpointId: `${n}`.repeat(64).slice(0, 64),
  host: n % 2 === 0 ? 'node2' : 'node1',
  ip: `10.1.2.${n}`,
  mac: `02:02:0a:01:02:0${n}`,
  containerName: `c${n}`,
  ...more,
});

function mirrorWith(
  endpoints: readonly EndpointState[],
  rules: readonly RuleState[] = [],
  denies = false,
  fwdMode: 'bridge' | 'routing' = 'bridge',
): Mirror {
  const mirror = emptyMirror();
  mirror.global = { fwdMode, arpMode: 'proxy', pvtSubnet: '172.19.0.0/16' };
  for (const [i, name] of ['node1', 'node2'].entries()) {
    const vtepIp = `192.168.2.5${i}`;
    mirror.hosts.set(name, { name, vtepIp, control: `${vtepIp}:9090`, vxlanPort: 8472, mtu: 1500 - 100 * i, version: '2', alive: true });
  }
  const net = { tenant: 'blue', nwType: 'data', encap: 'vxlan' } as const;
  mirror.networks.set('blue:net1', {
    ...net,
    key: 'blue:net1',
    network: 'net1',
    tag: 1,
    subnet: { address: '10.1.2.0', length: 24 },
    gateway: '10.1.2.254',
  });
  mirror.networks.set('blue:net2', { ...net, key: 'blue:net2', network: 'net2', tag: 2, subnet: { address: '10.1.3.0', length: 24 } });
  for (const name of ['blue', 'red']) mirror.tenants.set(name, { name, denies });
  for (const [i, group] of GROUPS.entries()) {
    const policies = i === 2 ? [] : POLICIES.slice(0, i + 1);
    mirror.groups.set(`blue:${group}`, { key: `blue:${group}`, tenant: 'blue', group, network: 'net1', id: i + 1, policies });
  }
  for (const policy of POLICIES)
    mirror.policies.set(`blue:${policy}`, { key: `blue:${policy}`, tenant: 'blue', policy, admin: policy === 'admin' });
  for (const rule of rules) mirror.rules.set(rule.key, rule);
  for (const e of endpoints) mirror.endpoints.set(e.key, e);
  return mirror;
}

const rule = fc
  .record({
    policy: fc.constantFrom(...POLICIES),
    way: fc.constantFrom('in', 'out'),
    priority: fc.integer({ min: 1, max: 3 }),
    deny: fc.boolean(),
    group: fc.option(fc.constantFrom(...GROUPS, 'ops,web', 'db,gone'), { nil: undefined }),
    address: fc.option(fc.constantFrom('10.1.2.0/30', '10.1.2.1', '10.1.2.2-3', '10.1.2.1,10.1.2.3,fd00::1'), { nil: undefined }),
    own: fc.option(fc.constantFrom('10.1.2.2', '10.1.2.0/25'), { nil: undefined }),
    protocol: fc.option(fc.constantFrom('tcp', 'udp', 'icmp'), { nil: undefined }),
    port: fc.option(fc.constantFrom({ port: 80 }, { port: 443 }, { port: 53, ports: '53,80-90' }), { nil: {} }),
  })
  .map(({ protocol, port, ...rest }) => ({ ...rest, protocol, ...(protocol === 'icmp' ? {} : port) }));
const rules = fc
  .array(rule, { maxLength: 8 })
  .map((list) => list.map((r, i): RuleState => ({ ...r, way: r.way as 'in' | 'out', key: `blue:${r.policy}:${i}`, tenant: 'blue' })));
const groupOrNone = fc.option(fc.constantFrom(...GROUPS, 'gone'), { nil: undefined });

describe('a trace', () => {
  it('decides as the rules do, and names the rule', () => {
    fc.assert(
      fc.property(
        rules,
        groupOrNone,
        groupOrNone,
        fc.boolean(),
        fc.constantFrom([6, 80], [6, 443], [17, 53], [1, 0]),
        (list, g1, g2, denies, [protocol = 0, port = 0]) => {
          const from = endpoint(1, g1 === undefined ? {} : { group: g1 });
          const to = endpoint(2, g2 === undefined ? {} : { group: g2 });
          const mirror = mirrorWith([from, to], list, denies);
          const verdicts = judge(mirror, { from, fromIp: from.ip, to, toIp: to.ip, protocol, port });
          const { subjects } = new Policies().of(mirror, new Set(['blue']));
          const network = mirror.networks.get('blue:net1');
          const vni = network ? vniOf(network) : 0;
          const number = (e: EndpointState) => groupNumber(mirror.groups, e.tenant, e.group, vni);
          const value = (n: number) => ({ family: 4, value: BigInt(0x0a010200 + n) }) as const;
          const ask = (own: EndpointState, peer: EndpointState, way: 'in' | 'out') => {
            const set = subjects.get(number(own));
            if (!set) return { deny: true, rule: 0 };
            const [mine, theirs] = way === 'out' ? [1, 2] : [2, 1];
            return decide(set, { way, group: number(peer), own: value(mine), peer: value(theirs), protocol, port });
          };
          const out = ask(from, to, 'out');
          const expected = out.deny ? [out] : [out, ask(to, from, 'in')];
          expect(verdicts.map((v) => ({ deny: v.deny, rule: v.rule ? ruleNumber(v.rule.key) : 0 }))).toEqual(expected);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  const packet = (more: object) =>
    ({
      runs: [
        { what: 'question', to: 'sender' },
        { what: 'packet', ...more },
      ],
      differs: [],
    }) as TrialAnswer;
  const question = (from: EndpointState, to: EndpointState | undefined, toIp: string) => ({
    from,
    fromIp: from.ip,
    to,
    toIp,
    protocol: 6,
    port: 80,
  });
  const stagesOf = (intent: ReturnType<typeof evaluate>) => intent.stages.map(({ stage, ok }) => `${stage}${ok ? '' : '!'}`).join(' ');

  it('stops where the intent stops it', () => {
    const [a, b] = [endpoint(1), endpoint(2)];
    const red = endpoint(4, { tenant: 'red' });
    const far = endpoint(3, { network: 'net2', ip: '10.1.3.3', key: 'net2.blue-3' });
    const bridge = mirrorWith([a, b, red, far]);
    expect(stagesOf(evaluate(bridge, question(a, b, b.ip)))).toBe('source address route policy tunnel mtu entry answer');
    expect(evaluate(bridge, question(a, b, b.ip)).stages.find(({ stage }) => stage === 'mtu')?.warning).toMatch('more than 1350 bytes');
    expect(stagesOf(evaluate(bridge, question(a, undefined, '10.1.2.77')))).toBe('source address!');
    expect(stagesOf(evaluate(bridge, question(a, red, red.ip)))).toBe('source address route!');
    expect(stagesOf(evaluate(bridge, question(a, far, far.ip)))).toBe('source address route!');
    expect(stagesOf(evaluate(bridge, question(far, a, a.ip)))).toBe('source address route!');
    expect(stagesOf(evaluate(bridge, question(a, undefined, '192.0.2.1')))).toBe('source address route policy');
    expect(stagesOf(evaluate(mirrorWith([a, far], [], false, 'routing'), question(a, far, far.ip)))).toBe(
      'source address route policy entry answer',
    );
    expect(stagesOf(evaluate(mirrorWith([a, b], [], true), question(a, b, b.ip)))).toBe('source address route policy!');
  });

  it('of a container to itself leaves it for no table and no rule', () => {
    const [a, other] = [endpoint(1), endpoint(2)].map((e) => ({ ...e, containerId: 'one' }));
    if (!a || !other) throw new Error('no endpoints');
    const denying = mirrorWith([a, other], [], true);
    for (const to of [a, other]) {
      const intent = evaluate(denying, question(a, to, to.ip));
      expect(stagesOf(intent)).toBe('source address route');
      expect(combine(intent, { caller: undefined, called: undefined })).toMatchObject({ reachable: true, unasked: [] });
    }
    expect(stagesOf(evaluate(denying, question(a, endpoint(3), endpoint(3).ip)))).toBe('source address route policy!');
  });

  it('works out the rules of a group once, however many of its containers are traced to', () => {
    const others = Array.from({ length: 8 }, (_, n) => endpoint(n + 2, { group: 'db' }));
    const list = [{ key: 'blue:p1:1', tenant: 'blue', policy: 'p1', way: 'in', priority: 1, deny: true } as const];
    const mirror = mirrorWith([endpoint(1), ...others], list);
    let reads = 0;
    mirror.rules.values = () => {
      reads++;
      return new Map(mirror.rules).values();
    };
    for (const to of others) expect(stagesOf(evaluate(mirror, question(endpoint(1), to, to.ip)))).toBe('source address route policy!');
    // Those of the caller's, and those of the called ones.
    expect(reads).toBe(2);
  });

  it('says where the tables make something else of it, and how to mend that', () => {
    const [a, b] = [endpoint(1), endpoint(2)];
    const intent = evaluate(mirrorWith([a, b]), question(a, b, b.ip));
    const caller = (answer: TrialAnswer) => ({ caller: { host: 'node1', answer }, called: undefined });
    const good = combine(intent, caller(packet({ to: 'tunnel', vni: 1, vtep: '192.168.2.51' })));
    expect(good).toMatchObject({ reachable: true, differences: [] });
    const lost = combine(
      intent,
      caller({ runs: [{ what: 'question', to: 'nowhere', reason: 'unknown-target' }], differs: ['endpoint 10.1.2.2 in VNI 1 is missing'] }),
    );
    expect(lost.stages.at(-1)).toMatchObject({ stage: 'address', ok: false, intent: true, live: false, host: 'node1' });
    expect(lost.differences).toEqual([
      { host: 'node1', entries: ['endpoint 10.1.2.2 in VNI 1 is missing'], command: 'netctl host repair node1' },
    ]);
    const astray = combine(intent, caller(packet({ to: 'tunnel', vni: 1, vtep: '192.168.2.99' })));
    expect(astray.stages.at(-1)).toMatchObject({
      stage: 'route',
      ok: false,
      liveSays: 'the tables of node1 send it through the tunnel to 192.168.2.99',
    });
    // What is denied by the intent and passes all the same is a difference as well.
    const denied = evaluate(mirrorWith([a, b], [], true), question(a, b, b.ip));
    const open = combine(denied, caller(packet({ to: 'tunnel', vni: 1, vtep: '192.168.2.51' })));
    expect(open).toMatchObject({ reachable: false, differences: [{ host: 'node1', command: 'netctl host repair node1' }] });
  });

  it('finds whom a name means, and lists the candidates where it means several', () => {
    const twin = endpoint(1, { tenant: 'red', key: 'net1.red-1', endpointId: 'f'.repeat(64), containerName: 'c1' });
    const web = [endpoint(1, { group: 'web' }), endpoint(2, { group: 'web' })];
    const mirror = mirrorWith([...web, endpoint(3), twin]);
    expect(() => resolve(mirror, '10.1.2.1', 'c2')).toThrow(
      /may be any of 2: c1 10.1.2.1 in blue\/net1 on node1; c1 10.1.2.1 in red\/net1 on node1; give --tenant/,
    );
    expect(resolve(mirror, '10.1.2.1', 'c2', { tenant: 'blue' }).pairs).toMatchObject([
      { from: { tenant: 'blue' }, to: { ip: '10.1.2.2' } },
    ]);
    expect(resolve(mirror, 'c3', 'web').pairs.map(({ to }) => to.ip)).toEqual(['10.1.2.1', '10.1.2.2']);
    expect(resolve(mirror, 'fff', 'c3').pairs[0]?.to.endpoint?.tenant).toBe('blue');
    const labelled = mirrorWith([endpoint(3), endpoint(5, { labels: { app: 'db' } })]);
    const services = [{ tenant: 'blue', service: 'store', selectors: ['app=db'] }];
    expect(resolve(labelled, 'c3', 'store', {}, services).pairs.map(({ to }) => to.ip)).toEqual(['10.1.2.5']);
    expect(() => resolve(mirror, 'nobody', 'c1')).toThrow('no container nobody is known');
    const six = mirrorWith([endpoint(3, { ip6: 'fd00::3' }), endpoint(4, { ip6: 'fd00::a' })]);
    expect(resolve(six, 'FD00:0::3', 'fd00:0:0::000A').pairs).toMatchObject([
      { from: { containerName: 'c3' }, to: { ip: 'fd00::a', endpoint: { containerName: 'c4' } } },
    ]);
    expect(resolve(six, 'c3', 'FD00::B').pairs).toMatchObject([{ to: { ip: 'fd00::b', endpoint: undefined } }]);
  });
});
