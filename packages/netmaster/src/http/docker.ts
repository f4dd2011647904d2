/** Whether the Docker networks of a network are where they should be: asked of the agents, who make them a moment after the network. */
import { type DockerPlace, dockerPlaces, networkKey, Refusal } from '@contiv/model';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Context } from './context.js';
import { json } from './objects.js';
import { parse } from './plugin.js';
import { requireListed } from './ready.js';

const keyParam = z.object({ key: z.string().min(3).max(130) });
const query = z.object({
  /** `false` after a deletion. */
  wanted: z.enum(['true', 'false']).default('true'),
  /** How long the agents may wait for it. */
  waitMs: z.coerce.number().int().min(0).max(5_000).default(0),
});

/** Beyond the time the agents were given to wait. */
const ANSWER_MS = 500;

export function dockerRoutes(app: FastifyInstance, context: Context): void {
  app.get(
    '/api/v1/networks/:key/docker',
    { schema: { tags: ['networks'], params: keyParam, querystring: query, response: { 200: dockerPlaces } } },
    async (request, reply) => {
      requireListed(context);
      const { key } = parse(keyParam, request.params);
      const { wanted, waitMs } = parse(query, request.query);
      const [tenant = '', network = '', ...rest] = key.split(':');
      if (tenant === '' || network === '' || rest.length > 0 || networkKey(tenant, network) !== key)
        throw new Refusal('invalid', 'a network is named TENANT:NETWORK');
      const { state } = context.mirror;
      const hosts = [...state.all('host')].map((host) => host.place.first).filter((host) => state.alive(host));
      const question = { tenant, network, wanted: wanted === 'true', waitMs };
      const limit = AbortSignal.timeout(waitMs + 2 * ANSWER_MS);
      const found = new Map<string, DockerPlace>();
      for await (const answer of context.questions.ask('docker', question, { hosts, deadlineMs: waitMs + ANSWER_MS, signal: limit })) {
        const { host } = answer;
        if ('chunk' in answer) found.set(host, { host, ...answer.chunk });
        else if (!found.has(host)) found.set(host, { host, present: !question.wanted, reason: answer.error ?? 'its agent said nothing' });
      }
      const places = [...found.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
      return json(reply, JSON.stringify(places));
    },
  );
}
