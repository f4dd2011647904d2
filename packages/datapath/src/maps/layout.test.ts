import { type Ipv4, type Ipv6, ipv4Bytes, ipv4FromNumber, ipv6Bytes, ipv6FromBigInt, type Mac, macBytes } from '@contiv/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { layouts } from '../testing/btf.js';
import {
  addressBytes,
  addressText,
  configBytes,
  dnsClientBytes,
  dnsClientIndex,
  endpointBytes,
  endpointIfindex,
  endpointKey,
  linkLocal,
  MAX_PORTS,
  macKey,
  macText,
  memberBytes,
  memberKey,
  networkBytes,
  parseOutside,
  parsePort,
  parseStation,
  portBytes,
  refusedStations,
  subnetKey,
  UPLINK_BYTES,
  u32Key,
  vtepBytes,
  vtepText,
} from './layout.js';

const compiled = layouts();
const IP = '10.1.2.3' as Ipv4;
const IP6 = '2001:db8::17' as Ipv6;
const MAC = '02:02:0a:01:02:03' as Mac;

/** Reads members of a C struct out of bytes that TypeScript made. */
function struct(name: string, bytes: Buffer) {
  const layout = compiled.get(name);
  if (!layout) throw new Error(`the program has no struct ${name}`);
  expect(bytes.length, `size of struct ${name}`).toBe(layout.size);
  const offset = (member: string): number => {
    const at = layout.at[member];
    if (at === undefined) throw new Error(`struct ${name} has no member ${member}`);
    return at;
  };
  return {
    u8: (member: string) => bytes.readUInt8(offset(member)),
    u16: (member: string) => bytes.readUInt16LE(offset(member)),
    u32: (member: string, word = 0) => bytes.readUInt32LE(offset(member) + word * 4),
    raw: (member: string, length: number) => [...bytes.subarray(offset(member), offset(member) + length)],
  };
}

describe('bytes against the compiled structs', () => {
  it('config', () => {
    const rest = { epoch: 7, vxlanIfindex: 8, dnsIfindex: 9, dnsMac: MAC, policies: 10 };
    const bytes = configBytes({ ...rest, vtep: IP, setsLocal: true, uplink: 11, uplinkMac: MAC });
    const c = struct('config', bytes);
    expect([c.u32('epoch'), c.u32('vxlan_ifindex'), c.u32('dns_ifindex'), c.u8('policies')]).toEqual([7, 8, 9, 10]);
    expect([c.u32('uplink'), c.raw('dns_mac', 6), c.raw('uplink_mac', 6)]).toEqual([11, [...macBytes(MAC)], [...macBytes(MAC)]]);
    expect([c.u8('underlay6'), c.u8('sets_local'), c.u32('local', 3)]).toEqual([0, 1, 0x0a010203]);
    const six = struct('config', configBytes({ ...rest, vtep: IP6, setsLocal: false, uplink: 0, uplinkMac: undefined }));
    expect([six.u8('underlay6'), six.u8('sets_local'), six.u32('outside_ifindex')]).toEqual([1, 0, 0]);
    const outside = { ifindex: 12, privateNet: IP, ipv6: true };
    const out = configBytes({ ...rest, vtep: IP, setsLocal: true, uplink: 11, uplinkMac: MAC, outside });
    expect([struct('config', out).u32('outside_ifindex'), struct('config', out).u8('outside6'), c.u8('outside6')]).toEqual([12, 1, 0]);
    expect(
      struct('config', configBytes({ ...rest, vtep: IP, setsLocal: true, uplink: 0, uplinkMac: undefined, shaper: 13 })).u32(
        'shaper_ifindex',
      ),
    ).toBe(13);
    expect(six.u32('shaper_ifindex')).toBe(0);
    expect(struct('config', out).raw('private_net', 4)).toEqual([...ipv4Bytes(IP)]);
    expect([parseOutside(out), parseOutside(bytes)]).toEqual([outside, undefined]);
    const short = struct('config', configBytes({ ...rest, vtep: IP, setsLocal: true, uplink: 11, uplinkMac: MAC, shortPort: 0x1234 }));
    expect([short.raw('short_port', 2), c.raw('short_port', 2)]).toEqual([
      [0x12, 0x34],
      [0, 0],
    ]);
    expect(short.raw('uplink_mac', 6)).toEqual([...macBytes(MAC)]);
    expect(six.raw('local', 16)).toEqual([...ipv6Bytes(IP6)]);
  });

  it('port', () => {
    const p = struct('port', portBytes({ vni: 0xabcdef, group: 0x10203, ip: IP, ip6: IP6, index: 0x1fff, mac: MAC, domain: 0x8000_0007 }));
    expect([p.u32('vni'), p.u32('domain'), p.u32('group'), p.u16('index'), p.u8('flags')]).toEqual([
      0xabcdef, 0x8000_0007, 0x10203, 0x1fff, 1,
    ]);
    expect([p.raw('ip', 4), p.raw('mac', 6), p.raw('ip6', 16)]).toEqual([[...ipv4Bytes(IP)], [...macBytes(MAC)], [...ipv6Bytes(IP6)]]);
    expect(struct('port', portBytes({ vni: 1, group: 0, ip: IP, index: 1, mac: MAC, domain: 1 })).u8('flags')).toBe(0);
    expect(struct('port', portBytes({ vni: 1, group: 0, ip: IP, index: 1, mac: MAC, domain: 1, inHost: true })).u8('flags')).toBe(2);
    const limited = { vni: 1 as const, group: 7, ip: IP, ip6: undefined, index: 1, mac: MAC, domain: 1, limited: true, dscp: 46 };
    const l = struct('port', portBytes(limited));
    expect([l.u8('flags'), l.u8('dscp')]).toEqual([4, 46]);
    expect(parsePort(portBytes(limited))).toEqual(limited);
  });

  it('endpoint and its key', () => {
    const key = struct('endpoint_key', endpointKey(0xabcdef, IP));
    expect(key.u32('vni')).toBe(0xabcdef);
    expect(key.raw('ip', 16)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3]);
    const slow = endpointBytes({ group: 5, mac: MAC, vni: 3, domain: 4, at: { ifindex: 6, port: 1, limited: true } });
    expect([struct('endpoint', slow).u32('ifindex'), endpointIfindex(slow)]).toEqual([0x4000_0006, 6]);
    const here = struct('endpoint', endpointBytes({ group: 5, mac: MAC, vni: 3, domain: 0x8000_0004, at: { ifindex: 6, port: 0x1234 } }));
    expect([here.u32('group'), here.u32('ifindex'), here.u16('port'), here.u32('vni'), here.u32('domain')]).toEqual([
      5, 6, 0x1234, 3, 0x8000_0004,
    ]);
    expect(here.raw('mac', 6)).toEqual([...macBytes(MAC)]);
    const there = struct('endpoint', endpointBytes({ group: 5, mac: MAC, vni: 3, domain: 3, at: { vtep: IP, mtu: 1350 } }));
    expect([there.u32('ifindex'), there.u32('vtep', 3), there.u16('port')]).toEqual([0, 0x0a010203, 1350]);
    expect(struct('endpoint', endpointBytes({ group: 0, mac: MAC, vni: 3, domain: 3, at: 'router' })).u32('ifindex')).toBe(0xffff_ffff);
    const inHost = endpointBytes({ group: 0, mac: MAC, vni: 3, domain: 3, at: { ifindex: 6, port: 1, inHost: true } });
    expect([struct('endpoint', inHost).u32('ifindex'), endpointIfindex(inHost)]).toEqual([0x8000_0006, 6]);
    expect(endpointIfindex(endpointBytes({ group: 0, mac: MAC, vni: 3, domain: 3, at: { ifindex: 77, port: 1 } }))).toBe(77);
  });

  it('MACs, stations and uplinks of VLANs', () => {
    const key = macKey(0xabcdef, MAC);
    const k = struct('mac_key', key);
    expect([k.u32('vni'), k.raw('mac', 6)]).toEqual([0xabcdef, [...macBytes(MAC)]]);
    const value = Buffer.alloc(12);
    value.writeUInt32LE(5, compiled.get('station')?.at.seen);
    value.writeUInt32LE(6, compiled.get('station')?.at.ifindex);
    value.set(ipv4Bytes(IP), compiled.get('station')?.at.ip);
    expect(parseStation(key, value)).toEqual({ vni: 0xabcdef, mac: MAC, seen: 5, ifindex: 6, ip: IP });
    const uplink = Buffer.alloc(UPLINK_BYTES);
    expect(compiled.get('uplink')?.size).toBe(UPLINK_BYTES);
    uplink.writeBigUInt64LE(9n, compiled.get('uplink')?.at.refused);
    expect(refusedStations(uplink)).toBe(9n);
  });

  it('network, member and its key, DNS client, peer', () => {
    const n = struct('network', networkBytes({ flood: true, locals: 3, remotes: 4, domain: 0x8000_0004, gateway: IP, gateway6: IP6 }));
    expect([n.u32('flood'), n.u32('locals'), n.u32('remotes'), n.u32('domain')]).toEqual([1, 3, 4, 0x8000_0004]);
    expect([n.raw('gateway', 4), n.raw('gateway6', 16)]).toEqual([[...ipv4Bytes(IP)], [...ipv6Bytes(IP6)]]);
    const s = struct('subnet_key', subnetKey(0x8000_0004, IP, 24));
    expect([s.u32('length'), s.u32('domain'), s.raw('ip', 16).slice(12)]).toEqual([152, 0x8000_0004, [...ipv4Bytes(IP)]]);
    expect(struct('subnet_key', subnetKey(1, IP6, 64)).u32('length')).toBe(96);
    const k = struct('member_key', memberKey(9, true, 8));
    expect([k.u32('vni'), k.u32('remote'), k.u32('number')]).toEqual([9, 1, 8]);
    expect(struct('member', memberBytes({ ifindex: 12 })).u32('ifindex')).toBe(12);
    expect(struct('member', memberBytes({ vtep: IP })).u32('vtep', 3)).toBe(0x0a010203);
    const d = struct('dns_client', dnsClientBytes(5, IP, MAC));
    expect([d.u32('ifindex'), d.raw('ip', 4), d.raw('mac', 6)]).toEqual([5, [...ipv4Bytes(IP)], [...macBytes(MAC)]]);
    expect(struct('vtep', vtepBytes(IP)).u32('word', 3)).toBe(0x0a010203);
    expect(u32Key(0x01020304)).toEqual(Buffer.of(4, 3, 2, 1));
  });
});

const ipv4 = fc.integer({ min: 0, max: 0xffff_ffff }).map(ipv4FromNumber);
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) => macText(Buffer.from(bytes)));
const ipv6 = fc.bigInt({ min: 1n << 64n, max: (1n << 128n) - 1n }).map(ipv6FromBigInt);

describe('reading back', () => {
  it('gives the port that was written', () => {
    const port = fc.record({
      vni: fc.integer({ min: 1, max: 0xffffff }),
      group: fc.integer({ min: 0, max: 0xffff_ffff }),
      ip: ipv4,
      ip6: fc.option(ipv6, { nil: undefined }),
      index: fc.integer({ min: 1, max: 8191 }),
      mac,
      domain: fc.integer({ min: 1, max: 0xffff_ffff }),
    });
    fc.assert(
      fc.property(port, (value) => {
        expect(parsePort(portBytes(value))).toEqual(value);
      }),
    );
  });

  it('gives the address and the VTEP that were written', () => {
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), (ip) => {
        expect(addressText(addressBytes(ip))).toBe(ip);
        expect(vtepText(vtepBytes(ip))).toBe(ip);
      }),
    );
  });

  it('knows the link-local address of a MAC', () => {
    expect(linkLocal('02:02:0a:01:02:03' as Mac)).toBe('fe80::2:aff:fe01:203');
  });
});

describe('index of a DNS client', () => {
  it('is the offset into 169.254.128.0/19, and nothing for any other address', () => {
    fc.assert(
      fc.property(ipv4, (ip) => {
        const [a, b, c = 0, d = 0] = ipv4Bytes(ip);
        expect(dnsClientIndex(ip)).toBe(a === 169 && b === 254 && c >= 128 && c < 160 ? (c - 128) * 256 + d : undefined);
      }),
    );
    fc.assert(fc.property(fc.integer({ min: 0, max: MAX_PORTS - 1 }), (i) => dnsClientIndex(ipv4FromNumber(0xa9fe8000 + i)) === i));
    for (const other of ['', '169.254.20.10', '::ffff:169.254.128.1', '169.254.128', '169.254.169.254', 'fe80::1'])
      expect(dnsClientIndex(other)).toBeUndefined();
  });
});
