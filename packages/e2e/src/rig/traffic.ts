/** Packets between two containers while something else happens: pings at 200 a second and a TCP stream, and what became of them. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Rig } from './rig.js';
import { eventually } from './run.js';

export interface Place {
  readonly host: string;
  readonly container: string;
  readonly ip: string;
}

export interface Outcome {
  readonly answered: number;
  /** Pings between the first and the last answer that had none. */
  readonly lost: number;
  /** Where they are missing, for whoever reads of a failure: `13 after 1790000000.123`, in seconds since 1970, and what refused to send them. */
  readonly misses: readonly string[];
  /** Longest time an answer was owed, in milliseconds: whoever waits for a processor asks nothing. */
  readonly longestGapMs: number;
  /** Median round trip of the pings in milliseconds. */
  readonly rttMs: number;
  /** Megabits per second of the stream, second by second. */
  readonly stream: readonly number[];
}

/** Between two pings. */
export const PING_INTERVAL_MS = 5;
const pings = (to: string): string[] => ['perl', fileURLToPath(new URL('pings.pl', import.meta.url)), to, String(PING_INTERVAL_MS / 1000)];

/** Slow enough not to compete with what is being tested for the processor. */
const STREAM_RATE = '50M';
/** Until it runs, on a machine under load. */
const STARTS_MS = 60_000;

export class Traffic {
  readonly #rig: Rig;
  readonly #running: { readonly host: string; readonly child: ChildProcess; readonly pidFile: string; readonly output: string[] }[] = [];

  private constructor(rig: Rig) {
    this.#rig = rig;
  }

  /** Runs as soon as this resolves: pings are answered and the stream has sent for a second. */
  static async start(rig: Rig, from: Place, to: Place): Promise<Traffic> {
    const traffic = new Traffic(rig);
    const server = await traffic.#spawn(to, 'iperf-server', ['iperf3', '-s', '-1', '--forceflush']);
    await eventually(
      'iperf3 listens',
      async () => {
        if (!server.join('').includes('listening')) throw new Error(server.join(''));
      },
      STARTS_MS,
    );
    const ping = await traffic.#spawn(from, 'ping', pings(to.ip));
    const stream = [
      'iperf3',
      '-c',
      to.ip,
      '-t',
      '3600',
      '-i',
      '1',
      '-f',
      'm',
      '-b',
      STREAM_RATE,
      '--forceflush',
      '--connect-timeout',
      String(STARTS_MS),
    ];
    const client = await traffic.#spawn(from, 'iperf-client', stream);
    await eventually(
      'a second of the stream',
      async () => {
        if (rates(client.join('')).length === 0) throw new Error(client.join(''));
      },
      STARTS_MS,
    );
    await eventually(
      'an answer to ping',
      async () => {
        if (parsePings(ping.join('')).length < 10) throw new Error(ping.join(''));
      },
      STARTS_MS,
    );
    return traffic;
  }

  async #spawn(place: Place, name: string, argv: readonly string[]): Promise<readonly string[]> {
    const { host, container } = place;
    const pid = await this.#rig.docker(host, 'inspect', '-f', '{{.State.Pid}}', container);
    const pidFile = `/run/e2e-${container}-${name}.pid`;
    const shell = `echo $$ >${pidFile}; exec nsenter -t ${pid} -n "$@"`;
    const child = this.#rig.spawn(await this.#rig.entering(host, 'sh', '-c', shell, 'sh', ...argv));
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => output.push(text));
    this.#running.push({ host, child, pidFile, output });
    return output;
  }

  async stop(): Promise<Outcome> {
    const text: string[] = [];
    for (const { host, child, pidFile, output } of this.#running.splice(0).toReversed()) {
      const ended = child.exitCode === null ? once(child, 'close') : undefined;
      await this.#rig.tryOn(host, 'sh', '-c', `kill -INT $(cat ${pidFile}); rm ${pidFile}`);
      await ended;
      text.push(output.join(''));
    }
    return outcomeOf(text.join('\n'));
  }
}

/** Two hundred pings a second out of a container while `work` is done; and what became of them. */
export async function pingDuring(rig: Rig, from: Place, to: string, work: () => Promise<void>): Promise<Outcome> {
  const pid = await rig.pidOf(from.host, from.container);
  const pidFile = `/run/e2e-${from.container}-ping.pid`;
  const shell = `echo $$ >${pidFile}; exec nsenter -t ${pid} -n "$@"`;
  const child = rig.spawn(await rig.entering(from.host, 'sh', '-c', shell, 'sh', ...pings(to)));
  const output: string[] = [];
  const ended = once(child, 'close');
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => output.push(text));
  try {
    await eventually('answers to ping', async () => {
      if (outcomeOf(output.join('')).answered <= 10) throw new Error(output.join(''));
    });
    await work();
  } finally {
    await rig.on(from.host, 'sh', '-c', `kill -INT $(cat ${pidFile}); rm ${pidFile}`);
    await ended;
  }
  return outcomeOf(output.join(''));
}

export function outcomeOf(text: string): Outcome {
  const pings = parsePings(text);
  const inOrder = [...new Map(pings.toReversed().map((ping) => [ping.seq, ping])).values()].sort((a, b) => a.seq - b.seq);
  const refused = new Map([...text.matchAll(/^send (\d+): (.*)$/gm)].map(([, seq, why]) => [Number(seq), why]));
  const misses = inOrder.flatMap((ping, i) => {
    const previous = inOrder[i - 1];
    const missing = previous === undefined ? 0 : ping.seq - previous.seq - 1;
    if (previous === undefined || missing === 0) return [];
    const why = refused.get(previous.seq + 1);
    return [`${missing} after ${previous.at.toFixed(3)}${why === undefined ? '' : `: ${why}`}`];
  });
  let longestGapMs = 0;
  for (const [i, ping] of inOrder.entries()) {
    const previous = inOrder[i - 1];
    const gap = previous === undefined || previous.seq === ping.seq - 1 ? 0 : (ping.at - previous.at) * 1000;
    longestGapMs = Math.max(longestGapMs, gap, ping.ms);
  }
  const answered = inOrder.length;
  const [first, last] = [inOrder[0], inOrder.at(-1)];
  const sent = first && last ? last.seq - first.seq + 1 : 0;
  return { answered, lost: sent - answered, misses, longestGapMs, rttMs: median(pings.map((ping) => ping.ms)), stream: rates(text) };
}

/** Answers in the order they came. */
function parsePings(text: string): { seq: number; at: number; ms: number }[] {
  return [...text.matchAll(/^\[(\d+\.\d+)\] \d+ bytes from .*? icmp_seq=(\d+) .*?time=(-?[\d.]+)/gm)].map(([, at, seq, ms]) => ({
    seq: Number(seq),
    at: Number(at),
    ms: Number(ms),
  }));
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

/** Whole seconds only, as nearly as a busy machine keeps them: the last interval, cut short by the end, says nothing. */
function rates(text: string): number[] {
  return [...text.matchAll(/^\[ *\d+\] +(\d+\.\d+)-(\d+\.\d+) +sec .*? ([\d.]+) Mbits\/sec +\d+ +[\d.]+ \S?Bytes/gm)]
    .filter(([, from, to]) => Math.abs(Number(to) - Number(from) - 1) < 0.1)
    .map(([, , , rate]) => Number(rate));
}
