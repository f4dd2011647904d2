/** Brings a plan about: objects at netmaster, then containers, until netmaster knows all of them by name. */
import type { RestClient } from '@contiv/client';
import { type Engine, EngineError } from '@contiv/docker';
import { networkKey } from '@contiv/model';
import { CommandError } from '../session.js';
import { each, pause } from './parallel.js';
import { type Place, REQUESTS } from './places.js';
import { ALLOWED_PORT, type Box, dockerNetworkOf, LABEL, type NetworkPlan, type Plan, POLICY } from './plan.js';
import type { Running } from './probes.js';
import { READY, readyScript, serveScript } from './script.js';

/** netmaster's priorities: the higher one wins. */
const LOW = 1;
const HIGH = 10;

export async function makeObjects(client: RestClient, plan: Plan): Promise<void> {
  const { tenant, twin, group } = plan;
  for (const tenantName of [tenant, twin]) await client.tenants.put(tenantName, { tenantName });
  for (const network of plan.networks) await client.networks.put(keyOf(network), bodyOf(network));
  await client.policies.put(`${tenant}:${POLICY}`, { tenantName: tenant, policyName: POLICY });
  const rule = async (ruleId: string, rest: { action: string; priority: number; protocol?: string; port?: number }) =>
    client.rules.put(`${tenant}:${POLICY}:${ruleId}`, { tenantName: tenant, policyName: POLICY, ruleId, direction: 'in', ...rest });
  await rule('deny-all', { action: 'deny', priority: LOW });
  await rule('allow-8000', { action: 'allow', priority: HIGH, protocol: 'tcp', port: ALLOWED_PORT });
  const networkName = plan.networks[0]?.network ?? '';
  await client.endpointGroups.put(`${tenant}:${group}`, { tenantName: tenant, networkName, groupName: group, policies: [POLICY] });
}

const keyOf = ({ tenant, network }: NetworkPlan): string => networkKey(tenant, network);

function bodyOf({ tenant, network, encap, tag, subnet, gateway, subnet6 }: NetworkPlan) {
  return {
    tenantName: tenant,
    networkName: network,
    encap,
    subnet,
    gateway,
    ...(tag === 0 ? {} : { pktTag: tag }),
    ...(subnet6 === '' ? {} : { ipv6Subnet: subnet6 }),
  };
}

/** netmaster lets agents wait so long at a time. */
const PIECE_MS = 5_000;
const DOCKER_NETWORKS_MS = 20_000;

/** Waits until the engines have the Docker networks; which lack one after that shows when their containers are made. */
export async function awaitNetworks(client: RestClient, plan: Plan, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + DOCKER_NETWORKS_MS;
  await each(
    plan.networks,
    plan.networks.length,
    async (network) => {
      while (performance.now() < deadline && !signal.aborted) {
        const places = await client.dockerPlaces(keyOf(network), true, PIECE_MS);
        if (places.every(({ present }) => present)) return;
        await pause(500, signal);
      }
    },
    signal,
  );
}

export interface Started {
  readonly box: Box;
  readonly engine: Engine;
  readonly id: string;
}

/** Does `task` for all containers, as many at once as each engine is asked: what waited for a connection would be given up before it was sent. */
export async function inAll(started: readonly Started[], task: (started: Started) => Promise<void>, signal: AbortSignal): Promise<void> {
  const engines = [...new Set(started.map(({ engine }) => engine))];
  const ofOne = (engine: Engine) =>
    each(
      started.filter((s) => s.engine === engine),
      REQUESTS,
      task,
      signal,
    );
  await each(engines, engines.length, ofOne, signal);
}

/** Places at work at the same time. */
const PLACES = 16;

/** Makes and starts all containers. What fails is told by place, once for each. */
export async function startBoxes(
  plan: Plan,
  places: readonly Place[],
  image: string,
  signal: AbortSignal,
): Promise<{ started: Started[]; faults: Map<number, string> }> {
  const started: Started[] = [];
  const faults = new Map<number, string>();
  const startAll = async (place: Place, number: number) => {
    for (const box of plan.boxes.filter((b) => b.place === number)) {
      if (signal.aborted || faults.has(number)) return;
      try {
        const id = await place.engine.createContainer(box.name, containerOf(plan, box, place, image));
        await place.engine.startContainer(id);
        started.push({ box, engine: place.engine, id });
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        faults.set(number, `container ${box.name} could not be started: ${error.message}`);
      }
    }
  };
  await each([...places.entries()], PLACES, ([number, place]) => startAll(place, number), signal);
  return { started, faults };
}

function containerOf(plan: Plan, box: Box, { name, behindSwarm }: Place, image: string) {
  const network = dockerNetworkOf(box);
  const driver = box.role === 'guarded' ? { DriverOpts: { 'io.contiv.group': plan.group } } : {};
  return {
    Image: image,
    Entrypoint: ['sh', '-c', serveScript(box.name)],
    Cmd: [],
    // Images that run as somebody else may not ping.
    User: '0',
    Labels: { [LABEL]: plan.run, ...(behindSwarm ? { 'com.docker.swarm.constraints': JSON.stringify([`node==${name}`]) } : {}) },
    HostConfig: { NetworkMode: network, AutoRemove: true },
    NetworkingConfig: { EndpointsConfig: { [network]: { IPAMConfig: { IPv4Address: box.ip }, ...driver } } },
  };
}

const KNOWN_MS = 20_000;

/** Waits until netmaster has heard of all containers with their names, and tells on which host each is. Those it has not heard of are left out. */
export async function awaitKnown(client: RestClient, plan: Plan, boxes: readonly Box[], signal: AbortSignal): Promise<Running[]> {
  const deadline = performance.now() + KNOWN_MS;
  for (;;) {
    const inspected = await Promise.all([plan.tenant, plan.twin].map((tenant) => client.tenants.inspect(tenant)));
    const known = new Map(
      inspected.flatMap(({ Oper }) => (Oper.endpoints ?? []).map((endpoint) => [endpoint.containerName ?? '', endpoint])),
    );
    const running = boxes.flatMap((box): Running[] => {
      const endpoint = known.get(box.name);
      return endpoint === undefined ? [] : [{ box, host: endpoint.homingHost ?? '', ip6: endpoint.ipAddress?.[1] ?? '' }];
    });
    if (running.length === boxes.length || performance.now() > deadline) return running;
    await pause(200, signal);
  }
}

const READY_MS = 60_000;

/** Waits until every container serves. Throws what one says that does not: its image lacks something. */
export async function awaitReady(started: readonly Started[], image: string, signal: AbortSignal): Promise<void> {
  const ready = async ({ box, engine, id }: Started) => {
    const said = (await engine.exec(id, ['sh', '-c', readyScript(box.name)], READY_MS, signal)).trim();
    if (said.endsWith(READY)) return;
    throw new CommandError(`containers of image ${image} do not serve: ${said === '' ? 'nc said nothing' : said}`, {
      hint: 'name another one with --image; it needs sh, ping, nc and timeout, as busybox has them',
    });
  };
  await inAll(started, ready, signal);
}
