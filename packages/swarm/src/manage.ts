import { createMetrics } from '@contiv/observe';
import { rememberExec } from './api/containers.js';
import type { Manager } from './api/context.js';
import { EventHub, managerEvent, withNode } from './api/event-hub.js';
import { createApiServer, listen } from './api/server.js';
import type { ManageOptions } from './cli/manage-options.js';
import { Cluster } from './cluster/cluster.js';
import { Watchdog } from './cluster/watchdog.js';
import { watchDiscovery } from './discovery/watch.js';
import { Election } from './election.js';
import { messageOf } from './errors.js';
import type { Log } from './log.js';
import { divertTo } from './replica.js';

export interface Extras {
  readonly experimental: boolean;
  readonly refreshOnNodeFilter: boolean;
  readonly containerNameRefreshFilter: string;
}

/** Runs a manager until the signal; returns when it has let go of everything. @throws Error when it cannot listen */
export async function runManager(options: ManageOptions, extras: Extras, log: Log, signal: AbortSignal): Promise<void> {
  const { tls } = options;
  const engineTls =
    tls === undefined ? {} : { tls: { cert: tls.cert, key: tls.key, verify: tls.verify, ...(tls.ca === undefined ? {} : { ca: tls.ca }) } };
  const cluster = new Cluster({ ...options, ...engineTls, log });
  const events = new EventHub();
  cluster.listen({
    onEvent: (engine, event) => {
      const exec = event.Action.startsWith('exec_create') ? (event.Actor?.Attributes.execID ?? '') : '';
      rememberExec(exec, engine);
      events.publish(withNode(engine, event));
    },
    onState: (engine, state, previous) => {
      if (state === 'Healthy') events.publish(managerEvent(engine, previous === 'Pending' ? 'engine_connect' : 'engine_reconnect'));
      else if (previous === 'Healthy') events.publish(managerEvent(engine, 'engine_disconnect'));
    },
  });
  const election = options.replication === undefined ? undefined : new Election(options, options.replication, log, signal);
  const watchdog = new Watchdog(cluster, () => election?.leading ?? true);
  election?.onLeading(() => watchdog.evaluate());
  const manager: Manager = {
    cluster,
    log,
    events,
    ...extras,
    role: () => (election === undefined || election.leading ? { role: 'primary' } : { role: 'replica', primary: election.leader }),
    async setDrained(node, drained) {
      const engine = cluster.engines.find((candidate) => candidate.name === node || candidate.id === node);
      if (engine === undefined) return [];
      engine.drained = drained;
      if (drained) cluster.drained.add(engine.name);
      else cluster.drained.delete(engine.name);
      return drained ? watchdog.drain(engine) : [];
    },
  };
  const metrics = createMetrics('swarm');
  metrics.gauge({
    name: 'engines',
    help: 'Engines by state.',
    labels: ['state'],
    collect: (gauge) => {
      gauge.reset();
      for (const engine of [...cluster.engines, ...cluster.pendingEngines]) gauge.inc({ state: engine.state.toLowerCase() });
    },
  });
  metrics.gauge({
    name: 'containers',
    help: 'Containers known.',
    collect: (gauge) => gauge.set(cluster.engines.reduce((sum, engine) => sum + engine.containers.size, 0)),
  });
  metrics.gauge({ name: 'event_listeners', help: 'Clients that listen to events.', collect: (gauge) => gauge.set(events.listeners) });
  metrics.gauge({
    name: 'leader',
    help: '1 when this manager is the primary.',
    collect: (gauge) => gauge.set(manager.role().role === 'primary' ? 1 : 0),
  });

  const servers = await Promise.all(
    options.hosts.map(async (host) => {
      const server = createApiServer({
        manager,
        cors: options.cors,
        ...(tls === undefined ? {} : { tls }),
        metrics: () => metrics.render(),
        ...(election === undefined ? {} : { divert: divertTo(election, tls) }),
      });
      await listen(server, host);
      log.info('Listening for HTTP', { addr: host.replace(/^[a-z]+:\/\//, ''), proto: host.startsWith('unix') ? 'unix' : 'tcp' });
      return server;
    }),
  );
  const open = tls === undefined ? options.hosts.filter(isOpen) : [];
  if (open.length > 0)
    log.warn(
      `${open.join(' and ')}: open to everyone who can reach it, for there is no TLS, and the Docker API is root on every node. Use --tlsverify, or keep it on a private network.`,
    );
  if (options.overcommit < 0) log.warn(`swarm.overcommit is negative: ${-options.overcommit * 100} % of every engine is kept free`);
  void watchDiscovery(options.discovery, {
    heartbeatMs: options.heartbeatMs,
    log,
    signal,
    options: options.discoveryOptions,
    found: (addresses) => cluster.setMembers(addresses),
  }).catch((error: unknown) => log.error(`Discovery error: ${messageOf(error)}`));
  election?.start();
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  cluster.close();
  await election?.stop();
}

/** Whether others than this machine's own users can reach the address. */
const isOpen = (host: string): boolean => !/^(?:unix:\/\/|(?:tcp:\/\/)?(?:127\.|localhost:|\[::1\]))/.test(host);
