/** The connections of a tenant on all hosts, those that go on and the newest of those that were recorded, and what a staged policy does to them. */
import type { Effect, SeenConnection } from '../core/staged/effect.js';
import type { Context } from '../http/context.js';

const LIMIT_MS = 8_000;
/** Recorded connections each host tells. */
const RECORDED = 20_000;
/** More are not looked at. */
const MAX_CONNECTIONS = 500_000;
/** Others get their turn after this, … */
const SLICE_MS = 20;
/** … and whoever asks an answer after this: it waits for 30 s, and longest for the hosts. */
const JUDGE_MS = 12_000;

export interface Seen {
  /** Those that go on come first. */
  readonly connections: readonly SeenConnection[];
  /** So many are not among them: there are too many. */
  readonly beyond: number;
  readonly missing: readonly { readonly host: string; readonly reason: string }[];
}

/** Each once, although both of its hosts know a connection. */
export async function seenConnections({ questions }: Pick<Context, 'questions'>, tenant: string): Promise<Seen> {
  const connections = new Map<string, SeenConnection>();
  const missing: { host: string; reason: string }[] = [];
  const unrecorded = new Map<string, number>();
  let beyond = 0;
  const signal = AbortSignal.timeout(2 * LIMIT_MS);
  for await (const answer of questions.ask('flows', { filter: { tenant }, limit: RECORDED }, { deadlineMs: LIMIT_MS, signal })) {
    if ('end' in answer) {
      if (answer.error !== undefined) missing.push({ host: answer.host, reason: answer.error });
      continue;
    }
    const { records, leftOut } = answer.chunk;
    unrecorded.set(answer.host, (unrecorded.get(answer.host) ?? 0) + leftOut);
    for (const { state, protocol, src, dst } of records) {
      const id = [src.network ?? dst.network, protocol, src.ip, src.port, dst.ip, dst.port].join(' ');
      const live = state === 'open' || (connections.get(id)?.live ?? false);
      const [from, to] = [src, dst].map(({ ip, port }) => ({ ip, port }));
      if (connections.size >= MAX_CONNECTIONS && !connections.has(id)) beyond++;
      else if (from && to) connections.set(id, { tenant, network: src.network ?? dst.network ?? '', live, protocol, from, to });
    }
  }
  for (const [host, count] of unrecorded)
    if (count > 0) missing.push({ host, reason: `${count} connections since its agent began are beyond what it records` });
  return { connections: [...connections.values()].toSorted((a, b) => Number(b.live) - Number(a.live)), beyond, missing };
}

/** Answers how many are left when the time is up. A large policy takes a millisecond a connection: others have their turns meanwhile. */
export async function judgeAll(effect: Effect, connections: readonly SeenConnection[], limitMs = JUDGE_MS): Promise<number> {
  const until = performance.now() + limitMs;
  let turn = performance.now() + SLICE_MS;
  for (const [i, connection] of connections.entries()) {
    effect.add(connection);
    if (performance.now() < turn) continue;
    if (performance.now() >= until) return connections.length - i - 1;
    await new Promise((resolve) => setImmediate(resolve));
    turn = performance.now() + SLICE_MS;
  }
  return 0;
}
