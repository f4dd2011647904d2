import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { messageOf } from '../errors.js';
import { integerText, parseJson } from '../json.js';
import type { Log } from '../log.js';
import type { EngineClient } from './client.js';
import { type EngineEvent, eventSchema } from './shapes.js';

const MAX_LINE = 4 * 1024 * 1024;

/**
 * One long `/events` stream. Opened again after a loss with `since` the last event seen, so that none is missed; events of that
 * same moment that were seen already are left out.
 */
export class EventMonitor {
  readonly #client: EngineClient;
  readonly #deliver: (event: EngineEvent) => Promise<void>;
  readonly #log: Log;
  #stop: AbortController | undefined;
  #lastNano = 0n;
  #seenAtLast = new Set<string>();

  constructor(client: EngineClient, deliver: (event: EngineEvent) => Promise<void>, log: Log) {
    this.#client = client;
    this.#deliver = deliver;
    this.#log = log;
  }

  start(): void {
    if (this.#stop !== undefined) return;
    const stop = new AbortController();
    this.#stop = stop;
    void this.#run(stop.signal);
  }

  stop(): void {
    this.#stop?.abort();
    this.#stop = undefined;
  }

  async #run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        const since = this.#lastNano === 0n ? '' : `?since=${seconds(this.#lastNano)}`;
        const answer = await this.#client.stream('GET', `/v${this.#client.version}/events${since}`, { signal, headersTimeoutMs: 30_000 });
        if (answer.statusCode !== 200) throw new Error(`events answered ${answer.statusCode}`);
        failures = 0;
        await this.#read(answer);
      } catch (error) {
        if (!signal.aborted) this.#log.debug(`event stream of ${this.#client.addr} ended: ${messageOf(error)}`);
      }
      if (signal.aborted) return;
      failures = Math.min(failures + 1, 10);
      await Promise.race([new Promise((resolve) => setTimeout(resolve, failures * 500)), once(signal, 'abort')]);
    }
  }

  async #read(answer: IncomingMessage): Promise<void> {
    let rest = '';
    answer.setEncoding('utf8');
    for await (const chunk of answer) {
      rest += String(chunk);
      if (rest.length > MAX_LINE) throw new Error('an event is larger than 4 MiB');
      for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
        const line = rest.slice(0, end).trim();
        rest = rest.slice(end + 1);
        if (line !== '') await this.#take(line);
      }
    }
  }

  async #take(line: string): Promise<void> {
    const parsed = eventSchema.safeParse(parseJson(line));
    if (!parsed.success) return;
    const nano = BigInt(integerText(parsed.data.timeNano) ?? `${parsed.data.time}000000000`);
    if (nano === this.#lastNano) {
      if (this.#seenAtLast.has(line)) return;
    } else if (nano > this.#lastNano) {
      this.#lastNano = nano;
      this.#seenAtLast = new Set();
    }
    this.#seenAtLast.add(line);
    await this.#deliver(parsed.data);
  }
}

function seconds(nano: bigint): string {
  return `${nano / 1_000_000_000n}.${String(nano % 1_000_000_000n).padStart(9, '0')}`;
}
