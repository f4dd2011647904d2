import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BPF_EXIST,
  BPF_NOEXIST,
  BpfMap,
  loadObject,
  mapsOfProgram,
  pin,
  pinned,
  possibleCpus,
  programById,
  programId,
  testRun,
} from './bpf.js';
import { errnoName, isErrno, SyscallError } from './errors.js';
import { AF_INET, close, mount, open, SOCK_DGRAM, socket, unmount, withNetns } from './net.js';

const SOURCE = `
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
struct pair { __u32 a; __u32 b; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8000); __type(key, struct pair); __type(value, __u32); } hash SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, __u32); __type(value, __u32); } small SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 100); __type(key, __u32); __type(value, __u32); } lru SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 3000); __type(key, __u32); __type(value, __u64); } array SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_HASH); __uint(max_entries, 10); __type(key, __u32); __type(value, __u32); } percpu SEC(".maps");
SEC("tc") int first_byte(struct __sk_buff *skb)
{
	__u8 byte = 0x55;
	__u32 key = 0, *seen = bpf_map_lookup_elem(&small, &key);
	if (seen)
		*seen += 1;
	skb->mark = skb->mark + 1;
	bpf_skb_store_bytes(skb, 0, &byte, 1, 0);
	return skb->ifindex == 1 ? TC_ACT_OK : TC_ACT_SHOT;
}
#ifdef WRONG
SEC("tc") int wrong(struct __sk_buff *skb) { __u32 key = 0; return *(__u32 *)bpf_map_lookup_elem(&small, &key); }
#endif
char LICENSE[] SEC("license") = "GPL";
`;
let dir: string;
let bpffs: string;
const compile = (name: string, ...flags: string[]): string => {
  const path = join(dir, `${name}.bpf.o`);
  const arch = execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim();
  const all = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', `-I/usr/include/${arch}-linux-gnu`, ...flags];
  execFileSync('clang', [...all, '-x', 'c', '-c', '-', '-o', path], { input: SOURCE });
  return path;
};
let object: ReturnType<typeof loadObject>;
const map = (name: string): BpfMap => {
  const found = object.maps.get(name);
  if (!found) throw new Error(name);
  return found;
};
const program = (): number => object.programs.get('first_byte') ?? -1;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'contiv-syscall-'));
  bpffs = mkdtempSync(join(tmpdir(), 'contiv-bpffs-'));
  mount('contiv-test', bpffs, 'bpf');
  object = loadObject(compile('good'));
});
afterAll(() => {
  object.close();
  unmount(bpffs);
  for (const each of [dir, bpffs]) rmSync(each, { recursive: true });
});

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return error instanceof SyscallError ? error.code : String(error);
  }
  return 'nothing thrown';
};

describe('maps', () => {
  it('have the shape of their source', () => {
    expect(map('hash').shape).toMatchObject({ name: 'hash', type: 1, keySize: 8, valueSize: 4, maxEntries: 8000 });
    expect(map('percpu').bytesPerValue).toBe(possibleCpus() * 8);
    expect(BpfMap.fromFd(map('array').fd).shape).toEqual(map('array').shape);
  });

  it('hold, replace and lose entries', () => {
    const small = map('small');
    expect(small.get(u32(1))).toBeUndefined();
    small.set(u32(1), u32(10));
    expect(small.get(u32(1))).toEqual(u32(10));
    expect(codeOf(() => small.set(u32(1), u32(11), BPF_NOEXIST))).toBe('EEXIST');
    expect(codeOf(() => small.set(u32(2), u32(11), BPF_EXIST))).toBe('ENOENT');
    for (let i = 2; i <= 4; i++) small.set(u32(i), u32(i));
    expect(codeOf(() => small.set(u32(5), u32(5)))).toBe('E2BIG');
    expect([small.delete(u32(1)), small.delete(u32(1))]).toEqual([true, false]);
    expect(small.count()).toBe(3);
    for (const key of small.keys()) small.delete(key);
    expect(small.entries()).toEqual([]);
    expect(() => small.set(u32(1), Buffer.alloc(3))).toThrow(RangeError);
    expect(() => small.set(Buffer.alloc(8), u32(1))).toThrow(RangeError);
  });

  it('take and give thousands of entries at once, each exactly once', () => {
    const hash = map('hash');
    const entries = Array.from({ length: 7777 }, (_, i) => [Buffer.concat([u32(i), u32(i * 7)]), u32(i ^ 0xffff)] as const);
    hash.setAll(entries);
    const found = new Map(hash.entries().map(([key, value]) => [key.toString('hex'), value.readUInt32LE(0)]));
    expect(hash.entries().length).toBe(7777);
    expect(found).toEqual(new Map(entries.map(([key, value]) => [key.toString('hex'), value.readUInt32LE(0)])));
    expect(map('array').entries().length).toBe(3000);
    expect(codeOf(() => hash.setAll([...Array(500).keys()].map((i) => [Buffer.concat([u32(i), u32(1)]), u32(1)])))).toBe('E2BIG');
  });

  it('that forget the least used never refuse', () => {
    const lru = map('lru');
    for (let i = 0; i < 1000; i++) lru.set(u32(i), u32(i));
    expect(lru.count()).toBeLessThanOrEqual(100);
    expect(lru.get(u32(999))).toEqual(u32(999));
  });

  it('keep one value for each CPU', () => {
    const percpu = map('percpu');
    const value = Buffer.alloc(percpu.bytesPerValue);
    for (let cpu = 0; cpu < possibleCpus(); cpu++) value.writeUInt32LE(cpu + 1, cpu * 8);
    percpu.set(u32(3), value);
    expect(percpu.entries()).toEqual([[u32(3), value]]);
  });
});

describe('objects', () => {
  it('are found again by pin and by number, and a new object takes over tables it is given', () => {
    expect(pinned(join(bpffs, 'small'))).toBeUndefined();
    map('small').pin(join(bpffs, 'small'));
    pin(program(), join(bpffs, 'program'));
    map('small').set(u32(9), u32(99));
    const held = BpfMap.pinned(join(bpffs, 'small'));
    const other = loadObject(join(dir, 'good.bpf.o'), {
      reuse: (shape) => (shape.name === 'small' ? held?.fd : undefined),
      entries: (shape) => (shape.name === 'lru' ? 500 : undefined),
    });
    expect(other.maps.get('small')?.get(u32(9))).toEqual(u32(99));
    expect(other.maps.get('hash')?.count()).toBe(0);
    expect(other.maps.get('lru')?.shape.maxEntries).toBe(500);
    other.close();
    held?.close();
    const id = programId(program());
    const again = pinned(join(bpffs, 'program')) ?? -1;
    expect(programId(again)).toBe(id);
    close(again);
    const byId = programById(id) ?? -1;
    const used = mapsOfProgram(byId);
    expect([...used.keys()]).toEqual(['small']);
    for (const each of used.values()) each.close();
    close(byId);
    expect(programById(0x7fff_ffff)).toBeUndefined();
  });

  it("that the kernel refuses are refused with the verifier's words", () => {
    const wrong = compile('wrong', '-DWRONG');
    expect(() => loadObject(wrong)).toThrow(/the verifier says:[\s\S]*map_value_or_null[\s\S]*(EACCES|EINVAL)/);
    expect(() => loadObject(join(dir, 'absent.bpf.o'))).toThrow(/ENOENT/);
  });
});

it('runs a program on a frame and gives back what became of it', () => {
  map('small').set(u32(0), u32(0));
  const frame = Buffer.alloc(60, 0x11);
  const context = Buffer.alloc(192);
  context.writeUInt32LE(6, 8);
  context.writeUInt32LE(1, 40);
  const run = testRun(program(), frame, context, 3);
  expect(run).toMatchObject({ verdict: 0, packet: Buffer.concat([Buffer.of(0x55), frame.subarray(1)]) });
  expect(run.context.readUInt32LE(8)).toBeGreaterThan(6);
  expect(map('small').get(u32(0))?.readUInt32LE(0)).toBe(3);
  expect(frame[0]).toBe(0x11);
  expect(codeOf(() => testRun(program(), Buffer.alloc(5)))).toBe('EINVAL');
});

describe('network namespaces', () => {
  const own = () => readlinkSync('/proc/thread-self/ns/net');

  it('are entered and left, also when the work fails; a socket stays where it was made', () => {
    const name = `sctest-${randomBytes(3).toString('hex')}`;
    execFileSync('ip', ['netns', 'add', name]);
    try {
      const home = own();
      const there = withNetns(`/run/netns/${name}`, own);
      expect(there).not.toBe(home);
      expect(own()).toBe(home);
      expect(() =>
        withNetns(`/run/netns/${name}`, () => {
          throw new Error('work failed');
        }),
      ).toThrow('work failed');
      expect(own()).toBe(home);
      const fd = withNetns(`/run/netns/${name}`, () => socket(AF_INET, SOCK_DGRAM, 0));
      close(fd);
      expect(codeOf(() => withNetns('/run/netns/no-such-namespace', own))).toBe('ENOENT');
      expect(codeOf(() => withNetns('/dev/null', own))).toBe('EINVAL');
      expect(own()).toBe(home);
    } finally {
      execFileSync('ip', ['netns', 'del', name]);
    }
  });
});

it('names errors', () => {
  expect([errnoName(2), errnoName(90), errnoName(524), errnoName(4000)]).toEqual(['ENOENT', 'EMSGSIZE', 'ENOTSUPP', 'errno 4000']);
  const failed = (() => {
    try {
      return open('/no/such/file');
    } catch (error) {
      return error;
    }
  })();
  expect([isErrno(failed, 'ENOENT'), isErrno(failed, 'EACCES'), isErrno(new Error('ENOENT'), 'ENOENT')]).toEqual([true, false, false]);
  expect(String(failed)).toContain('/no/such/file');
});
