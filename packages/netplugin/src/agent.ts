/** The agent: its parts, how they are wired, in what order they start, and what it tells about itself. */
import { join } from 'node:path';
import { AgentCalls, AnswerDesk, MasterPool } from '@contiv/client';
import { type Datapath, openDatapath } from '@contiv/datapath';
import { Engine } from '@contiv/docker';
import { type HostRegistration, parseIpv6 } from '@contiv/model';
import { createMetrics, type Lifecycle, type Logger } from '@contiv/observe';
import { Cluster } from './cluster.js';
import type { Config } from './config.js';
import { Dataplane } from './dataplane.js';
import { followNames } from './dns.js';
import { keepDoorkeeper } from './doorkeeper.js';
import { type DriverContext, forgetEndpoint, forgetNetwork, forgetReservation } from './driver/context.js';
import { Routes } from './driver/routes.js';
import { resumeMoves } from './driver/sandbox-routes.js';
import { Sandboxes } from './driver/sandboxes.js';
import { DriverServer } from './driver/server.js';
import { Flows } from './flows/flows.js';
import { FlowLog } from './flows/log.js';
import { FlowNames } from './flows/names.js';
import { StateLock } from './lock.js';
import { exportMetrics } from './metrics.js';
import { NameServer } from './name-server.js';
import { Outbox } from './outbox.js';
import { presence } from './presence.js';
import { answerers } from './questions.js';
import { publishedLines } from './rest/published.js';
import { RestServer } from './rest/server.js';
import { debugState, driverInspection, statusOf } from './rest/view.js';
import { openLocalState } from './state/records.js';
import { Containers } from './sync/containers.js';
import { DockerFollower } from './sync/docker.js';
import { DockerNetworks } from './sync/docker-networks.js';
import { HostSync } from './sync/host.js';
import { InfraNetworks } from './sync/infra.js';
import { ContainerMtus } from './sync/mtus.js';
import { Registrar } from './sync/registrar.js';
import { Revival } from './sync/revival.js';
import { uplinkProblems, uplinkWarnings } from './uplinks.js';
import { VERSION } from './version.js';

/** Bytes VXLAN puts around a frame: Ethernet, IP, UDP, VXLAN (RFC 7348 §5). */
export const overhead = (vtepIp: string): number => (parseIpv6(vtepIp) === undefined ? 50 : 70);

/** How long a stop waits for what the engine is doing for this agent. */
const ENGINE_PATIENCE_MS = 2_000;

/** Everything the views look into. */
export interface AgentParts {
  readonly config: Config;
  readonly startedAt: Date;
  readonly datapath: Datapath;
  readonly cluster: Cluster;
  readonly dataplane: Dataplane;
  readonly outbox: Outbox;
  readonly context: DriverContext;
  readonly driver: DriverServer;
  readonly dockerNetworks: DockerNetworks;
  readonly follower: DockerFollower;
  readonly hostSync: HostSync;
  readonly infra: InfraNetworks;
  readonly dns: NameServer;
  readonly flows: Flows;
}

/** Builds the agent and adds its parts to the life cycle, in the order in which they start. */
export async function setUpAgent(config: Config, log: Logger, lifecycle: Lifecycle, open = openDatapath): Promise<void> {
  const lock = await StateLock.take(config.stateDir);
  lifecycle.add({ name: 'state directory', stop: () => lock.release() });
  const warnBad = (sentence: string) => log.error({ reason: sentence }, 'a record on disk is not as it should be');
  const state = openLocalState(config.stateDir, warnBad);
  const datapath = await open({
    vtepIp: config.vtepIp,
    vxlanPort: config.vxlanPort,
    instance: config.instance,
    uplinks: config.vlanUplinks,
  });
  for (const sentence of [...uplinkProblems(datapath.uplinks()), ...uplinkWarnings(datapath.uplinks())]) log.warn(sentence);
  lifecycle.add({ name: 'data path', stop: () => datapath.close() });

  const pool = new MasterPool(config.masters);
  const calls = new AgentCalls(pool);
  // MTUs may change at any time.
  const registration = (): HostRegistration => ({
    vtepIp: config.vtepIp,
    control: `${config.ctrlIp.includes(':') ? `[${config.ctrlIp}]` : config.ctrlIp}:${config.ctrlPort}`,
    vxlanPort: config.vxlanPort,
    mtu: datapath.containerMtu + overhead(config.vtepIp),
    ...(datapath.vlanMtu === undefined ? {} : { uplinkMtu: datapath.vlanMtu }),
    version: VERSION,
  });
  const rules = async () => [...(await datapath.rules()), ...publishedLines(state.endpoints.values(), cluster.mirror.endpoints)];
  const engineView = () => ({
    errors: dockerNetworks.errors,
    fault: follower.connected ? '' : follower.fault || 'not connected to the engine yet',
  });
  const cluster: Cluster = new Cluster({
    host: config.host,
    pool,
    stateDir: config.stateDir,
    desk: new AnswerDesk(
      config.host,
      answerers({
        rules,
        flows: () => flows,
        parts: () => parts,
        docker: (question) => presence({ state, cluster }, engineView, question),
      }),
    ),
    log: log.child({ component: 'stream' }),
    registration,
  });
  const outbox = new Outbox(log.child({ component: 'outbox' }));
  const dataplane = new Dataplane(datapath, cluster, state, config.host, log.child({ component: 'datapath' }));
  const metrics = createMetrics('netplugin');
  const names = new FlowNames(
    () => cluster.mirror,
    () => datapath.flows.domains(),
  );
  const flows: Flows = new Flows({
    source: datapath.flows,
    names,
    host: config.host,
    log: config.flowLogBytes === 0 ? undefined : new FlowLog(join(config.stateDir, 'flows'), config.flowLogBytes),
    logger: log.child({ component: 'flows' }),
    metrics,
  });
  cluster.listen({ replaced: () => names.changed(), changed: () => names.changed() });
  const engine = new Engine(config.dockerHost);
  const sandboxes = new Sandboxes(async (endpointId) => {
    const known = [...cluster.mirror.endpoints.values()].find((e) => e.endpointId === endpointId && e.host === config.host);
    const pid = known?.containerId ? (await engine.container(known.containerId))?.State.Pid : 0;
    return pid ? `/proc/${pid}/ns/net` : undefined;
  });
  const context: DriverContext = {
    host: config.host,
    scope: config.dockerScope,
    cluster,
    calls,
    state,
    dataplane,
    outbox,
    routes: new Routes(log.child({ component: 'routes' }), sandboxes, state.endpoints),
    log: log.child({ component: 'driver' }),
    nudge: () => setImmediate(() => dockerNetworks.soon()),
  };
  const latency = metrics.histogram({ name: 'driver_call_seconds', help: 'Time a driver call of the engine took', labels: ['call'] });
  const socket = join(config.pluginDir, `${config.pluginName}.sock`);
  const driver = new DriverServer(context, { socket, log: context.log, latency });
  const dockerLog = log.child({ component: 'docker' });
  const dockerNetworks = new DockerNetworks(engine, context, config.pluginName);
  const containers = new Containers(engine, context);
  const hostSync = new HostSync(engine, context);
  const revival = new Revival(engine, context);
  const infra = new InfraNetworks({ host: config.host, cluster, calls, state, dataplane, log: log.child({ component: 'infra' }) });
  const registrar = new Registrar({ host: config.host, cluster, calls, registration });
  const mtus = new ContainerMtus({
    endpoints: state.endpoints,
    mtuOf: (record) => dataplane.mtuOf(record),
    sandboxes,
    log: log.child({ component: 'mtu' }),
  });
  const follower = new DockerFollower(engine, dockerNetworks, containers, hostSync, revival, dockerLog);
  const dns = new NameServer(datapath, state, followNames(cluster), log.child({ component: 'dns' }));
  const parts: AgentParts = {
    config,
    startedAt: new Date(),
    datapath,
    cluster,
    dataplane,
    outbox,
    context,
    driver,
    dockerNetworks,
    follower,
    hostSync,
    infra,
    dns,
    flows,
  };
  exportMetrics(metrics, parts);
  const rest = new RestServer(
    { host: config.listenIp, port: config.ctrlPort },
    {
      status: () => statusOf(parts),
      state: () => debugState(parts),
      driver: () => driverInspection(parts),
      nameserver: () => dns.inspection(),
      rules,
      health: () => statusOf(parts).datapath.failed[0] ?? '',
    },
    metrics,
  );
  cluster.listen({ synced: () => containers.everything() });

  let leaveDoorkeeper = (): void => undefined;
  lifecycle
    .add({ name: 'data path loop', start: () => dataplane.start(), stop: () => dataplane.stop() })
    .add({ name: 'MTUs', start: () => mtus.start(), stop: () => mtus.stop() })
    .add({ name: 'flows', start: () => flows.start(), stop: () => flows.stop() })
    .add({ name: 'outbox', start: () => resumeOutbox(context), stop: () => outbox.stop() })
    .add({ name: 'routes', start: () => resumeMoves(context) })
    .add({
      name: 'netmaster stream',
      start: () => cluster.start(),
      stop: async () => {
        await Promise.all([infra.stop(), registrar.stop()]);
        await cluster.stop();
        pool.close();
      },
    })
    .add({ name: 'DNS', start: () => dns.start(), stop: () => dns.stop() })
    .add({ name: 'driver socket', start: () => driver.start(), stop: () => driver.stop() })
    .add({
      name: 'doorkeeper',
      start: async () => {
        leaveDoorkeeper = await keepDoorkeeper({ stateDir: config.stateDir, socket, scope: config.dockerScope });
      },
      stop: () => leaveDoorkeeper(),
    })
    .add({ name: 'REST', start: () => rest.start(), stop: () => rest.stop() })
    .add({
      name: 'Docker Engine',
      start: () => follower.start(),
      stop: async () => {
        // What an engine that hangs has not answered by then, it is asked by the next agent.
        const patience = setTimeout(() => engine.close(), ENGINE_PATIENCE_MS);
        await Promise.all([follower.stop(), dockerNetworks.stop(), containers.stop(), hostSync.stop(), revival.stop()]);
        clearTimeout(patience);
        engine.close();
      },
    });
}

/** What was left to tell netmaster when the last agent ended. */
function resumeOutbox(context: DriverContext): void {
  const { state } = context;
  for (const record of state.endpoints.values()) {
    // An interface that was being made when the agent was killed belongs to a container the engine gave up on.
    if (record.stage === 'creating') state.endpoints.setAnyway(record.endpointId, { ...record, stage: 'deleting' });
    if (record.stage !== 'ready') void forgetEndpoint(context, record, 0);
  }
  for (const record of state.reservations.values()) if (record.releasing) void forgetReservation(context, record, 0);
  for (const record of state.networks.values()) if (record.deleting) void forgetNetwork(context, record, 0);
}
