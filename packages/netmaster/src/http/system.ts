/** What operators and other programs ask of the master itself (spec/contiv §2.2), and its health. */
import { masterInfo, versionInfo } from '@contiv/model';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { releaseHoldings } from '../core/hosts.js';
import { inPieces } from '../effects/pieces.js';
import type { Context } from './context.js';
import { json } from './objects.js';
import { requireListed } from './ready.js';

const hidden = { schema: { hide: true } };
const tags = ['system'];

export function systemRoutes(app: FastifyInstance, context: Context): void {
  const { mirror, writer, hub } = context;
  app.get('/version', { schema: { tags, response: { 200: versionInfo } } }, (_request, reply) =>
    json(reply, JSON.stringify(context.version)),
  );
  app.get('/info', { schema: { tags, response: { 200: masterInfo } } }, (_request, reply) => {
    requireListed(context);
    const { state } = mirror;
    const leader = state.background?.record;
    return json(
      reply,
      JSON.stringify({
        'local-ip': context.self.address.replace(/:\d+$/, ''),
        'leader-ip': leader?.address ?? '',
        'current-state': leader?.id === context.self.id ? 'leader' : 'follower',
        'netplugin-nodes': [...state.all('host')].filter((h) => state.alive(h.place.first)).map((h) => h.record.vtepIp),
        'netmaster-nodes': [...state.all('master')].map((m) => m.record.address),
      }),
    );
  });
  // Balancers ask with HEAD.
  app.get('/healthz', { exposeHeadRoute: true, schema: { tags } }, (_request, reply) => reply.type('text/plain').send('ok\n'));
  app.get('/readyz', { exposeHeadRoute: true, schema: { tags } }, (_request, reply) => {
    const ready = mirror.healthy && context.background.bootstrapped;
    const body = {
      ready,
      store: mirror.healthy ? 'reachable' : `unreachable: ${mirror.lastError}`,
      mirror: mirror.listed ? 'in sync' : 'not read yet',
      revision: mirror.revision,
    };
    return json(reply.code(ready ? 200 : 503), JSON.stringify(body));
  });
  app.get('/metrics', { schema: { tags } }, async (_request, reply) => {
    const { contentType, body } = await context.metrics.render();
    return reply.type(contentType).send(body);
  });
  app.get('/debug/state', hidden, (_request, reply) => {
    const { state } = mirror;
    const kinds = ['tenant', 'network', 'group', 'policy', 'rule', 'address', 'endpoint', 'host', 'alive', 'master'] as const;
    return json(
      reply,
      JSON.stringify({
        self: context.self,
        worker: state.background?.record.id,
        store: { healthy: mirror.healthy, revision: mirror.revision, malformed: [...mirror.malformed], lastError: mirror.lastError },
        objects: Object.fromEntries(kinds.map((kind) => [kind, state.count(kind)])),
        streams: { open: hub.size, cut: hub.cut, hosts: hub.hosts().slice(0, 1_000) },
        writes: { ...writer.figures, waiting: writer.waiting },
      }),
    );
  });
  app.delete('/debug/epcleanup/tenant/:tenant/:what/:id', hidden, async (request, reply) => {
    requireListed(context);
    const target = cleanup.safeParse(request.params);
    if (!target.success) return reply.type('text/plain').send('');
    const { tenant, what, id } = target.data;
    for (const [host, endpoints] of chosen(context, tenant, what, id)) {
      for (const piece of inPieces({ endpoints, addresses: [] }))
        await writer.submit((state) => releaseHoldings(state, host, piece, Number.MAX_SAFE_INTEGER));
    }
    return reply.type('text/plain; charset=utf-8').send(`Received request to cleanup ${CLEANUP_NAMES[what]} with ID: ${id}`);
  });
}

const cleanup = z.object({ tenant: z.string(), what: z.enum(['net', 'group', 'ep']), id: z.string().min(1) });
const CLEANUP_NAMES = { net: 'Network', group: 'EPG', ep: 'Endpoint' } as const;

/** Store keys of the tenant's endpoints that are meant, by host. */
function chosen(context: Context, tenant: string, what: 'net' | 'group' | 'ep', id: string): Map<string, string[]> {
  const byHost = new Map<string, string[]>();
  for (const { key, record } of context.mirror.state.all('endpoint')) {
    if (record.tenant !== tenant) continue;
    const meant = what === 'net' ? record.network === id : what === 'group' ? record.group === id : record.endpointId.includes(id);
    if (!meant) continue;
    const keys = byHost.get(record.host);
    if (keys) keys.push(key);
    else byHost.set(record.host, [key]);
  }
  return byHost;
}
