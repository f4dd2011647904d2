/**
 * What would become of a packet, asked of the programs themselves: a second instance of them runs on synthetic frames, with the tables at work
 * to read and private ones for whatever is written. So nothing is sent, counted, learned or remembered, and live traffic meets none of it.
 */
import { type BpfMap, type LoadedObject, loadObject, testRun } from '@contiv/syscall';
import type { Arrival, Fate, Trial, TrialOutcome } from './contract.js';
import { DatapathError, reasonOf } from './errors.js';
import { sumPerCpu } from './kernel/counting.js';
import { sameShape } from './kernel/programs.js';
import { parsePort, u32Key, withoutShortcut } from './maps/layout.js';
import { type Outer, parseOuter, plainBytes, taggedBytes, tunnelledBytes } from './maps/outer.js';
import { DROP_REASONS } from './maps/reasons.js';
import { TABLES } from './maps/tables.js';

/** Read, not copied: what the agent writes and programs only look up. Members of flood lists are not among them: a copy would really be sent. */
const SHARED: ReadonlySet<string> = new Set(TABLES.filter((name) => name !== 'members'));
/** Sizes of private tables that are large at work. */
const ENTRIES: Readonly<Record<string, number>> = {
  connections4: 1_024,
  connections6: 1_024,
  fragments: 1_024,
  stations: 64,
  port_drops: 256,
};

const PROGRAM = { container: 'try_container', tunnel: 'try_tunnel', uplink: 'try_uplink' } as const;
const TC_ACT_REDIRECT = 7;
/** Offsets in `struct tracked` of bpf/maps.h. */
const RULE_AT = 8;
const DENIED_AT = 12;

/** Interfaces by name and number. */
export interface Places {
  /** Throws `DatapathError` for a port that is not there. */
  readonly ifindexOf: (port: string) => number;
  readonly portAt: (ifindex: number) => string;
  /** The uplink in use, 0 for none. */
  readonly uplink: () => number;
}

/** Tables that one trial's frames write and the next one's must not find. */
const WRITTEN = ['connections4', 'connections6', 'fragments', 'stations'] as const;
/** The verifier takes a quarter of a second over the programs, and the agent waits for it: they are kept for so long after a trial. */
const KEPT_MS = 300_000;

/** Trials, one at a time, on programs that are loaded for the first of them. */
export class Trials {
  readonly #live: (name: string) => BpfMap;
  readonly #places: Places;
  #loaded: { readonly object: LoadedObject; readonly tables: ReadonlyMap<string, number> } | undefined;
  #end: NodeJS.Timeout | undefined;

  /** @param live tables of the programs at work */
  constructor(live: (name: string) => BpfMap, places: Places) {
    this.#live = live;
    this.#places = places;
  }

  /** Throws `DatapathError` when the tables are of another version than the object's. */
  open(objectPath: string): Trial {
    clearTimeout(this.#end);
    // Programs that were exchanged may have brought tables of their own.
    if ([...(this.#loaded?.tables ?? [])].some(([name, fd]) => this.#live(name).fd !== fd)) this.close();
    this.#loaded ??= load(objectPath, this.#live);
    const { object } = this.#loaded;
    for (const name of WRITTEN) {
      const map = object.maps.get(name);
      for (const [key] of map?.entries() ?? []) map?.delete(key);
    }
    const held = this.#live('config').get(u32Key(0));
    // The short way would put the outer headers around the frame; through the tunnel device it stays as it is, and where it goes is told beside it.
    if (held) object.maps.get('config')?.set(u32Key(0), withoutShortcut(held));
    return new KernelTrial(object, this.#places, () => {
      this.#end = setTimeout(() => this.close(), KEPT_MS).unref();
    });
  }

  close(): void {
    clearTimeout(this.#end);
    this.#loaded?.object.close();
    this.#loaded = undefined;
  }
}

function load(objectPath: string, live: (name: string) => BpfMap): { object: LoadedObject; tables: Map<string, number> } {
  const tables = new Map<string, number>();
  try {
    const object = loadObject(objectPath, {
      reuse: (shape) => {
        if (!SHARED.has(shape.name)) return undefined;
        const map = live(shape.name);
        if (!sameShape(map.shape, shape)) throw new DatapathError(`the table ${shape.name} is of another version; restart netplugin`);
        tables.set(shape.name, map.fd);
        return map.fd;
      },
      entries: (shape) => (SHARED.has(shape.name) ? undefined : ENTRIES[shape.name]),
    });
    return { object, tables };
  } catch (error) {
    throw error instanceof DatapathError ? error : new DatapathError(`the programs for trials cannot be loaded: ${reasonOf(error)}`);
  }
}

class KernelTrial implements Trial {
  readonly #object: LoadedObject;
  readonly #places: Places;
  readonly close: () => void;

  constructor(object: LoadedObject, places: Places, close: () => void) {
    this.#object = object;
    this.#places = places;
    this.close = close;
  }

  run(arrival: Arrival, frame: Uint8Array): TrialOutcome {
    const fd = this.#object.programs.get(PROGRAM[arrival.by]);
    if (fd === undefined)
      throw new DatapathError(`the object for trials has no program ${PROGRAM[arrival.by]}; it belongs to another version`);
    this.#map('outer').set(u32Key(0), outerOf(arrival));
    // struct __sk_buff: ifindex at byte 40.
    const context = Buffer.alloc(192);
    context.writeUInt32LE(this.#ifindex(arrival), 40);
    const before = { drops: this.#drops(), sent: this.#sent() };
    const run = testRun(fd, frame, context);
    const drops = this.#drops();
    const reason = DROP_REASONS.find((_, i) => drops[i] !== before.drops[i]);
    const outer = arrival.by === 'tunnel' ? { tunnel: undefined, vlan: undefined } : parseOuter(this.#map('outer').get(u32Key(1)));
    const received = this.#sent().find(({ ifindex, packets }) => packets > (before.sent.find((p) => p.ifindex === ifindex)?.packets ?? 0n));
    const redirected = run.verdict === TC_ACT_REDIRECT;
    return {
      fate: redirected
        ? fateOf(outer, received && this.#places.portAt(received.ifindex), frame, run.packet)
        : { to: 'nowhere', ...(reason === undefined ? {} : { reason }) },
      reason,
      frame: run.packet,
      decided: this.#decided(),
    };
  }

  #ifindex(arrival: Arrival): number {
    if (arrival.by === 'container') return this.#places.ifindexOf(arrival.port);
    // Any interface does for what comes through the tunnel.
    return arrival.by === 'uplink' ? this.#places.uplink() : LOOPBACK;
  }

  #map(name: string): BpfMap {
    const map = this.#object.maps.get(name);
    if (!map) throw new DatapathError(`the object for trials has no table ${name}; it belongs to another version`);
    return map;
  }

  #drops(): bigint[] {
    return DROP_REASONS.map((_, i) => sumPerCpu(this.#map('drops').get(u32Key(i)) ?? Buffer.alloc(0), 1)[0] ?? 0n);
  }

  /** Packets given to each local port in this trial. */
  #sent(): { readonly ifindex: number; readonly packets: bigint }[] {
    const counters = this.#map('counters');
    return this.#map('ports')
      .entries()
      .map(([key, value]) => {
        const sums = sumPerCpu(counters.get(u32Key(parsePort(value).index)) ?? Buffer.alloc(0), 4);
        return { ifindex: key.readUInt32LE(0), packets: sums[2] ?? 0n };
      });
  }

  #decided(): TrialOutcome['decided'] {
    const [entry] = [...this.#map('connections4').entries(), ...this.#map('connections6').entries()];
    return entry && { rule: entry[1].readUInt32LE(RULE_AT), denied: entry[1].readUInt8(DENIED_AT) !== 0 };
  }
}

const LOOPBACK = 1;

function outerOf(arrival: Arrival): Buffer {
  if (arrival.by === 'tunnel') return tunnelledBytes(arrival);
  return arrival.by === 'uplink' ? taggedBytes([arrival.vlan]) : plainBytes();
}

/** Where a redirected frame goes. The kernel does not tell; what was done to the frame does. */
function fateOf(outer: Outer, port: string | undefined, before: Uint8Array, after: Buffer): Fate {
  if (outer.tunnel) return { to: 'tunnel', vni: outer.tunnel.vni, vtep: outer.tunnel.to };
  if (outer.vlan !== undefined) return { to: 'uplink', vlan: outer.vlan };
  if (port !== undefined) return { to: 'container', port };
  if (after.subarray(0, 6).equals(before.subarray(6, 12))) return { to: 'sender' };
  // The outer device's MAC begins with 02:02, as containers' do; only there the source was translated.
  return after.subarray(26, 30).equals(before.subarray(26, 30)) ? { to: 'host' } : { to: 'outside' };
}
