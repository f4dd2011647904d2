/** What helps to find a fault: traces, and repairing a host's tables at once. */
import { doctorAnswer, hostRepair, Refusal, traceAnswer, traceQuery } from '@contiv/model';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { askOne } from '../effects/ask-agent.js';
import { examine } from '../effects/doctor.js';
import { trace } from '../effects/trace.js';
import type { Context } from './context.js';
import { json } from './objects.js';
import { parse } from './plugin.js';
import { requireListed } from './ready.js';

const nameParam = z.object({ name: z.string().min(1).max(253) });
/** A whole comparison with the kernel, on a busy host. */
const REPAIR_MS = 20_000;
const tags = ['diagnosis'];

export function diagnosisRoutes(app: FastifyInstance, context: Context): void {
  const { mirror, questions } = context;
  app.get('/api/v1/trace', { schema: { tags, querystring: traceQuery, response: { 200: traceAnswer } } }, async (request, reply) => {
    requireListed(context);
    return json(reply, JSON.stringify(await trace(mirror.state, questions, parse(traceQuery, request.query))));
  });
  app.get('/api/v1/doctor', { schema: { tags, response: { 200: doctorAnswer } } }, async (_request, reply) => {
    requireListed(context);
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const storeFault = mirror.healthy ? '' : `the store does not answer: ${mirror.lastError}`;
    const self = { version: context.version.Version, revision: mirror.revision, storeFault, malformed: mirror.malformed };
    return json(reply, JSON.stringify(await examine(mirror.state, questions, self, gone.signal)));
  });
  app.post('/api/v1/hosts/:name/repair', { schema: { tags, params: nameParam, response: { 200: hostRepair } } }, async (request, reply) => {
    requireListed(context);
    const { name } = parse(nameParam, request.params);
    if (!mirror.state.host(name)) throw new Refusal('not-found', `host ${name} not found`);
    return json(reply, JSON.stringify(await askOne(questions, name, 'repair', {}, REPAIR_MS)));
  });
}
