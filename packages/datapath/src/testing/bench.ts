/**
 * The programs under BPF_PROG_TEST_RUN, as trials run them (bpf/trial.bpf.c): tables filled by hand, one synthetic frame at a time.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Ipv4, type Ipv6, type Mac, macOfIpv4, type PolicyRule, type PolicySet, type Vni } from '@contiv/model';
import { Netlink } from '@contiv/netlink';
import { type BpfMap, type LoadedObject, loadObject, testRun, withNetns } from '@contiv/syscall';
import type { DatapathEndpoint, DatapathNetwork, DatapathPort } from '../contract.js';
import { sumPerCpu } from '../kernel/counting.js';
import { dnsMac } from '../kernel/devices.js';
import { type ConfigValue, configBytes, memberBytes, memberKey, networkBytes, u32Key, vtepBytes } from '../maps/layout.js';
import { type Outer, parseOuter, plainBytes, taggedBytes, tunnelledBytes } from '../maps/outer.js';
import { DROP_REASONS, type DropReason } from '../maps/reasons.js';
import { buildTables, endpointEntries, endpointOf, keyBytes, type PortPlace, portEntries } from '../maps/tables.js';
import { RuleSets } from '../policy/sets.js';
import { SET_TABLES, setOfKey } from '../policy/tables.js';

const BPF = fileURLToPath(new URL('../../bpf/', import.meta.url));

const PROGRAM = {
  container: 'try_container',
  tunnel: 'try_tunnel',
  uplink: 'try_uplink',
  underlay: 'try_underlay',
  into: 'try_into_container',
  dns: 'try_dns',
  outside: 'try_outside',
} as const;
const VERDICTS = new Map([
  [0xffff_ffff, 'pass'],
  [0, 'ok'],
  [2, 'drop'],
  [4, 'stolen'],
  [7, 'redirect'],
] as const);
export const FROM_US = 0xc0417;

export interface Outcome extends Outer {
  /** `pass`: as if the program were not there. */
  readonly verdict: 'ok' | 'drop' | 'stolen' | 'redirect' | 'pass';
  readonly reason: DropReason | undefined;
  /** The frame after the program. */
  readonly packet: Buffer;
  readonly mark: number;
}

/** A rule on what `to` may be called by. */
export interface Rule {
  readonly from: number;
  readonly to: number;
  readonly protocol?: number;
  readonly port?: number;
  readonly priority: number;
  readonly denied: boolean;
  readonly rule: number;
  readonly log?: boolean;
}

function inRule({ from, protocol = 0, port = 0, priority, denied, rule, log = false }: Rule): PolicyRule {
  const ports = port === 0 ? {} : { ports: { first: port, last: port } };
  return {
    way: 'in',
    rank: priority,
    deny: denied,
    log,
    number: rule,
    groups: from === 0 ? undefined : [from],
    peers: undefined,
    own: undefined,
    services: protocol === 0 ? undefined : [{ protocol, ...ports }],
  };
}

type Configured = Pick<ConfigValue, 'epoch' | 'policies' | 'vtep' | 'uplink' | 'shortPort' | 'outside'>;

export class Bench {
  readonly #object: LoadedObject;
  readonly #netns: string;
  readonly #netlink: Netlink;
  #rules: Rule[] = [];
  #sets = new RuleSets();
  /** Drops by reason after the last frame. */
  #counted: bigint[];
  readonly #ports = new Map<string, PortPlace>();
  readonly #config: Configured = { epoch: 1, policies: 0, vtep: OWN_VTEP, uplink: 1 };
  #underlay = 0;

  constructor() {
    const dir = mkdtempSync(join(tmpdir(), 'contiv-bench-'));
    try {
      const path = join(dir, 'bench.bpf.o');
      const arch = execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim();
      const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', `-I${BPF}`, `-I/usr/include/${arch}-linux-gnu`];
      execFileSync('clang', [...flags, '-c', join(BPF, 'trial.bpf.c'), '-o', path]);
      this.#object = loadObject(path);
    } finally {
      rmSync(dir, { recursive: true });
    }
    this.#netns = `dpbench-${randomBytes(3).toString('hex')}`;
    execFileSync('ip', ['netns', 'add', this.#netns]);
    // The kernel's own multicast would be counted among the copies.
    const quiet = 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6';
    execFileSync('nsenter', [`--net=${this.#path}`, 'sh', '-c', quiet]);
    this.#netlink = Netlink.open(this.#path);
    this.configure({});
    this.#counted = this.#drops();
  }

  close(): void {
    this.#netlink.close();
    this.#object.close();
    execFileSync('ip', ['netns', 'del', this.#netns]);
  }

  get #path(): string {
    return `/run/netns/${this.#netns}`;
  }

  map(name: string): BpfMap {
    const map = this.#object.maps.get(name);
    if (!map) throw new Error(`no table ${name}`);
    return map;
  }

  configure(change: Partial<Configured>): void {
    Object.assign(this.#config, change);
    const value = configBytes({
      ...this.#config,
      vxlanIfindex: 1,
      dnsIfindex: 1,
      dnsMac: dnsMac(),
      setsLocal: true,
      uplinkMac: UPLINK_MAC,
    });
    this.map('config').set(u32Key(0), value);
  }

  nextEpoch(): void {
    this.configure({ epoch: this.#config.epoch + 1 });
  }

  /** A local container, or an interface of the host's own: its pair, its port and its addresses. */
  addPort(port: DatapathPort, domain: number = port.vni): void {
    const inHost = port.host !== undefined;
    const ifindex =
      this.#ports.get(port.name)?.ifindex ??
      this.#netlink.addLink({ kind: 'veth', name: port.name, up: true, peer: { name: `${port.name}p`, up: true } });
    const place = { ifindex, index: this.#ports.get(port.name)?.index ?? this.#ports.size + 1, inHost };
    this.#ports.set(port.name, place);
    const entries = portEntries(port, place, domain);
    this.map('ports').set(...entries.ports);
    this.map('dns_clients').set(...entries.dns_clients);
    if (entries.local_macs) this.map('local_macs').set(...entries.local_macs);
    this.addEndpoint(endpointOf(port), domain);
  }

  addEndpoint(endpoint: DatapathEndpoint, domain: number = endpoint.vni): void {
    const place = 'port' in endpoint.at ? this.#ports.get(endpoint.at.port) : undefined;
    for (const [key, value] of endpointEntries(endpoint, place, domain)) this.map('endpoints').set(key, value);
  }

  addPeer(vtep: Ipv4 | Ipv6): void {
    this.map('peers').set(vtepBytes(vtep), u32Key(1));
  }

  setNetwork(vni: number, ports: readonly string[] | 'proxy', vteps: readonly (Ipv4 | Ipv6)[] = []): void {
    const locals = ports === 'proxy' ? [] : ports;
    for (const [i, name] of locals.entries())
      this.map('members').set(memberKey(vni, false, i), memberBytes({ ifindex: this.place(name).ifindex }));
    for (const [i, vtep] of vteps.entries()) this.map('members').set(memberKey(vni, true, i), memberBytes({ vtep }));
    this.map('networks').set(
      u32Key(vni),
      networkBytes({ flood: ports !== 'proxy', locals: locals.length, remotes: vteps.length, domain: vni }),
    );
  }

  /** Networks of a routing domain with their gateways, as the tables have them. */
  route(networks: readonly DatapathNetwork[], domain: number): void {
    const domains = new Map(networks.map(({ vni }) => [vni, domain]));
    const { tables } = buildTables({ peers: [], networks, endpoints: [], ports: [] }, new Map(), false, domains);
    for (const name of ['networks', 'subnets', 'endpoints'] as const)
      for (const [key, value] of tables[name]) this.map(name).set(keyBytes(key), value);
  }

  place(name: string): { readonly ifindex: number; readonly index: number } {
    const place = this.#ports.get(name);
    if (!place) throw new Error(`no port ${name}`);
    return place;
  }

  /** What everybody's rules are from now on. Connections keep their verdicts until the next epoch. */
  setPolicy(subjects: ReadonlyMap<number, PolicySet>): void {
    const { changes, dropped, failed } = this.#sets.next(subjects, true);
    if (failed.length > 0) throw new Error(failed.join('; '));
    for (const table of SET_TABLES) {
      for (const [key, value] of changes[table])
        if (value) this.map(table).set(key, value);
        else this.map(table).delete(key);
    }
    this.clear('subjects');
    for (const [number, set] of subjects) this.map('subjects').set(u32Key(number), this.#sets.subjectOf(set));
    for (const table of SET_TABLES)
      for (const key of this.map(table).keys()) if (dropped.has(setOfKey(table, key))) this.map(table).delete(key);
    this.configure({ policies: 1 });
  }

  addRule(rule: Rule): void {
    this.#rules.push(rule);
    const setOf = (group: number): PolicySet => ({
      rules: this.#rules.filter(({ to }) => to === 0 || to === group).map(inRule),
      denies: false,
    });
    this.setPolicy(new Map(Object.values(GROUP).map((group) => [group, setOf(group)])));
  }

  clear(...tables: readonly string[]): void {
    for (const name of tables) for (const key of this.map(name).keys()) this.map(name).delete(key);
  }

  forgetRules(): void {
    this.#rules = [];
    this.#sets = new RuleSets();
    this.clear('subjects', ...SET_TABLES, 'connections4', 'connections6', 'fragments');
    this.configure({ policies: 0 });
  }

  #drops(): bigint[] {
    return DROP_REASONS.map((_, i) => sumPerCpu(this.map('drops').get(u32Key(i)) ?? Buffer.alloc(0), 1)[0] ?? 0n);
  }

  dropsOfPort(name: string, reason: DropReason): bigint {
    const key = Buffer.alloc(4);
    key.writeUInt16LE(this.place(name).index, 0);
    key.writeUInt16LE(DROP_REASONS.indexOf(reason), 2);
    return sumPerCpu(this.map('port_drops').get(key) ?? Buffer.alloc(0), 1)[0] ?? 0n;
  }

  counters(name: string): bigint[] {
    return sumPerCpu(this.map('counters').get(u32Key(this.place(name).index)) ?? Buffer.alloc(0), 4);
  }

  /** Frames a port's container has got by copies; what is redirected goes nowhere under test. */
  delivered(name: string): number {
    const text = execFileSync('ip', ['-n', this.#netns, '-j', '-s', 'link', 'show', `${name}p`], { encoding: 'utf8' });
    const parsed: unknown = JSON.parse(text);
    const packets = /"rx":\{"bytes":\d+,"packets":(\d+)/.exec(JSON.stringify(parsed))?.[1];
    return Number(packets);
  }

  #program(program: keyof typeof PROGRAM): number {
    const fd = this.#object.programs.get(PROGRAM[program]);
    if (fd === undefined) throw new Error(`no program ${program}`);
    return fd;
  }

  #run(program: keyof typeof PROGRAM, frame: Uint8Array, ifindex: number, mark: number, segments: number, segment = 0): Outcome {
    const context = Buffer.alloc(192);
    context.writeUInt32LE(mark, 8);
    context.writeUInt32LE(ifindex, 40);
    context.writeUInt32LE(segments, 164);
    context.writeUInt32LE(segment, 176);
    const fd = this.#program(program);
    const before = this.#counted;
    const run = withNetns(this.#path, () => testRun(fd, frame, context));
    const after = this.#drops();
    this.#counted = after;
    const reasons = DROP_REASONS.filter((_, i) => after[i] !== before[i]);
    const verdict = VERDICTS.get(run.verdict as 0);
    if (verdict === undefined) throw new Error(`verdict ${run.verdict}`);
    const outer = parseOuter(this.map('outer').get(u32Key(1)));
    return { verdict, reason: reasons[0], packet: run.packet, mark: run.context.readUInt32LE(8), ...outer };
  }

  /** What becomes of a frame that the container behind `port` sends. */
  send(port: string, frame: Uint8Array, segments = 0): Outcome {
    return this.#run('container', frame, this.place(port).ifindex, 0, segments);
  }

  /** What becomes of a frame that came from `vtep`; without one it came through no tunnel. */
  receive(tunnel: { readonly vni: number; readonly vtep: Ipv4 | Ipv6 } | undefined, frame: Uint8Array): Outcome {
    this.map('outer').set(u32Key(0), tunnel ? tunnelledBytes(tunnel) : plainBytes());
    return { ...this.#run('tunnel', frame, 1, 0, 0), tunnel: undefined };
  }

  /** What becomes of a frame that an uplink brings with these tags, the outer one first. */
  receiveTagged(tags: readonly number[], frame: Uint8Array, ifindex = 1): Outcome {
    this.#tag(tags);
    return this.#run('uplink', frame, ifindex, 0, 0);
  }

  /** An interface that carries the tunnel, and a neighbour there: from here on the short way is open. */
  addUnderlay(neighbour: Ipv4): void {
    const device = { kind: 'veth', name: 'under', mac: UNDERLAY_MAC, up: true, peer: { name: 'underp', up: true } } as const;
    this.#underlay = this.#netlink.addLink(device);
    const script = [
      'echo 1 >/proc/sys/net/ipv4/ip_forward',
      'ip link set lo up',
      `ip address add ${OWN_VTEP}/24 dev under`,
      `ip neigh replace ${neighbour} lladdr 02:1a:00:00:00:51 dev under nud permanent`,
    ].join(' && ');
    execFileSync('nsenter', [`--net=${this.#path}`, 'sh', '-c', script]);
    this.configure({ shortPort: VXLAN_PORT });
  }

  /** What becomes of a frame that the underlay brings; one with a segment's size will be cut later. */
  receiveWrapped(frame: Uint8Array, segment = 0): Outcome {
    return this.#run('underlay', frame, this.#underlay, 0, segment > 0 ? 2 : 0, segment);
  }

  /** The same for many frames, whose fate nobody asks for. */
  receiveMany(vlan: number, frames: Iterable<Uint8Array>): void {
    this.#tag([vlan]);
    this.#runMany('uplink', 1, frames);
  }

  /** What a port's container sends, when nobody asks for each frame's fate. */
  sendMany(port: string, frames: Iterable<Uint8Array>): void {
    this.#runMany('container', this.place(port).ifindex, frames);
  }

  #runMany(program: keyof typeof PROGRAM, ifindex: number, frames: Iterable<Uint8Array>): void {
    const fd = this.#program(program);
    const context = Buffer.alloc(192);
    context.writeUInt32LE(ifindex, 40);
    withNetns(this.#path, () => {
      for (const frame of frames) testRun(fd, frame, context);
    });
    this.#counted = this.#drops();
  }

  #tag(tags: readonly number[]): void {
    this.map('outer').set(u32Key(0), taggedBytes(tags));
  }

  /** What becomes of a frame that the host's stack or we ourselves send to the container behind `port`. */
  give(port: string, frame: Uint8Array, mark: number): Outcome {
    return this.#run('into', frame, this.place(port).ifindex, mark, 0);
  }

  /** What becomes of a frame on a container's interface that no endpoint has. */
  sendFromNowhere(frame: Uint8Array): Outcome {
    return this.#run('container', frame, 1, 0, 0);
  }

  /** What becomes of a frame that the host sends by the device that leads out of the tenants. */
  returnFromOutside(frame: Uint8Array): Outcome {
    return this.#run('outside', frame, 1, 0, 0);
  }

  answerDns(frame: Uint8Array): Outcome {
    return this.#run('dns', frame, 1, 0, 0);
  }
}

export const OWN_VTEP = '192.168.2.50' as Ipv4;
export const VXLAN_PORT = 8472;
export const UNDERLAY_MAC = '02:1a:00:00:00:50' as Mac;
export const UPLINK_MAC = '02:1a:00:00:00:02' as Mac;
/** Two networks with equal addresses, one container elsewhere. */
export const VNI = 100 as Vni;
export const OTHER_VNI = 200 as Vni;
export const VTEP = '192.168.2.51' as Ipv4;
export const GROUP = { a: 1, b: 2, c: 3 } as const;
const IP = { a: '10.1.0.1' as Ipv4, b: '10.1.0.2' as Ipv4, c: '10.1.0.3' as Ipv4 };
export interface Station {
  readonly ip: Ipv4;
  readonly ip6: Ipv6;
  readonly mac: Mac;
}
const station = (name: 'a' | 'b' | 'c', n: number): Station => ({ ip: IP[name], ip6: `2001:db8::${n}` as Ipv6, mac: macOfIpv4(IP[name]) });
export const A = station('a', 1);
export const B = station('b', 2);
/** Lives on the other host. */
export const C = station('c', 3);

/** `a`, `b` here and `c` on the other host, all in one network; `twin` has a's addresses in another network. */
export function standardBench(): Bench {
  const bench = new Bench();
  bench.addPeer(VTEP);
  bench.addPort({ name: 'a', vni: VNI, group: GROUP.a, ...A });
  bench.addPort({ name: 'b', vni: VNI, group: GROUP.b, ...B });
  bench.addPort({ name: 'twin', vni: OTHER_VNI, group: 0, ...A });
  bench.addEndpoint({ vni: VNI, group: GROUP.c, ...C, at: { vtep: VTEP } });
  bench.setNetwork(VNI, 'proxy');
  bench.setNetwork(OTHER_VNI, 'proxy');
  return bench;
}
