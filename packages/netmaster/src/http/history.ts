/** Who changed what, and when. */
import { historyEntry, historyQuery } from '@contiv/model';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { readHistory } from '../core/history.js';
import type { Context } from './context.js';
import { json } from './objects.js';
import { parse } from './plugin.js';
import { requireListed } from './ready.js';

export function historyRoutes(app: FastifyInstance, context: Context): void {
  const schema = { tags: ['history'], querystring: historyQuery, response: { 200: z.array(historyEntry) } };
  app.get('/api/v1/history', { schema }, (request, reply) => {
    requireListed(context);
    const { since, objects = '' } = parse(historyQuery, request.query);
    const names = objects.split(',').filter((name) => name !== '');
    return json(reply, JSON.stringify(readHistory(context.mirror.state, since === undefined ? undefined : new Date(since), names)));
  });
}
