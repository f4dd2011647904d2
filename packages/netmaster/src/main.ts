import { networkInterfaces } from 'node:os';
import { createLogger, createMetrics, runMain } from '@contiv/observe';
import type { FastifyInstance } from 'fastify';
import { openStoreOf } from './effects/open-store.js';
import { buildServer } from './http/server.js';
import { createMaster } from './master.js';
import { type Address, ConfigError, readSettings, type Settings } from './options.js';

let settings: Settings;
try {
  settings = readSettings(process.argv.slice(2), process.env);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  if (error.exitCode !== 0) process.stderr.write(`${error.message}\n`);
  process.exit(error.exitCode);
}

const { listen, internal } = settings;
const logger = createLogger({ name: 'netmaster', level: settings.logLevel, ...(settings.jsonLog ? { format: 'json' as const } : {}) });
const told = internal ?? { host: listen.host === '0.0.0.0' || listen.host === '::' ? hostAddress() : listen.host, port: listen.port };

void runMain({ logger }, async (lifecycle) => {
  const store = await openStoreOf(settings.storeUrl, process.env);
  lifecycle.add({ name: 'store', stop: () => store.close() });
  const master = await createMaster({
    store,
    logger,
    metrics: createMetrics('netmaster'),
    boot: settings.boot,
    clusterMode: settings.mode,
    address: `${told.host}:${told.port}`,
    hostTimeoutMs: settings.hostTimeoutMs,
  });
  for (const service of master.services) lifecycle.add(service);
  lifecycle.add({
    name: `API on ${listen.host}:${listen.port}`,
    start: async () => {
      await listenOn(master.app, listen);
      logger.info({ listen: `${listen.host}:${listen.port}`, store: settings.storeUrl, mode: settings.mode }, 'netmaster serves');
    },
    stop: () => master.app.close(),
  });
  // The internal address is one more door to the same API, unless the first one covers it.
  const covered = internal === undefined || (internal.port === listen.port && ['0.0.0.0', '::', internal.host].includes(listen.host));
  if (internal !== undefined && !covered) {
    const second = await buildServer(master.context, 'internal_');
    lifecycle.add({ name: `API on ${told.host}:${told.port}`, start: () => listenOn(second, internal), stop: () => second.close() });
  }
});

async function listenOn(app: FastifyInstance, at: Address): Promise<void> {
  try {
    await app.listen({ host: at.host, port: at.port });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EADDRINUSE')
      throw new Error(`port ${at.port} of ${at.host} is taken; stop what listens there or choose another --external-address`);
    if (code === 'EADDRNOTAVAIL') throw new Error(`${at.host} is no address of this host; choose another --external-address`);
    throw error;
  }
}

/** First IPv4 address that is not loopback and not Docker's. */
function hostAddress(): string {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (/^(lo|docker|veth|br-)/.test(name)) continue;
    const found = addresses?.find((a) => a.family === 'IPv4' && !a.internal);
    if (found) return found.address;
  }
  return '127.0.0.1';
}
