/** `GET /api/v1/flows`: connections of all hosts, line by line. */
import { type FlowFilter, type FlowLine, type FlowRecord, flowLine } from '@contiv/model';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { connectionOf, Gathered, mergeAll, TwinWait } from '../core/flows.js';
import { Channel } from '../effects/channel.js';
import type { Context } from './context.js';
import { sendLines } from './ndjson.js';
import { parse } from './plugin.js';
import { requireListed } from './ready.js';

const HISTORY_MS = 15_000;
const LIVE_MS = 5_000;
/** Records of all hosts together that one answer may hold. */
const MAX_RECORDS = 200_000;
/** How long the record of one host waits for that of the other. */
const TWIN_MS = 1_500;
const TURN_MS = 250;
/** A host that ended its answer is asked again after this, or once its agent has come anew. */
const AGAIN_MS = 5_000;

const flag = z.enum(['', 'true', 'false', '1', '0']).transform((v) => v !== 'false' && v !== '0');
const name = z.string().min(1).max(253);

const query = z.object({
  tenant: z.string().min(1).max(64).optional(),
  /** Of the caller and of the called: container, group, network, host, address or prefix. */
  from: name.optional(),
  to: name.optional(),
  verdict: z.enum(['allow', 'deny']).optional(),
  /** Number by IANA; ICMP is that of both families. */
  protocol: z.coerce.number().int().min(0).max(255).optional(),
  /** Of the called one. */
  port: z.coerce.number().int().min(1).max(65_535).optional(),
  /** Milliseconds since 1970. */
  since: z.coerce.number().int().nonnegative().optional(),
  /** The newest so many of those that are over; those that go on come besides. */
  limit: z.coerce.number().int().min(0).max(100_000).default(1_000),
  /** Only what goes on, with counters of this moment. */
  live: flag.optional(),
  /** Afterwards what happens from now on. */
  follow: flag.optional(),
});
type Query = z.output<typeof query>;

export function flowRoutes(app: FastifyInstance, context: Context): void {
  const schema = { tags: ['flows'], querystring: z.object({ ...query.shape, live: z.string().optional(), follow: z.string().optional() }) };
  app.get('/api/v1/flows', { schema: { ...schema, response: { 200: flowLine } } }, async (request, reply) => {
    requireListed(context);
    const wanted = parse(query, request.query);
    await sendLines(reply, (signal) => lines(context, wanted, signal));
  });
}

function filterOf({ limit: _limit, live: _live, follow: _follow, ...filter }: Query): FlowFilter {
  return filter;
}

async function* lines(context: Context, wanted: Query, signal: AbortSignal): AsyncGenerator<FlowLine, void, undefined> {
  // What happens while the past is collected waits.
  const news = wanted.follow ? following(context, wanted, signal) : undefined;
  const told = new Set<string>();
  try {
    const gathered = new Gathered(MAX_RECORDS);
    const { limit, live = false } = wanted;
    const question = { filter: filterOf(wanted), limit, live };
    for await (const answer of context.questions.ask('flows', question, { deadlineMs: live ? LIVE_MS : HISTORY_MS, signal })) {
      const { host } = answer;
      if ('chunk' in answer) {
        const isCut = gathered.add(host, answer.chunk.records);
        if (answer.chunk.leftOut > 0) yield { type: 'left-out', host, records: answer.chunk.leftOut };
        if (isCut) yield { type: 'missing', host, reason: 'more records than one answer takes; ask for fewer' };
      } else if (answer.error !== undefined) yield { type: 'missing', host, reason: answer.error };
    }
    for (const flow of mergeAll(gathered.records, limit)) {
      yield { type: 'flow', flow };
      told.add(momentOf(flow));
    }
    if (!news) return;
    yield { type: 'now' };
    for await (const line of news.lines) if (line.type !== 'flow' || !told.has(momentOf(line.flow))) yield line;
  } finally {
    news?.stop();
  }
}

const momentOf = (flow: FlowRecord): string => `${connectionOf(flow)} ${flow.start} ${flow.state}`;

interface News {
  readonly lines: AsyncIterable<FlowLine>;
  /** To be called in any case: also who never began to read is followed for. */
  readonly stop: () => void;
}

/** What happens, twins made one; agents that come are asked as they come. */
function following(context: Context, wanted: Query, signal: AbortSignal): News {
  const channel = new Channel<FlowLine>(4_096);
  const over = new AbortController();
  const twins = new TwinWait(TWIN_MS);
  let timer: NodeJS.Timeout | undefined;
  const stop = () => {
    clearInterval(timer);
    signal.removeEventListener('abort', stop);
    over.abort();
    channel.close();
  };
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  const tell = (flows: readonly FlowRecord[]) => channel.push(flows.map((flow): FlowLine => ({ type: 'flow', flow })));
  const { state } = context.mirror;
  const asked = new Set<string>();
  const ended = new Map<string, { readonly at: number; readonly stream: number | undefined }>();
  const end = async (host: string, reason: string | undefined) => {
    asked.delete(host);
    ended.set(host, { at: Date.now(), stream: state.alive(host)?.modRevision });
    if (reason !== undefined) await channel.push([{ type: 'missing', host, reason }]);
  };
  const ask = async (hosts: readonly string[]) => {
    for (const host of hosts) asked.add(host);
    const question = { filter: filterOf(wanted), limit: 0, follow: true };
    try {
      for await (const answer of context.questions.ask('flows', question, { hosts, signal: over.signal })) {
        const { host } = answer;
        if ('chunk' in answer) {
          if (answer.chunk.leftOut > 0) await channel.push([{ type: 'left-out', host, records: answer.chunk.leftOut }]);
          await tell(answer.chunk.records.flatMap((record) => twins.take(record, Date.now())));
        } else await end(host, answer.error);
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      for (const host of hosts) if (asked.has(host)) await end(host, reason);
    }
  };
  const mayBeAsked = (host: string): boolean => {
    const stream = state.alive(host)?.modRevision;
    const last = ended.get(host);
    return stream !== undefined && !asked.has(host) && (!last || last.stream !== stream || Date.now() - last.at >= AGAIN_MS);
  };
  const turn = () => {
    void tell(twins.due(Date.now()));
    const hosts = [...state.all('host')].map(({ place }) => place.first).filter(mayBeAsked);
    if (hosts.length > 0) void ask(hosts);
  };
  if (!signal.aborted) {
    timer = setInterval(turn, TURN_MS);
    turn();
  }
  return { lines: channel.read(), stop };
}
