/** Frames at random: whatever leaves a container bears its addresses and goes where it may. The rule is written here a second time. */
import { type Ipv4, type Ipv6, type Mac, macBytes } from '@contiv/model';
import { isErrno } from '@contiv/syscall';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { dnsMac } from '../kernel/devices.js';
import { addressBytes, linkLocal } from '../maps/layout.js';
import { A, B, type Bench, C, GROUP, type Outcome, standardBench, VNI, VTEP } from '../testing/bench.js';
import {
  arp,
  BROADCAST,
  ETHERTYPE,
  echo,
  ethernet,
  fragment6,
  icmp,
  ipv4,
  ipv6,
  nd,
  options6,
  PROTOCOL,
  tcp,
  udp,
} from '../testing/packets.js';

let bench: Bench;
beforeAll(() => {
  bench = standardBench();
});
afterAll(() => bench.close());

/** xorshift32: the same frames in every run. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const DNS = '169.254.20.10' as Ipv4;
const NOBODY = '00:00:00:00:00:00' as Mac;
const ends4 = { src: A.ip, dst: B.ip };
const ends6 = { src: A.ip6, dst: B.ip6 };

/** Honest frames of container a: mutations start here. */
function corpus(src: Mac, dst: Mac): Buffer[] {
  const e = { src, dst };
  const quoted = ipv4({ src: B.ip, dst: A.ip, protocol: PROTOCOL.udp }, udp(53, 4000));
  return [
    ethernet(e, ETHERTYPE.ipv4, ipv4({ ...ends4, protocol: PROTOCOL.udp }, udp(4000, 53, Buffer.alloc(40)))),
    ethernet(e, ETHERTYPE.ipv4, ipv4({ ...ends4, protocol: PROTOCOL.tcp }, tcp(4000, 80, 2))),
    ethernet(e, ETHERTYPE.ipv4, ipv4({ ...ends4, protocol: PROTOCOL.icmp }, echo(8, 3))),
    ethernet(e, ETHERTYPE.ipv4, ipv4({ ...ends4, protocol: PROTOCOL.icmp }, icmp(3, 3, 0, quoted))),
    ethernet(e, ETHERTYPE.ipv4, ipv4({ ...ends4, protocol: PROTOCOL.udp, options: Buffer.alloc(8, 1) }, udp(1, 2))),
    ethernet(e, ETHERTYPE.ipv4, ipv4({ ...ends4, protocol: PROTOCOL.udp, id: 9, more: true }, udp(1, 2, Buffer.alloc(32)))),
    ethernet(e, ETHERTYPE.ipv4, ipv4({ ...ends4, protocol: PROTOCOL.udp, id: 9, offset: 40 }, Buffer.alloc(32))),
    ethernet(
      { src, dst: dnsMac() },
      ETHERTYPE.ipv4,
      ipv4({ src: A.ip, dst: DNS, protocol: PROTOCOL.udp }, udp(4000, 53, Buffer.alloc(30))),
    ),
    ethernet(e, ETHERTYPE.ipv6, ipv6({ ...ends6, next: PROTOCOL.udp }, udp(4000, 53))),
    ethernet(e, ETHERTYPE.ipv6, ipv6({ ...ends6, next: PROTOCOL.options }, options6(PROTOCOL.tcp, tcp(4000, 80, 2)))),
    ethernet(
      e,
      ETHERTYPE.ipv6,
      ipv6({ ...ends6, next: PROTOCOL.fragment }, fragment6(PROTOCOL.udp, 7, 0, true, udp(1, 2, Buffer.alloc(24)))),
    ),
    ethernet(
      { src, dst: BROADCAST },
      ETHERTYPE.arp,
      arp({ operation: 1, senderMac: A.mac, senderIp: A.ip, targetMac: NOBODY, targetIp: B.ip }),
    ),
    ethernet(
      { src, dst: '33:33:ff:00:00:02' as Mac },
      ETHERTYPE.ipv6,
      nd({ type: 135, src: A.ip6, dst: 'ff02::1:ff00:2' as Ipv6, target: B.ip6, option: [1, A.mac] }),
    ),
    ethernet({ src, dst: BROADCAST }, ETHERTYPE.ipv4, ipv4({ src: A.ip, dst: '10.1.0.255' as Ipv4, protocol: PROTOCOL.udp }, udp(1, 2))),
  ];
}

/** One frame: an honest one with bytes turned, cut or added, fields swapped for telling values, or noise. */
function mutate(frames: readonly Buffer[], pick: (below: number) => number): Buffer {
  if (pick(20) === 0) return Buffer.from(Array.from({ length: 14 + pick(200) }, () => pick(256)));
  let frame = Buffer.from(frames[pick(frames.length)] ?? Buffer.alloc(14));
  for (let i = pick(4); i > 0; i--) {
    const at = pick(frame.length);
    switch (pick(6)) {
      case 0:
        frame.writeUInt8(pick(256), at);
        break;
      case 1:
        frame.writeUInt8((frame[at] ?? 0) ^ (1 << pick(8)), at);
        break;
      case 2:
        frame = Buffer.from(frame.subarray(0, Math.max(14, at)));
        break;
      case 3:
        frame = Buffer.concat([frame, Buffer.alloc(pick(64), pick(256))]);
        break;
      case 4: {
        const others = [macBytes(B.mac), macBytes(C.mac), macBytes(BROADCAST), addressBytes(B.ip).subarray(12), addressBytes(B.ip6)];
        const other = others[pick(others.length)] ?? Buffer.alloc(0);
        const places = [0, 6, 22, 26, 28, 30, 32, 38, 62];
        Buffer.from(other).copy(frame, Math.min(places[pick(places.length)] ?? 0, frame.length));
        break;
      }
      case 5:
        frame.writeUInt16BE([0x0800, 0x0806, 0x86dd, 0x8100, 0x88a8][pick(5)] ?? 0, 12);
        break;
    }
  }
  return frame;
}

const same = (frame: Buffer, at: number, bytes: Uint8Array): boolean => frame.subarray(at, at + bytes.length).equals(bytes);
const neighbours = [B, C, A];

/** What must be true of a frame of container a that went anywhere, told from its bytes alone. */
function faults(frame: Buffer, { verdict, packet, tunnel }: Outcome, floods: boolean): string[] {
  if (verdict === 'drop') return [];
  const found: string[] = [];
  const must = (what: string, is: boolean) => void (is || found.push(what));
  must('never given to the host as it is', verdict === 'redirect' || verdict === 'stolen');
  must('own MAC', same(frame, 6, macBytes(A.mac)));
  const type = frame.readUInt16BE(12);
  const group = ((frame[0] ?? 0) & 1) === 1;
  if (type === ETHERTYPE.arp) {
    must('own MAC in ARP', same(frame, 22, macBytes(A.mac)));
    must('own address in ARP', same(frame, 28, addressBytes(A.ip).subarray(12)) || frame.readUInt32BE(28) === 0);
    if (!floods) must('answered, not passed', tunnel === undefined && (verdict === 'stolen' || packet.readUInt16BE(20) === 2));
    return found;
  }
  must('IP', type === ETHERTYPE.ipv4 || type === ETHERTYPE.ipv6);
  if (found.length > 0) return found;
  if (type === ETHERTYPE.ipv4) {
    must('own IPv4', same(frame, 26, addressBytes(A.ip).subarray(12)));
    must('version', (frame[14] ?? 0) >> 4 === 4 && ((frame[14] ?? 0) & 15) >= 5);
  } else {
    const unspecified = same(frame, 22, Buffer.alloc(16));
    must(
      'own IPv6',
      [A.ip6, linkLocal(A.mac)].some((ip) => same(frame, 22, addressBytes(ip))) ||
        (unspecified && group) ||
        (unspecified && verdict === 'stolen'),
    );
    must('version', (frame[14] ?? 0) >> 4 === 6);
  }
  if (verdict === 'stolen') {
    must('for everybody or a test for duplicates', group || type === ETHERTYPE.ipv6);
    must('copies only where it floods', floods || type === ETHERTYPE.ipv6);
    return found;
  }
  const dst =
    type === ETHERTYPE.ipv4 ? Buffer.concat([Buffer.alloc(10), Buffer.of(255, 255), frame.subarray(30, 34)]) : frame.subarray(38, 54);
  if (type === ETHERTYPE.ipv4 && same(dst, 0, addressBytes(DNS))) {
    must('a client of the DNS service', packet.readUInt16BE(26) === 0xa9fe && (packet[28] ?? 0) === 128);
    return found;
  }
  // A solicitation answered: the frame is another one now, and not only addressed anew.
  if (type === ETHERTYPE.ipv6 && !packet.subarray(6).equals(frame.subarray(6))) {
    must('an answer to who asked', same(packet, 0, macBytes(A.mac)) && packet[54] === 136 && tunnel === undefined);
    return found;
  }
  const to = neighbours.find((n) => [n.ip, n.ip6, linkLocal(n.mac)].some((ip) => same(dst, 0, addressBytes(ip))));
  must('a known destination', to !== undefined);
  if (!to) return found;
  must("the destination's MAC", same(packet, 0, macBytes(to.mac)));
  must('nothing else changed', packet.subarray(6).equals(frame.subarray(6)));
  must('the right way', (tunnel?.to === VTEP) === (to === C));
  return found;
}

function fuzz(count: number, seed: number, run: (frame: Buffer) => Outcome, floods: boolean, src = A.mac): Map<string, number> {
  const pick = random(seed);
  const frames = [...corpus(src, B.mac), ...corpus(src, C.mac)];
  const outcomes = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const frame = mutate(frames, pick);
    let outcome: Outcome;
    try {
      outcome = run(frame);
    } catch (error) {
      // The kernel gives no frame to a program that ends before the header its own type promises.
      if (!isErrno(error, 'EINVAL')) throw error;
      continue;
    }
    const { verdict, reason } = outcome;
    if (verdict === 'drop') expect(reason, frame.toString('hex')).toBeDefined();
    const wrong = faults(frame, outcome, floods);
    if (wrong.length > 0) expect.fail(`seed ${seed}, frame ${i}: ${verdict} without ${wrong.join(', ')}: ${frame.toString('hex')}`);
    const key = reason ?? verdict;
    outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
  }
  return outcomes;
}

it.each([
  ['proxy', 1],
  ['flood', 2],
] as const)('5,000 frames of a container in a network of mode %s', (mode, seed) => {
  bench.setNetwork(VNI, mode === 'flood' ? ['a', 'b'] : 'proxy');
  bench.addRule({ from: GROUP.a, to: GROUP.b, protocol: PROTOCOL.tcp, port: 81, priority: 1, denied: true, rule: 1 });
  const outcomes = fuzz(5000, seed, (frame) => bench.send('a', frame), mode === 'flood');
  // It went everywhere: a test that drops everything at the first stage would prove nothing.
  for (const each of ['redirect', 'malformed', 'spoofed-mac', 'spoofed-ip', 'spoofed-arp', 'not-ip', 'wrong-mac', 'no-route', 'not-dns'])
    expect(outcomes.get(each) ?? 0, each).toBeGreaterThan(2);
});

it('5,000 frames from the tunnel and 2,000 through strangers', () => {
  bench.setNetwork(VNI, 'proxy');
  const outcomes = new Map<string, number>();
  const pick = random(3);
  const frames = corpus(C.mac, B.mac).map((frame) => {
    const forged = Buffer.from(frame);
    if (forged.readUInt16BE(12) === ETHERTYPE.ipv4) Buffer.from(addressBytes(C.ip)).copy(forged, 26, 12);
    return forged;
  });
  for (let i = 0; i < 7000; i++) {
    const frame = mutate(frames, pick);
    const stranger = i >= 5000;
    try {
      const { verdict, reason, packet } = bench.receive(
        { vni: stranger ? pick(1 << 24) || 1 : VNI, vtep: stranger ? ('10.0.0.1' as Ipv4) : VTEP },
        frame,
      );
      outcomes.set(reason ?? verdict, (outcomes.get(reason ?? verdict) ?? 0) + 1);
      if (verdict === 'drop') continue;
      expect(stranger).toBe(false);
      const to = [A, B].find((n) => same(packet, 0, macBytes(n.mac)));
      const dst = frame.readUInt16BE(12) === ETHERTYPE.ipv4 ? frame.subarray(30, 34) : frame.subarray(38, 54);
      expect(
        to && [addressBytes(to.ip).subarray(12), addressBytes(to.ip6), addressBytes(linkLocal(to.mac))].some((a) => dst.equals(a)),
        frame.toString('hex'),
      ).toBe(true);
    } catch (error) {
      if (!isErrno(error, 'EINVAL')) throw error;
    }
  }
  for (const each of ['redirect', 'malformed', 'not-ip', 'not-local', 'wrong-mac', 'unknown-vtep', 'not-flooded'])
    expect(outcomes.get(each) ?? 0, each).toBeGreaterThan(5);
});

it('2,000 frames to the DNS clients reach clients or nobody', () => {
  const pick = random(4);
  const answer = ethernet(
    { src: dnsMac(), dst: dnsMac() },
    ETHERTYPE.ipv4,
    ipv4({ src: DNS, dst: '169.254.128.1' as Ipv4, protocol: PROTOCOL.udp }, udp(53, 4000, Buffer.alloc(20))),
  );
  let reached = 0;
  for (let i = 0; i < 2000; i++) {
    const frame = mutate([answer], pick);
    try {
      const { verdict, packet } = bench.answerDns(frame);
      if (verdict === 'drop') continue;
      reached++;
      expect(verdict).toBe('redirect');
      expect([same(frame, 26, addressBytes(DNS).subarray(12)), frame.readUInt16BE(30), frame[32]]).toEqual([true, 0xa9fe, 128]);
      const index = frame[33];
      const client = index === bench.place('b').index ? B : A;
      expect([same(packet, 30, addressBytes(client.ip).subarray(12)), same(packet, 0, macBytes(client.mac))]).toEqual([true, true]);
    } catch (error) {
      if (!isErrno(error, 'EINVAL')) throw error;
    }
  }
  expect(reached).toBeGreaterThan(100);
});
