import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judge, lineExpression, UnknownKind } from './expect.js';

const nothing = new Map<string, string>();

describe('lines', () => {
  test.each([
    ['3 packets transmitted, 3 packets received, 0% packet loss', '3 packets transmitted, 3 packets received, 0% packet loss', true],
    ['3 packets transmitted, 3 packets received, 0% packet loss', '3 packets transmitted, 2 packets received, 33% packet loss', false],
    ['64 bytes from <ip>: seq=<n> ttl=64 time=<ms>', '64 bytes from 10.1.2.1: seq=0 ttl=64 time=1.173 ms', true],
    ['64 bytes from 10.1.2.1: …', '64 bytes from 10.1.2.12: seq=0', false],
    ['<id> contiv-net netplugin global', '72d7371e90b5   contiv-net   netplugin   global', true],
    ['<id> contiv-net netplugin global', '72d7371e90b5   contiv-net/blue   netplugin   global', false],
    ['… └ Status: Healthy', '   └ Status: Healthy', true],
    ['Active: active (running) …', 'Active: active (running)', true],
    ['Active: active (running) …', 'Active: active (running) since Wed', true],
    ['a … z', 'a z', true],
    ['a … z', 'abcz', false],
    ['eth0 Link encap:Ethernet HWaddr <mac>', 'eth0      Link encap:Ethernet  HWaddr 02:42:AC:11:00:02  ', true],
  ])('%s ~ %s: %s', (expected, line, matches) => {
    expect(judge(line, { shows: [expected] }, nothing).missed === undefined).toBe(matches);
  });

  test('a line without placeholders matches itself, whatever its characters', () => {
    const plain = fc.string().filter((text) => !/[<…@]/.test(text) && text.trim() !== '' && !text.includes('\n'));
    fc.assert(fc.property(plain, (text) => judge(`x\n  ${text} \ny`, { shows: [text] }, nothing).missed === undefined));
  });

  test('the order counts where it is asked for', () => {
    const output = 'one\ntwo\nthree';
    expect(judge(output, { shows: ['one', 'three'] }, nothing).missed).toBeUndefined();
    expect(judge(output, { shows: ['three', 'one'] }, nothing).missed).toBe('one');
    expect(judge(output, { rows: ['three', 'one'] }, nothing)).toMatchObject({ met: ['three', 'one'] });
  });

  test('what is kept is used later', () => {
    const first = judge('abe3cae574fb alpine legacy-swarm-worker0/vanilla-c', { shows: ['<id> … <host as NODE>/vanilla-c'] }, nothing);
    expect(first.kept.get('NODE')).toBe('legacy-swarm-worker0');
    expect(judge('legacy-swarm-worker0/bridge', { shows: ['@NODE@/bridge'] }, first.kept).missed).toBeUndefined();
    expect(judge('legacy-swarm-master/bridge', { shows: ['@NODE@/bridge'] }, first.kept).missed).toBe('legacy-swarm-worker0/bridge');
  });

  test('what must not appear is named when it does', () => {
    expect(judge('bad', { never: ['good'] }, nothing)).toMatchObject({ met: ['no line like good'] });
    expect(judge('bad', { never: ['b…'] }, nothing).missed).toBe('no line like b…, but there is bad');
  });

  test('a kind nobody knows is a fault of the tutorial, not of the output', () => {
    expect(() => lineExpression('<colour>')).toThrow(UnknownKind);
  });
});

describe('JSON', () => {
  const output = JSON.stringify([
    { Name: 'n', Subnets: [{ Subnet: '10.1.2.0/24' }], Containers: { x: { Name: 'c1' }, y: { Name: 'c2' } } },
  ]);
  test.each([
    [[{ Name: 'n' }], undefined],
    [[{ Containers: { '*1': { Name: 'c2' }, '*2': { Name: 'c1' } } }], undefined],
    [[{ Containers: { '*1': { Name: 'c1' }, '*2': { Name: 'c1' } } }], '.Name is "c2", not "c1"'],
    [[{ Name: 'm' }], '[0].Name is "n", not "m"'],
    [[{ Subnets: [] }], '[0].Subnets has 1 members, not 0'],
    [{ Name: 'n' }, '.Name is undefined'],
    [[{ Name: { x: 'y' } }], '[0].Name is no object'],
  ])('%j', (expected, fault) => {
    const { missed } = judge(output, { json: expected }, nothing);
    if (fault === undefined) expect(missed).toBeUndefined();
    else expect(missed).toContain(fault);
  });

  test('output that is no JSON differs', () => {
    expect(judge('Error: no such network', { json: [] }, nothing).missed).toBe('the output is no list');
  });
});
