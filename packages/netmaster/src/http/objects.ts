/** Routes of the object model (spec/contiv §1.1). */
import { endpointInspect, Refusal, relabelRequest, validate } from '@contiv/model';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { relabelEndpoint } from '../core/endpoints.js';
import { endpointOper, findEndpoint } from '../core/oper.js';
import { withoutZeros } from '../core/present.js';
import { causeOf } from './caller.js';
import { type Collection, endpointGroups, globals, networks, type ObjectKind, policies, rules, tenants } from './collections.js';
import type { Context } from './context.js';
import { aciGws, appProfiles, bgps, extContractsGroups, netprofiles, services } from './other-collections.js';
import { requireListed } from './ready.js';

const keyParam = z.object({ key: z.string() });
const BODY_LIMIT = 64 * 1024;

export function objectRoutes(app: FastifyInstance, context: Context): void {
  addCollection(app, context, tenants());
  addCollection(app, context, networks());
  addCollection(app, context, endpointGroups());
  addCollection(app, context, policies());
  addCollection(app, context, rules());
  addCollection(app, context, netprofiles());
  addCollection(app, context, appProfiles());
  addCollection(app, context, extContractsGroups());
  addCollection(app, context, services());
  addCollection(app, context, bgps());
  addCollection(app, context, aciGws());
  addCollection(app, context, globals(context));
  for (const [plural, type] of [
    ['volumes', 'volume'],
    ['volumeProfiles', 'volumeProfile'],
  ]) {
    app.get(`/api/v1/${plural}`, { schema: { hide: true } }, (_request, reply) => json(reply, '[]'));
    app.get(`/api/v1/${plural}/:key`, { schema: { hide: true } }, () => {
      throw new Refusal('not-found', `${type} not found`);
    });
  }
  app.get(
    '/api/v1/inspect/endpoints/:key',
    { schema: { tags: ['endpoints'], params: keyParam, response: { 200: endpointInspect } } },
    (request, reply) => {
      requireListed(context);
      const { state } = context.mirror;
      const { key } = keyParam.parse(request.params);
      return json(reply, JSON.stringify({ Oper: endpointOper(state, findEndpoint(state, key)) }));
    },
  );
  app.route({
    method: ['POST', 'PUT'],
    url: '/api/v1/endpoints/:key/group',
    bodyLimit: BODY_LIMIT,
    schema: {
      tags: ['endpoints'],
      params: keyParam,
      body: relabelRequest,
      response: { 200: z.object({ endpointID: z.string(), group: z.string() }) },
    },
    handler: async (request, reply) => {
      requireListed(context);
      const { key } = keyParam.parse(request.params);
      const asked = validate(relabelRequest, request.body);
      const moved = await context.writer.submit((state) => relabelEndpoint(state, key, asked));
      return json(reply, JSON.stringify({ endpointID: moved.endpointId, group: moved.group ?? '' }));
    },
  });
}

function addCollection<K extends ObjectKind, I>(app: FastifyInstance, context: Context, c: Collection<K, I>): void {
  const { mirror, writer } = context;
  const path = `/api/v1/${c.plural}`;
  const tags = [c.plural];
  const find = (key: string) => {
    requireListed(context);
    const entry = mirror.state.at(c.kind, c.storeKey(key));
    if (!entry) throw new Refusal('not-found', `${c.type} not found`);
    return entry;
  };

  app.get(path, { schema: { tags, response: { 200: z.array(c.object) } } }, (_request, reply) => {
    requireListed(context);
    return json(reply, c.listing.text(mirror.state));
  });
  app.get(`${path}/:key`, { schema: { tags, params: keyParam, response: { 200: c.object } } }, (request, reply) => {
    const { key } = keyParam.parse(request.params);
    return json(reply, JSON.stringify(c.present(mirror.state, find(key))));
  });
  app.get(`/api/v1/inspect/${c.plural}/:key`, { schema: { tags, params: keyParam, response: { 200: c.inspection } } }, (request, reply) => {
    const entry = find(keyParam.parse(request.params).key);
    const Config = c.present(mirror.state, entry);
    return json(reply, JSON.stringify(c.oper ? { Config, Oper: c.oper(mirror.state, entry) } : { Config }));
  });
  app.route({
    method: ['POST', 'PUT'],
    url: `${path}/:key`,
    bodyLimit: BODY_LIMIT,
    schema: { tags, params: keyParam, body: c.input, response: { 200: c.object } },
    handler: async (request, reply) => {
      const { key } = keyParam.parse(request.params);
      const body: unknown = request.body;
      const own = keyOf(c.keyFields, body);
      if (own !== key)
        throw new Refusal('invalid', 'Invalid Key', `the path says ${quoted(key)}, ${c.keyFields.join(':')} of the body ${quoted(own)}`);
      const input = validate(c.input, body);
      await writer.submit((state) => c.put(state, input), { cause: causeOf(request) });
      const links = Object.fromEntries(c.links.map((name) => [name, {}]));
      const echo = { ...withoutZeros({ ...input, key }), 'link-sets': {}, ...(c.links.length > 0 ? { links } : {}) };
      return json(reply, JSON.stringify(echo));
    },
  });
  app.delete(`${path}/:key`, { schema: { tags, params: keyParam, response: { 200: z.string() } } }, async (request, reply) => {
    const { key } = keyParam.parse(request.params);
    if (c.storeKey(key) === '') throw new Refusal('not-found', `${c.type} not found`);
    await writer.submit((state) => c.remove(state, key), { cause: causeOf(request) });
    return json(reply, JSON.stringify(key));
  });
}

const quoted = (key: string): string => JSON.stringify(key.slice(0, 200));

/** The key a body's own fields make. */
function keyOf(fields: readonly string[], body: unknown): string {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new Refusal('invalid', 'the body must be a JSON object');
  const members = new Map(Object.entries(body));
  return fields
    .map((field) => members.get(field))
    .map((v) => (typeof v === 'string' ? v : ''))
    .join(':');
}

export function json(reply: FastifyReply, text: string): FastifyReply {
  return reply.type('application/json').send(text);
}
