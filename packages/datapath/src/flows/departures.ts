/**
 * Connections end with their container: entries of an address that has left are removed, so that the next container which gets it inherits
 * nothing that was allowed to the one before. The tables are walked through in slices, and never for more than a share of the time.
 */
import type { BpfMap } from '@contiv/syscall';
import { parseTracked, type TrackedConnection } from './codec.js';
import { nowUnits } from './source.js';

/** Entries looked at before others have their turn. */
const SLICE = 2_048;
/** Containers seldom leave alone: so long the next walk waits for more of them. */
const SOON_MS = 100;
/** Walks take no more than this part of the time, unless somebody waits for one. */
const SHARE = 20;
/** Ends that wait to be told; the others are found when flows are compared with the tables. */
const MOST_ENDED = 4_096;
/** Of `struct tracked`. */
const STARTED_AT = 16;

/** When each address left, in units of 2^30 ns: 4 bytes or 16, as text, by routing domain. */
type Left = Map<number, Map<string, number>>;

const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');
/** @param address as tables have it, in 16 bytes */
const textOf = (address: Buffer): string => address.toString('latin1', address.subarray(0, 12).equals(MAPPED) ? 12 : 0, 16);

export class Departures {
  readonly #map: (name: string) => BpfMap;
  #waiting: Left = new Map();
  #going: Left = new Map();
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pauseMs = SOON_MS;
  #ended: TrackedConnection[] = [];
  /** Addresses given out since the start: of who leaves one of these, this agent knows. */
  readonly #given = new Map<number, Set<string>>();
  #closed = false;

  constructor(map: (name: string) => BpfMap) {
    this.#map = map;
  }

  /** Whoever had the address has left: what it began so far is removed within a moment. */
  add(domain: number, address: Buffer): void {
    const of = this.#waiting.get(domain) ?? new Map<string, number>();
    this.#waiting.set(domain, of.set(textOf(address), nowUnits()));
    if (!this.#running) this.#schedule();
  }

  /**
   * Resolves when no connection is left of whoever had these addresses before. An earlier agent may have been killed before it had removed
   * those of somebody who left: what is given out for the first time may still have some.
   */
  async done(domain: number, addresses: readonly Buffer[]): Promise<void> {
    const texts = addresses.map(textOf);
    const given = this.#given.get(domain) ?? new Set<string>();
    this.#given.set(domain, given);
    for (const address of addresses) {
      if (given.has(textOf(address))) continue;
      given.add(textOf(address));
      this.add(domain, address);
    }
    const concerned = (left: Left) => texts.some((text) => left.get(domain)?.has(text));
    while (!this.#closed && (concerned(this.#going) || concerned(this.#waiting))) await this.#run();
  }

  /** Connections that were told of, and have ended this way since the last call. */
  takeEnded(): TrackedConnection[] {
    return this.#ended.splice(0);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => void this.#run().catch(() => undefined), this.#pauseMs).unref();
  }

  #run(): Promise<void> {
    this.#running ??= this.#sweep().finally(() => {
      this.#running = undefined;
      if (this.#waiting.size > 0 && !this.#closed) this.#schedule();
    });
    return this.#running;
  }

  async #sweep(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#going = this.#waiting;
    this.#waiting = new Map();
    let took = 0;
    try {
      for (const name of ['connections4', 'connections6']) took += await this.#walk(name);
    } catch (error) {
      // They are tried again with the next ones.
      for (const [domain, of] of this.#going) this.#waiting.set(domain, new Map([...of, ...(this.#waiting.get(domain) ?? [])]));
      throw error;
    } finally {
      this.#going = new Map();
      this.#pauseMs = Math.max(SOON_MS, took * SHARE);
    }
  }

  /** Answers how long it was at work, in milliseconds. */
  async #walk(name: string): Promise<number> {
    if (this.#closed) return 0;
    let took = 0;
    let since = cpuMs();
    const map = this.#map(name);
    let looked = 0;
    for (const [key, value] of map.walk()) {
      const of = this.#going.get(key.readUInt32LE(0));
      if (of && leaves(of, key, value.readUInt32LE(STARTED_AT))) {
        map.delete(key);
        this.#note(parseTracked(key, value));
      }
      if (++looked % SLICE !== 0) continue;
      took += cpuMs() - since;
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#closed) return took;
      since = cpuMs();
    }
    return took + cpuMs() - since;
  }

  #note(connection: TrackedConnection): void {
    const { told, denied, end } = connection;
    if (told && !denied && end === undefined && this.#ended.length < MOST_ENDED) this.#ended.push(connection);
  }
}

/** What this process has taken of the processors: on a busy host a walk waits for one longer than it works. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** Did one of the two ends leave after the connection began? What began later is somebody else's. */
function leaves(of: ReadonlyMap<string, number>, key: Buffer, started: number): boolean {
  const size = key.length === 20 ? 4 : 16;
  return [4, 4 + size].some((at) => {
    const left = of.get(key.toString('latin1', at, at + size));
    return left !== undefined && (left - started) >>> 0 < 0x8000_0000;
  });
}
