/** The connections of a tenant on all hosts: those that go on, and the newest of those that were recorded. */
import type { SeenConnection } from '../core/staged/effect.js';
import type { Context } from '../http/context.js';

const LIMIT_MS = 8_000;
/** Recorded connections each host tells. */
const RECORDED = 20_000;
/** More are not looked at. */
const MAX_CONNECTIONS = 500_000;

export interface Seen {
  readonly connections: readonly SeenConnection[];
  readonly missing: readonly { readonly host: string; readonly reason: string }[];
}

/** Each once, although both of its hosts know a connection. */
export async function seenConnections({ questions }: Pick<Context, 'questions'>, tenant: string): Promise<Seen> {
  const connections = new Map<string, SeenConnection>();
  const missing: { host: string; reason: string }[] = [];
  const signal = AbortSignal.timeout(2 * LIMIT_MS);
  for await (const answer of questions.ask('flows', { filter: { tenant }, limit: RECORDED }, { deadlineMs: LIMIT_MS, signal })) {
    if ('end' in answer) {
      if (answer.error !== undefined) missing.push({ host: answer.host, reason: answer.error });
      continue;
    }
    for (const { state, protocol, src, dst } of answer.chunk.records) {
      if (connections.size >= MAX_CONNECTIONS) break;
      const id = [src.network ?? dst.network, protocol, src.ip, src.port, dst.ip, dst.port].join(' ');
      const live = state === 'open' || (connections.get(id)?.live ?? false);
      const [from, to] = [src, dst].map(({ ip, port }) => ({ ip, port }));
      if (from && to) connections.set(id, { tenant, network: src.network ?? dst.network ?? '', live, protocol, from, to });
    }
  }
  return { connections: [...connections.values()], missing };
}
