/** Hosts: registration, the stream, the list, and forgetting one that is lost. */
import type { Socket } from 'node:net';
import {
  answerPost,
  answerReceipt,
  forwardedQuestion,
  HOST_NAME,
  HOST_NAME_RULE,
  hostInfo,
  hostRegistration,
  hostRules,
  isQuestionKind,
  MAX_ANSWER_POST,
  type QuestionBody,
  type QuestionKind,
  questionId,
  questions,
  Refusal,
} from '@contiv/model';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { forgetHost, holdingsOf, registerHost, releaseLost } from '../core/hosts.js';
import { presentHost } from '../core/present.js';
import { askOne } from '../effects/ask-agent.js';
import { inPieces } from '../effects/pieces.js';
import type { Context } from './context.js';
import { sendLines } from './ndjson.js';
import { json } from './objects.js';
import { parse } from './plugin.js';
import { requireListed } from './ready.js';

const hostName = z.string().min(1).max(253).regex(HOST_NAME, HOST_NAME_RULE);
const nameParam = z.object({ name: hostName });
const streamQuery = z.object({
  host: hostName,
  since: z.coerce.number().int().nonnegative().optional(),
  epoch: z.string().max(64).optional(),
});
const tags = ['hosts'];

export function agentRoutes(app: FastifyInstance, context: Context): void {
  const { mirror, writer } = context;
  app.post(
    '/agent/v1/hosts/:name',
    { bodyLimit: 64 * 1024, schema: { tags, params: nameParam, body: hostRegistration } },
    async (request, reply) => {
      const { name } = parse(nameParam, request.params);
      const registration = parse(hostRegistration, request.body);
      await writer.submit((state) => registerHost(state, name, registration));
      return json(reply, '{}');
    },
  );
  app.delete('/agent/v1/hosts/:name', { schema: { tags, params: nameParam } }, async (request, reply) => {
    const { name } = parse(nameParam, request.params);
    requireListed(context);
    const { state } = mirror;
    if (!state.host(name)) throw new Refusal('not-found', `host ${name} not found`);
    if (state.alive(name)) throw new Refusal('in-use', `host ${name} is connected; stop its netplugin before it is forgotten`);
    for (const piece of inPieces(holdingsOf(state, name))) await writer.submit((s) => releaseLost(s, name, piece));
    await writer.submit((s) => forgetHost(s, name));
    return json(reply, JSON.stringify(name));
  });
  app.get('/api/v1/hosts', { schema: { tags, response: { 200: z.array(hostInfo) } } }, (_request, reply) => {
    requireListed(context);
    const hosts = [...mirror.state.all('host')].toSorted((a, b) => (a.key < b.key ? -1 : 1));
    return json(reply, JSON.stringify(hosts.map((host) => presentHost(mirror.state, host))));
  });
  app.get('/api/v1/hosts/:name', { schema: { tags, params: nameParam, response: { 200: hostInfo } } }, (request, reply) => {
    requireListed(context);
    const host = mirror.state.host(parse(nameParam, request.params).name);
    if (!host) throw new Refusal('not-found', 'host not found');
    return json(reply, JSON.stringify(presentHost(mirror.state, host)));
  });
  app.get('/api/v1/hosts/:name/rules', { schema: { tags, params: nameParam, response: { 200: hostRules } } }, async (request, reply) => {
    requireListed(context);
    const { name } = parse(nameParam, request.params);
    if (!mirror.state.host(name)) throw new Refusal('not-found', 'host not found');
    return json(reply, JSON.stringify(await askOne(context.questions, name, 'rules', {})));
  });
  app.get('/agent/v1/stream', { schema: { tags, querystring: streamQuery } }, async (request, reply) => {
    await openStream(context, parse(streamQuery, request.query), request.raw.socket, reply);
  });
  app.post(
    '/agent/v1/answers/:id',
    { bodyLimit: MAX_ANSWER_POST, schema: { tags, params: answerParam, body: answerPost, response: { 200: answerReceipt } } },
    async (request, reply) => {
      const { id } = parse(answerParam, request.params);
      return json(reply, JSON.stringify(await context.questions.accept(id, parse(answerPost, request.body))));
    },
  );
  app.post('/agent/v1/questions', { bodyLimit: MAX_ANSWER_POST, schema: { tags, body: forwardedQuestion } }, async (request, reply) => {
    const { kind, body, hosts, deadlineMs } = parse(forwardedQuestion, request.body);
    if (!isQuestionKind(kind)) throw new Refusal('invalid', `this netmaster knows no questions of kind ${kind}`);
    await forwarded(context, kind, body, hosts, deadlineMs, reply);
  });
}

const answerParam = z.object({ id: questionId });

/** Another master's question, for agents whose stream is here. */
function forwarded<K extends QuestionKind>(
  context: Context,
  kind: K,
  body: unknown,
  hosts: readonly string[],
  deadlineMs: number | undefined,
  reply: FastifyReply,
): Promise<void> {
  const checked = parse(questions[kind].body, body) as QuestionBody<K>;
  return sendLines(reply, (signal) =>
    context.questions.ask(kind, checked, { hosts, signal, local: true, ...(deadlineMs === undefined ? {} : { deadlineMs }) }),
  );
}

async function openStream(
  context: Context,
  { host, since, epoch }: z.infer<typeof streamQuery>,
  socket: Socket,
  reply: FastifyReply,
): Promise<void> {
  requireListed(context);
  if (!context.background.bootstrapped) throw new Refusal('unavailable', 'netmaster is starting; ask again in a moment');
  // An agent that comes from another master may be ahead of this one for a moment.
  if (since !== undefined) await context.mirror.waitFor(since, 2_000);
  if (!context.mirror.state.host(host))
    throw new Refusal('not-found', `host ${host} is not registered; POST /agent/v1/hosts/${host} first`);
  reply.hijack();
  const response = reply.raw;
  // Who has gone while we waited would never be told to have gone.
  if (response.destroyed || socket.destroyed) return;
  socket.setNoDelay(true);
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  const leave = context.hub.open(host, response, since, epoch);
  const destroy = () => response.destroy();
  response.on('error', () => undefined);
  response.once('close', () => {
    leave();
    void context.presence.disconnected(host, destroy);
  });
  context.logger.info({ host, since }, 'agent connected');
  await context.presence.connected(host, socket, destroy);
}
