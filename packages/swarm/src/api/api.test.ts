import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { demandOf, normaliseCreate, placeNetworks, unprefixReferences } from '../cluster/create.js';
import { meansImage } from '../cluster/reference.js';
import { integerText, parseJson, printJson } from '../json.js';
import { eventMatches } from './event-hub.js';
import { ListFilters } from './filters.js';
import { bytes } from './info.js';
import { duration } from './ps.js';
import { parseTime } from './system.js';

describe('JSON', () => {
  test('keeps 64-bit integers, key order and everything else', () => {
    const text = '{"b":1,"timeNano":1795477453914388395,"a":"1795477453914388395","f":1.5,"n":-9223372036854775808}';
    expect(printJson(parseJson(text))).toBe(text);
    expect(integerText(Object.values(parseJson(text) ?? {})[1])).toBe('1795477453914388395');
  });
  test('no text of a client is taken for an integer', () => {
    const forged = {
      a: '\u0000int:9999999999999999999',
      b: printJson(parseJson('99999999999999999999')),
      c: String(parseJson('99999999999999999999')),
    };
    expect(JSON.parse(printJson(forged))).toEqual(forged);
    const long = parseJson('{"n":99999999999999999999}');
    expect(Object.values(long ?? {}).map(String)).toEqual(['99999999999999999999']);
  });
  test('is JSON.parse for everything JavaScript can hold', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        expect(printJson(parseJson(JSON.stringify(value)))).toBe(JSON.stringify(value));
      }),
    );
  });
});

test.each([
  [0, '0 B'],
  [20_971_520, '20 MiB'],
  [26_541_000_000, '24.72 GiB'],
  [1023, '1023 B'],
])('bytes %d', (value, text) => expect(bytes(value)).toBe(text));

test.each([
  [0, 'Less than a second'],
  [1000, '1 second'],
  [59_000, '59 seconds'],
  [61_000, 'About a minute'],
  [3_540_000, '59 minutes'],
  [3_700_000, 'About an hour'],
  [47 * 3_600_000, '47 hours'],
  [49 * 3_600_000, '2 days'],
  [15 * 86_400_000, '2 weeks'],
  [100 * 86_400_000, '3 months'],
  [800 * 86_400_000, '2 years'],
])('duration %d', (ms, text) => expect(duration(ms)).toBe(text));

test('times', () => {
  expect(parseTime('1795477453.000000005')).toBe(1_795_477_453_000_000_005n);
  expect(() => parseTime('x')).toThrow('strconv.ParseInt: parsing "x": invalid syntax');
});

describe('filters', () => {
  test('both forms, and what is none', () => {
    expect(ListFilters.parse('{"name":{"a":true}}').get('name')).toEqual(['a']);
    expect(ListFilters.parse('{"name":["a","b"]}').get('name')).toEqual(['a', 'b']);
    for (const bad of ['{', '[]', '{"a":1}']) expect(() => ListFilters.parse(bad)).toThrow('invalid filter');
  });
  test('never throw for any text as a pattern', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string(),
        (value, source) => typeof new ListFilters(new Map([['name', [value]]])).match('name', source) === 'boolean',
      ),
    );
  });
  test('events', () => {
    const event = {
      Type: 'container',
      Action: 'health_status: healthy',
      Actor: { ID: 'abcdef', Attributes: { name: 'c1', image: 'busybox:1', k: 'v', 'node.name': 'n1' } },
    };
    const matches = (filters: object) => eventMatches(ListFilters.parse(JSON.stringify(filters)), event);
    for (const yes of [
      {},
      { event: ['health_status'] },
      { container: ['c1'] },
      { container: ['abc'] },
      { image: ['busybox'] },
      { label: ['k=v'] },
      { node: ['n1'] },
    ])
      expect(matches(yes)).toBe(true);
    for (const no of [
      { event: ['health'] },
      { container: ['c2'] },
      { image: ['other'] },
      { label: ['k=w'] },
      { node: ['n2'] },
      { type: ['network'] },
    ])
      expect(matches(no)).toBe(false);
  });
});

describe('creation', () => {
  test('unknown fields stay, requirements move, demand is read', () => {
    const body = normaliseCreate({
      Image: 'x',
      Env: ['A=1', 'constraint:node==n'],
      HostConfig: { New: 1, Memory: 5, NanoCpus: 5e8, IpcMode: 'container:i' },
      NewField: [1],
    });
    expect(body).toMatchObject({ Env: ['A=1'], NewField: [1], HostConfig: { New: 1 } });
    expect(demandOf(body, 'c')).toMatchObject({
      memory: 5,
      cpus: 0.5,
      constraints: ['node==n'],
      dependencies: [{ flag: '--ipc', container: 'i' }],
    });
  });
  test('local networks bind to their node, shared ones do not', () => {
    const names = {
      resolve: (name: string) =>
        name === 'n1/loc'
          ? { name: 'loc', node: 'n1' }
          : name === 'contiv-net/blue'
            ? { name }
            : name === 'm'
              ? { name: 'm', node: 'n2' }
              : undefined,
    };
    const on = (mode: string, ...more: string[]) =>
      placeNetworks(
        {
          HostConfig: { NetworkMode: mode },
          NetworkingConfig: { EndpointsConfig: Object.fromEntries([mode, ...more].map((key) => [key, {}])) },
        },
        names,
      );
    expect(on('contiv-net/blue')).toMatchObject({
      HostConfig: { NetworkMode: 'contiv-net/blue' },
      NetworkingConfig: { EndpointsConfig: { 'contiv-net/blue': {} } },
    });
    expect(on('contiv-net/blue')).not.toHaveProperty('Labels');
    expect(on('n1/loc')).toMatchObject({
      Labels: { 'com.docker.swarm.constraints': '["node==n1"]' },
      NetworkingConfig: { EndpointsConfig: { loc: {} } },
    });
    expect(() => on('n1/loc', 'm')).toThrow('networks on different nodes (n1, n2) cannot be joined by one container');
  });
  test('node prefixes come off references', () => {
    const body = unprefixReferences(
      { HostConfig: { Links: ['node-0/web:w', '/other:o'], NetworkMode: 'container:node-0/web' } },
      (name) => name === 'node-0',
    );
    expect(body.HostConfig).toMatchObject({ Links: ['web:w', '/other:o'], NetworkMode: 'container:web' });
  });
});

test.each([
  ['busybox', true],
  ['docker.io/library/busybox:latest', true],
  ['bus', false],
  ['abc', true],
  ['sha256:abcdef', true],
  ['ab', false],
  ['busybox:2', false],
])('image %s', (name, expected) =>
  expect(meansImage(name, { Id: `sha256:abcdef${'0'.repeat(58)}`, RepoTags: ['busybox:latest'], RepoDigests: [] })).toBe(expected),
);
