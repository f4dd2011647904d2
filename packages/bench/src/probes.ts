/** Measurements between two network stacks, whichever way their commands are run. */

/**
 * On the first processor, as a mask. A request and its response take turns, so both ends of every path share one: on two, what is measured is
 * mostly how fast an idle one wakes up, and where the scheduler puts the ends decides which path wins. Streams are left to it: they keep all
 * processors busy, and pinned ones wait for whatever else the machine does.
 */
const PINNED = ['taskset', '1'] as const;

const TCP_PORT = '11111';
/** What the probes speak with. */
export const SERVERS = {
  stream: ['iperf3', '-s'],
  roundTrip: [...PINNED, 'sockperf', 'server', '--tcp', '-p', TCP_PORT],
} as const;

/** Runs a command where the measurement starts or ends: a host or a container. */
export type Shell = (...command: string[]) => Promise<string>;

/**
 * Time of one round trip of a flood ping in microseconds: the whole run over its count, which is finer than the whole microseconds of ping's
 * own mean. It includes what ping itself needs between two packets, the same for every path.
 */
export async function floodPing(from: Shell, to: string, count: number): Promise<number> {
  // By its path: in an image with busybox, its taskset would run its own ping.
  const text = await from(...PINNED, '/usr/bin/ping', '-f', '-q', '-c', String(count), to);
  const received = Number(/(\d+) received/.exec(text)?.[1]);
  const total = Number(/time (\d+)ms/.exec(text)?.[1]);
  if (received !== count || !(total > 0)) throw new Error(`ping of ${to} lost packets or printed no time: ${text}`);
  return (total * 1000) / count;
}

/** How many of so many pings had no answer. */
export async function lostPings(from: Shell, to: string, count: number, intervalMs: number): Promise<number> {
  // It ends with 1 when the last one is lost, and all that counts is printed.
  const text = await from('sh', '-c', `/usr/bin/ping -q -i ${intervalMs / 1000} -W 1 -c ${count} ${to} || true`);
  const received = Number(/(\d+) received/.exec(text)?.[1]);
  if (!(received > 0)) throw new Error(`no ping to ${to} was answered: ${text}`);
  return count - received;
}

/**
 * Median round trip of small TCP requests and responses in microseconds (sockperf ping-pong, its smallest message, 14 bytes). Its mean would
 * also tell what else the machine had to do in that second.
 */
export async function tcpRoundTrip(from: Shell, to: string, seconds: number): Promise<number> {
  const command = ['sockperf', 'ping-pong', '--tcp', '-i', to, '-p', TCP_PORT, '-t', String(seconds), '--msg-size', '14'];
  const text = await from(...PINNED, ...command);
  const half = text.match(/percentile 50\.000 = +([\d.]+)/)?.[1];
  if (half === undefined) throw new Error(`sockperf printed no latency: ${text}`);
  return Number(half) * 2;
}

/** TCP throughput in Gbit/s as the receiver counted it. */
export async function stream(from: Shell, to: string, seconds: number, parallel: number): Promise<number> {
  const text = await from('iperf3', '-J', '-c', to, '-t', String(seconds), '-P', String(parallel));
  const report: unknown = JSON.parse(text);
  const bits = pick(report, 'end', 'sum_received', 'bits_per_second');
  if (typeof bits !== 'number') throw new Error(`iperf3 gave no result: ${text.slice(0, 300)}`);
  return bits / 1e9;
}

function pick(value: unknown, ...path: string[]): unknown {
  let at = value;
  for (const name of path) at = typeof at === 'object' && at !== null ? Reflect.get(at, name) : undefined;
  return at;
}
