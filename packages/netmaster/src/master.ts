/** One netmaster, put together from its parts. */
import { randomBytes } from 'node:crypto';
import { VERSION } from '@contiv/model';
import type { Logger, Metrics, Service } from '@contiv/observe';
import type { Store } from '@contiv/store';
import type { FastifyInstance } from 'fastify';
import type { GlobalRecord } from './core/records.js';
import { Background } from './effects/background.js';
import { Hub } from './effects/hub.js';
import { Mirror } from './effects/mirror.js';
import { Presence } from './effects/presence.js';
import { Questions } from './effects/questions.js';
import { Writer } from './effects/writer.js';
import type { Context } from './http/context.js';
import { buildServer } from './http/server.js';

export interface MasterOptions {
  readonly store: Store;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly boot: GlobalRecord;
  readonly clusterMode: string;
  /** `ip:port` told to others. */
  readonly address: string;
  readonly hostTimeoutMs: number;
  readonly build?: { readonly commit: string; readonly time: string };
}

export interface Master {
  readonly app: FastifyInstance;
  readonly context: Context;
  /** In the order they start; stopped in reverse. */
  readonly services: readonly Service[];
}

export async function createMaster(options: MasterOptions): Promise<Master> {
  const { store, logger } = options;
  const self = { id: `${options.address}-${randomBytes(4).toString('hex')}`, address: options.address, version: VERSION };
  const mirror = new Mirror(store, logger);
  const writer = new Writer(store, mirror, self.id);
  const hub = new Hub(mirror, logger);
  const presence = new Presence(store, mirror, writer, self, logger);
  const background = new Background(mirror, writer, presence, { boot: options.boot, hostTimeoutMs: options.hostTimeoutMs, self }, logger);
  const questions = new Questions(hub, mirror, self.id);
  const context: Context = {
    questions,
    mirror,
    writer,
    hub,
    presence,
    background,
    logger,
    metrics: options.metrics,
    boot: options.boot,
    clusterMode: options.clusterMode,
    self,
    version: { GitCommit: options.build?.commit ?? 'unknown', Version: VERSION, BuildTime: options.build?.time ?? 'unknown' },
  };
  const app = await buildServer(context);
  const services: Service[] = [
    { name: 'store mirror', start: () => mirror.start(), stop: () => mirror.stop() },
    { name: 'writer', stop: () => writer.stop() },
    { name: 'presence', start: () => presence.start(), stop: () => presence.stop() },
    { name: 'background work', start: () => background.start(), stop: () => background.stop() },
    { name: 'agent streams', start: () => hub.start(), stop: () => hub.stop() },
  ];
  return { app, context, services };
}
