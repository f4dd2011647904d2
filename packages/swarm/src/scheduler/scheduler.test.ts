import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ExpressionError, holds, parseExpression } from './expression.js';
import { FILTERS, UnsatisfiedError } from './filters.js';
import { moveRequirements, reschedulePolicyError } from './labels.js';
import { selectNodes } from './select.js';
import { usedCpus, usedMemory } from './strategy.js';
import { type ContainerView, type Demand, EMPTY_DEMAND, type NodeView } from './types.js';

const container = (part: Partial<ContainerView> = {}): ContainerView => ({
  id: 'f'.repeat(64),
  names: ['/c'],
  image: 'busybox',
  labels: {},
  networkMode: 'default',
  exposedPorts: [],
  portBindings: [],
  memory: 0,
  cpus: 0,
  ...part,
});
const node = (name: string, part: Partial<NodeView> = {}): NodeView => ({
  id: `id-${name}`,
  name,
  addr: `${name}:2375`,
  labels: {},
  containers: [],
  images: [],
  totalMemory: 1000,
  totalCpus: 4,
  health: 100,
  drained: false,
  ...part,
});
const demand = (part: Partial<Demand> = {}): Demand => ({ ...EMPTY_DEMAND, ...part });
const names = (nodes: readonly NodeView[]) => nodes.map((one) => one.name);
const spread = (d: Demand, nodes: readonly NodeView[]) => names(selectNodes(FILTERS, 'spread', d, nodes));
const refusal = (d: Demand, nodes: readonly NodeView[]): string => {
  try {
    spread(d, nodes);
    return '';
  } catch (error) {
    return error instanceof UnsatisfiedError ? error.message : String(error);
  }
};

describe('expressions', () => {
  test.each([
    ['node==node-1', { key: 'node', operator: '==', value: 'node-1', soft: false }],
    ['storage!=~ssd', { key: 'storage', operator: '!=', value: 'ssd', soft: true }],
    ['image==localhost:5000/test', { key: 'image', operator: '==', value: 'localhost:5000/test', soft: false }],
  ])('%s', (text, expected) => expect(parseExpression(text)).toEqual(expected));

  test.each([
    ['node', 'One of operator ==, != is expected'],
    ['a==b', "Key 'a' is invalid"],
    ['node==@bad', "Value '@bad' is invalid"],
    ['node==', "Value '' is invalid"],
  ])('%s is refused', (text, message) => expect(() => parseExpression(text)).toThrow(new ExpressionError(message)));

  test.each([
    ['node==node-*', 'node-12', true],
    ['node==node-1', 'node-12', false],
    ['node==/node-[01]/', 'my-node-1', true],
    ['node==/(?i)NODE-1/', 'node-1', true],
    ['node==a.c', 'abc', true],
    ['node!=(', 'anything', true],
    ['node==/(a)\\1/', 'aa', false],
  ])('%s against %s', (text, candidate, expected) => expect(holds(parseExpression(text), [candidate])).toBe(expected));

  test('!= is the opposite of == for every value', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9*.|-]{1,12}$/), fc.array(fc.string({ maxLength: 10 })), (value, candidates) => {
        expect(holds(parseExpression(`kk==${value}`), candidates)).toBe(!holds(parseExpression(`kk!=${value}`), candidates));
      }),
    );
  });

  test('a pattern made to run long does not', () => {
    const begun = performance.now();
    expect(holds(parseExpression('node==/(a+)+$/'), [`${'a'.repeat(60)}b`])).toBe(false);
    expect(performance.now() - begun).toBeLessThan(5_000);
  });
});

describe('requirements', () => {
  test('environment entries become labels, after those already there', () => {
    const labels = { 'com.docker.swarm.constraints': '["storage==ssd"]' };
    const moved = moveRequirements(['A=b', 'constraint:node==n', 'affinity:container==c', 'constraints:x==y'], labels);
    expect(moved.env).toEqual(['A=b', 'constraints:x==y']);
    expect(moved.labels).toEqual({
      'com.docker.swarm.constraints': '["storage==ssd","node==n"]',
      'com.docker.swarm.affinities': '["container==c"]',
    });
  });
  test('policies', () => {
    const policy = (...list: string[]) => reschedulePolicyError({ 'com.docker.swarm.reschedule-policies': JSON.stringify(list) });
    expect(policy('on-node-failure')).toBeUndefined();
    expect(policy('false')).toBe('invalid reschedule policy: false');
    expect(policy('off', 'off')).toBe('too many reschedule policies');
  });
});

describe('filters', () => {
  const two = [
    node('node-0', { labels: { storage: 'ssd' }, containers: [container({ names: ['/b1'], labels: { test: 'x' } })] }),
    node('node-1'),
  ];

  test('the report names what was asked, up to the filter that failed', () => {
    const wanted = demand({
      portBindings: [{ protocol: 'tcp', hostIp: '', hostPort: '80' }],
      affinities: ['image==~foo'],
      constraints: ['node==node-9'],
    });
    expect(refusal(wanted, two)).toBe(
      'Unable to find a node that satisfies the following conditions \n[port 80 (Bridge mode)]\n[available container slots]\n[image==foo (soft=true)]\n[node==node-9]',
    );
    expect(refusal(demand({ constraints: ['a==b'] }), two)).toBe(
      "Unable to find a node that satisfies the following conditions \n[available container slots]\nerror from constraint filter: Key 'a' is invalid",
    );
    expect(refusal(demand(), [node('n', { health: 0 })])).toBe('No healthy node available in the cluster');
  });
  test('constraint, affinity, dependency, whitelist, slots', () => {
    expect(spread(demand({ constraints: ['storage==ssd'] }), two)).toEqual(['node-0']);
    expect(spread(demand({ constraints: ['node!=node-0'] }), two)).toEqual(['node-1']);
    expect(spread(demand({ affinities: ['test==x'] }), two)).toEqual(['node-0']);
    expect(spread(demand({ affinities: ['container!=b1'] }), two)).toEqual(['node-1']);
    expect(spread(demand({ dependencies: [{ flag: '--link', text: '/b1:foo', container: '/b1' }] }), two)).toEqual(['node-0']);
    expect(spread(demand({ whitelists: ['node==node-1|node-2'] }), two)).toEqual(['node-1']);
    expect(
      spread(demand(), [
        node('full', { labels: { containerslots: '1' }, containers: [container()] }),
        node('odd', { labels: { containerslots: 'foo' } }),
      ]),
    ).toEqual(['odd']);
  });
  test('ports: any address clashes with one, different addresses do not', () => {
    const busy = node('busy', { containers: [container({ portBindings: [{ protocol: 'tcp', hostIp: '10.0.0.1', hostPort: '80' }] })] });
    const on = (hostIp: string) => demand({ portBindings: [{ protocol: 'tcp', hostIp, hostPort: '80' }] });
    expect(refusal(on(''), [busy])).toContain('[port 80 (Bridge mode)]');
    expect(spread(on('10.0.0.2'), [busy])).toEqual(['busy']);
    const host = node('host', { containers: [container({ networkMode: 'host', exposedPorts: ['80/tcp'] })] });
    expect(refusal(demand({ networkMode: 'host', exposedPorts: ['80/tcp'] }), [host])).toContain('[port 80/tcp (Host mode)]');
  });
  test('one soft expression that cannot be met sets all soft ones aside', () => {
    const wanted = demand({ constraints: ['node==~node-9'], affinities: ['test==~x'] });
    expect(new Set(spread(wanted, two))).toEqual(new Set(['node-0', 'node-1']));
  });
  test('a drained node takes nothing', () => expect(spread(demand(), [node('a', { drained: true }), node('b')])).toEqual(['b']));
});

describe('strategies', () => {
  const view = fc.record({ memory: fc.nat(400), cpus: fc.nat(2) });
  const cluster = fc.array(fc.record({ containers: fc.array(view, { maxLength: 6 }), health: fc.integer({ min: 1, max: 100 }) }), {
    minLength: 1,
    maxLength: 8,
  });
  const nodesOf = (list: readonly { containers: readonly { memory: number; cpus: number }[]; health: number }[]) =>
    list.map((one, i) => node(`n${i}`, { health: one.health, containers: one.containers.map((part) => container(part)) }));

  test('never over-commits, whatever the strategy that counts', () => {
    fc.assert(
      fc.property(
        cluster,
        fc.nat(1200),
        fc.nat(5),
        fc.constantFrom('spread' as const, 'binpack' as const),
        (list, memory, cpus, strategy) => {
          const nodes = nodesOf(list);
          const fits = (one: NodeView) => (memory === 0 || usedMemory(one) + memory <= 1000) && (cpus === 0 || usedCpus(one) + cpus <= 4);
          let chosen: readonly NodeView[] = [];
          try {
            chosen = selectNodes(FILTERS, strategy, demand({ memory, cpus }), nodes);
          } catch (error) {
            expect(error).toBeInstanceOf(UnsatisfiedError);
          }
          expect(new Set(chosen)).toEqual(new Set(nodes.filter(fits)));
        },
      ),
    );
  });
  test('placing one after the other keeps within every node', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ memory: fc.integer({ min: 1, max: 600 }) }), { maxLength: 30 }), (wishes) => {
        const held = new Map([
          ['a', 0],
          ['b', 0],
          ['c', 0],
        ]);
        for (const { memory } of wishes) {
          const nodes = [...held].map(([name, used]) => node(name, { containers: used === 0 ? [] : [container({ memory: used })] }));
          try {
            const [best] = selectNodes(FILTERS, 'binpack', demand({ memory }), nodes);
            if (best !== undefined) held.set(best.name, (held.get(best.name) ?? 0) + memory);
          } catch {
            expect(Math.min(...held.values()) + memory).toBeGreaterThan(1000);
          }
        }
        for (const used of held.values()) expect(used).toBeLessThanOrEqual(1000);
      }),
    );
  });
  test('spread takes the emptiest, binpack the fullest', () => {
    const nodes = [node('two', { containers: [container(), container()] }), node('none'), node('one', { containers: [container()] })];
    expect(spread(demand(), nodes)).toEqual(['none', 'one', 'two']);
    expect(names(selectNodes(FILTERS, 'binpack', demand(), nodes))).toEqual(['two', 'one', 'none']);
  });
  test('random is a permutation and checks no resources', () => {
    const nodes = [node('a'), node('b'), node('c')];
    expect(names(selectNodes(FILTERS, 'random', demand({ memory: 5000 }), nodes)).toSorted()).toEqual(['a', 'b', 'c']);
  });
});
