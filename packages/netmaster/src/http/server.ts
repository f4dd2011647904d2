/** The HTTP server: every route, limits and the shape of failures. */
import { closeUnlessRead } from '@contiv/observe';
import swagger from '@fastify/swagger';
import Fastify, { type FastifyInstance } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { agentRoutes } from './agents.js';
import type { Context } from './context.js';
import { diagnosisRoutes } from './diagnosis.js';
import { dockerRoutes } from './docker.js';
import { sendError } from './errors.js';
import { flowRoutes } from './flows.js';
import { historyRoutes } from './history.js';
import { intentRoutes } from './intent.js';
import { objectRoutes } from './objects.js';
import { polish } from './openapi.js';
import { pluginRoutes } from './plugin.js';
import { stagedRoutes } from './staged.js';
import { systemRoutes } from './system.js';

const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;

/** `prefix` keeps the metrics of a second server of one process apart. */
export async function buildServer(context: Context, prefix = ''): Promise<FastifyInstance> {
  const app = Fastify({
    bodyLimit: 64 * 1024,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: 72_000,
    forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1_024 },
    http: { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: 5_000 },
    exposeHeadRoutes: false,
    // Of paths that cannot be read, before there is a route.
    frameworkErrors: (error, request, reply) => void sendError(context.logger, request, reply, error),
  });
  // Bodies are JSON whatever the Content-Type says (spec/contiv §1.1); shapes are checked by the handlers, whose sentences are Contiv's.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body === '' ? undefined : JSON.parse(String(body)));
    } catch (error) {
      done(Object.assign(new Error(`the body is not JSON: ${error instanceof Error ? error.message : 'unreadable'}`), { statusCode: 400 }));
    }
  });
  app.setValidatorCompiler(() => (value) => ({ value }));
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  app.setErrorHandler((error, request, reply) => sendError(context.logger, request, reply, error));
  app.setNotFoundHandler((_request, reply) => reply.code(404).type('text/plain; charset=utf-8').send('404 page not found\n'));
  app.addHook('onSend', async (request, reply) => closeUnlessRead(request.raw, reply.raw));
  measureRequests(app, context, prefix);
  if (prefix === '') measureState(context);

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'netmaster',
        description: 'Tenants, networks, endpoint groups and endpoints of a Contiv cluster.',
        version: context.version.Version,
      },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  await app.register(async (routes) => {
    objectRoutes(routes, context);
    intentRoutes(routes, context);
    historyRoutes(routes, context);
    stagedRoutes(routes, context);
    pluginRoutes(routes, context);
    agentRoutes(routes, context);
    diagnosisRoutes(routes, context);
    dockerRoutes(routes, context);
    flowRoutes(routes, context);
    systemRoutes(routes, context);
    routes.get('/openapi.json', { schema: { hide: true } }, (_request, reply) =>
      reply.type('application/json').send(JSON.stringify(polish(app.swagger()))),
    );
  });
  return app;
}

function measureRequests(app: FastifyInstance, { metrics }: Context, prefix: string): void {
  const seconds = metrics.histogram({
    name: `${prefix}request_duration_seconds`,
    help: 'Time to answer a request',
    labels: ['method', 'route', 'status'],
  });
  app.addHook('onResponse', async (request, reply) => {
    seconds.observe(
      { method: request.method, route: request.routeOptions.url ?? 'unknown', status: String(reply.statusCode) },
      reply.elapsedTime / 1_000,
    );
  });
}

function measureState({ metrics, mirror, writer, hub }: Context): void {
  const gauge = (name: string, help: string, value: () => number) =>
    metrics.gauge({
      name,
      help,
      collect: (g) => {
        g.set(value());
      },
    });
  gauge('store_revision', 'Last store revision applied', () => mirror.revision);
  gauge('store_healthy', '1 while the store answers', () => (mirror.healthy ? 1 : 0));
  gauge('streams', 'Open agent streams', () => hub.size);
  gauge('streams_cut', 'Agent streams cut because they were read too slowly', () => hub.cut);
  gauge('writes_waiting', 'Requests waiting to be written', () => writer.waiting);
  gauge('write_conflicts', 'Transactions that were planned anew because something had changed', () => writer.figures.conflicts);
  gauge('write_commits', 'Transactions written', () => writer.figures.commits);
  for (const kind of ['tenant', 'network', 'group', 'policy', 'rule', 'endpoint', 'address', 'host'] as const) {
    const name = kind === 'address' ? 'addresses' : kind === 'policy' ? 'policies' : `${kind}s`;
    gauge(name, `Number of ${name}`, () => mirror.state.count(kind));
  }
}
