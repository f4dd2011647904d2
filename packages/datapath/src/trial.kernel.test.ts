/** Trials on the data paths of two hosts: what they say, and that nothing of them stays. */
import type { Mac } from '@contiv/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Arrival } from './contract.js';
import { arp, BROADCAST, ETHERTYPE, echo, ethernet, ipv4, PROTOCOL, TCP, tcp } from './frames.js';
import { endpointKey, vtepBytes } from './maps/layout.js';
import { BLUE, Pair, RED, VTEPS } from './testing/pair.js';

const INSTANCE = 'dptry';
let pair: Pair;
beforeAll(async () => {
  pair = await Pair.make(INSTANCE, [
    [RED, 1, 'one'],
    [RED, 2, 'one'],
    [RED, 3, 'two'],
    [BLUE, 1, 'two'],
  ]);
  // Neighbour and router discovery would be taken for what a trial leaves behind.
  const quiet = 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6';
  await Promise.all([pair.hosts.one, pair.hosts.two, ...pair.placed.map(({ container }) => container)].map((ns) => ns.sh(quiet)));
});
afterAll(() => pair.destroy());

const hex = (bytes: Uint8Array): string => [...bytes].map((b) => b.toString(16).padStart(2, '0')).join(' ');
const portOf = (last: number) => pair.at(RED, last).port;
const from = (last: number): Arrival => ({ by: 'container', port: portOf(last).name });
const syn = (a: number, b: number): Buffer => {
  const [src, dst] = [portOf(a), portOf(b)];
  const payload = ipv4({ src: src.ip, dst: dst.ip, protocol: PROTOCOL.tcp }, tcp(40_000, 443, TCP.syn));
  return ethernet({ src: src.mac, dst: dst.mac }, ETHERTYPE.ipv4, payload);
};
const question = (a: number, b: number): Buffer => {
  const [src, dst] = [portOf(a), portOf(b)];
  const asked = { operation: 1, senderMac: src.mac, senderIp: src.ip, targetMac: '00:00:00:00:00:00' as Mac, targetIp: dst.ip };
  return ethernet({ src: src.mac, dst: BROADCAST }, ETHERTYPE.arp, arp(asked));
};
/** Everything that traffic leaves behind on a host. */
const TABLES = ['connections4', 'connections6', 'fragments', 'stations', 'counters', 'drops', 'port_drops'];
const remains = (side: 'one' | 'two'): Promise<string> => {
  const dump = `bpftool -j map dump pinned /sys/fs/bpf/contiv/${INSTANCE}/maps`;
  return pair.hosts[side].inside(`for t in ${TABLES.join(' ')}; do ${dump}/$t | md5sum; done; grep -v lo: /proc/net/dev`);
};
const withoutTrace = async (work: () => Promise<void>): Promise<void> => {
  const before = await Promise.all([remains('one'), remains('two')]);
  await work();
  expect(await Promise.all([remains('one'), remains('two')])).toEqual(before);
};

describe('a trial', () => {
  it('knows nothing of the one before', async () => {
    const [first] = await pair.workers.one.call('try', [[from(1), syn(1, 2)]]);
    expect(first?.decided).toEqual({ rule: 0, denied: false });
    const [second] = await pair.workers.one.call('try', [[from(1), question(1, 2)]]);
    expect(second).toMatchObject({ fate: { to: 'sender' } });
    expect(second?.decided).toBeUndefined();
  });

  it('says where a packet goes, across both hosts and back, and leaves nothing behind', async () => {
    await withoutTrace(async () => {
      const [asked, sent] = await pair.workers.one.call('try', [
        [from(1), question(1, 3)],
        [from(1), syn(1, 3)],
      ]);
      expect(asked?.fate).toEqual({ to: 'sender' });
      expect(Buffer.from(asked?.frame ?? []).subarray(6, 12)).toEqual(Buffer.from(portOf(3).mac.replaceAll(':', ''), 'hex'));
      expect(sent).toMatchObject({ fate: { to: 'tunnel', vni: RED, vtep: VTEPS[4].two }, decided: { rule: 0, denied: false } });
      const arrival: Arrival = { by: 'tunnel', vni: RED, vtep: VTEPS[4].one };
      const [got, back] = await pair.workers.two.call('try', [
        [arrival, Buffer.from(sent?.frame ?? [])],
        [from(3), syn(3, 1)],
      ]);
      expect(got?.fate).toEqual({ to: 'container', port: portOf(3).name });
      expect(back?.fate).toEqual({ to: 'tunnel', vni: RED, vtep: VTEPS[4].one });
      const [near] = await pair.workers.one.call('try', [[from(1), syn(1, 2)]]);
      expect(near?.fate).toEqual({ to: 'container', port: portOf(2).name });
    });
  });

  it('says where packets of containers with a bandwidth go, and lets none of them wait', async () => {
    const give = async (bytesPerSecond: number) => {
      for (const side of ['one', 'two'] as const) {
        const desired = pair.desired(side);
        const limits = bytesPerSecond === 0 ? {} : { group: 7, limit: { bytesPerSecond, burstBytes: 0 } };
        const ports = desired.ports.map((port) => (port.vni === RED ? { ...port, ...limits } : port));
        expect(await pair.workers[side].call('apply', { ...desired, ports })).toMatchObject({ failed: [] });
      }
    };
    await give(1_000_000);
    await withoutTrace(async () => {
      const [near, far] = await pair.workers.one.call('try', [
        [from(1), syn(1, 2)],
        [from(1), syn(1, 3)],
      ]);
      expect(near?.fate).toEqual({ to: 'container', port: portOf(2).name });
      expect(far?.fate).toEqual({ to: 'tunnel', vni: RED, vtep: VTEPS[4].two });
      const [got] = await pair.workers.two.call('try', [[{ by: 'tunnel', vni: RED, vtep: VTEPS[4].one }, Buffer.from(far?.frame ?? [])]]);
      expect(got?.fate).toEqual({ to: 'container', port: portOf(3).name });
    });
    await give(0);
  });

  it('says why a packet is dropped', async () => {
    const forged = syn(2, 3);
    const stranger: Arrival = { by: 'tunnel', vni: RED, vtep: '10.77.0.99' as (typeof VTEPS)[4]['one'] };
    const outcomes = await pair.workers.one.call('try', [
      [from(1), forged],
      [stranger, syn(3, 1)],
      [{ by: 'tunnel', vni: BLUE, vtep: VTEPS[4].two }, syn(3, 1)],
    ]);
    expect(outcomes.map(({ reason }) => reason)).toEqual(['spoofed-mac', 'unknown-vtep', 'not-local']);
  });

  it('refuses a port that is not there', async () => {
    await expect(pair.workers.one.call('try', [[{ by: 'container', port: 'cvnone' }, syn(1, 2)]])).rejects.toThrow(
      'interface cvnone is gone; restart its container',
    );
  });

  it('sends no copies of a broadcast where the network floods', async () => {
    pair.arpMode = 'flood';
    await pair.applyAll();
    const echoAll = ethernet(
      { src: portOf(1).mac, dst: BROADCAST },
      ETHERTYPE.ipv4,
      ipv4({ src: portOf(1).ip, dst: portOf(3).ip, protocol: PROTOCOL.icmp }, echo(8, 1)),
    );
    await withoutTrace(async () => {
      const outcomes = await pair.workers.one.call('try', [
        [from(1), question(1, 3)],
        [from(1), echoAll],
      ]);
      expect(outcomes.map(({ fate }) => fate.to)).toEqual(['nowhere', 'nowhere']);
    });
    pair.arpMode = 'proxy';
    await pair.applyAll();
  });
});

describe('the audit', () => {
  const concern = () => ({ networks: [RED], addresses: [portOf(1).ip, portOf(3).ip], groups: [0], vteps: [VTEPS[4].two] });
  const pin = (map: string) => `pinned /sys/fs/bpf/contiv/${INSTANCE}/maps/${map}`;
  const inside = (command: string) => pair.hosts.one.inside(command);

  it('finds nothing where all is as it should be', async () => {
    expect(await pair.workers.one.call('audit', pair.desired('one'), concern())).toEqual([]);
  });

  it('names what is missing, changed or strange, and repairs nothing', async () => {
    await inside(`bpftool map delete ${pin('endpoints')} key hex ${hex(endpointKey(RED, portOf(3).ip))}`);
    await inside(`bpftool map update ${pin('peers')} key hex ${hex(vtepBytes(VTEPS[4].two))} value hex 02 00 00 00`);
    const expected = [`endpoint ${portOf(3).ip} in VNI ${RED} is missing`, `peer ${VTEPS[4].two} was changed`];
    for (let i = 0; i < 2; i++) expect(await pair.workers.one.call('audit', pair.desired('one'), concern())).toEqual(expected);
    const [sent] = await pair.workers.one.call('try', [[from(1), syn(1, 3)]]);
    expect(sent?.reason).toBe('no-route');
    await pair.apply('one');
    expect(await pair.workers.one.call('audit', pair.desired('one'), concern())).toEqual([]);
    const without = { ...pair.desired('one'), endpoints: pair.desired('one').endpoints.filter(({ ip }) => ip !== portOf(3).ip) };
    expect(await pair.workers.one.call('audit', without, concern())).toEqual([`endpoint ${portOf(3).ip} in VNI ${RED} is strange`]);
  });
});
