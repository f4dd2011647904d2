import type { Engine, EngineState } from '../engine/engine.js';
import { type Container, cpusFromShares } from '../engine/view.js';
import { messageOf } from '../errors.js';
import { isObject, type Json, numberAt, objectAt, parseJson, printJson, stringAt } from '../json.js';
import { reschedulesOnFailure, SWARM_ID } from '../scheduler/labels.js';
import type { Cluster } from './cluster.js';
import { isShared } from './lookup.js';

/**
 * Moves containers: those with a policy when their node fails, all of a node when it is drained. Works only while `active` says so
 * (the primary). One move at a time, so that a container is never created twice.
 */
export class Watchdog {
  readonly #cluster: Cluster;
  readonly #active: () => boolean;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(cluster: Cluster, active: () => boolean) {
    this.#cluster = cluster;
    this.#active = active;
    cluster.listen({ onState: (engine, state, previous) => this.#onState(engine, state, previous) });
  }

  /** Looks at all that is down: as a new primary, and whenever there is more room. */
  evaluate(): void {
    for (const engine of this.#cluster.engines) if (engine.state === 'Unhealthy') void this.#inTurn(() => this.#failover(engine));
  }

  /** Moves every container off the node; what cannot be moved is said in a sentence each. */
  drain(engine: Engine): Promise<string[]> {
    return this.#inTurn(async () => {
      const messages: string[] = [];
      for (const container of engine.held()) {
        try {
          messages.push(await this.#move(engine, container, true));
        } catch (error) {
          messages.push(`container ${nameOf(container)} stays on ${engine.name}: ${messageOf(error)}`);
        }
      }
      return messages;
    });
  }

  #onState(engine: Engine, state: EngineState, previous: EngineState): void {
    if (previous === 'Healthy' && (state === 'Unhealthy' || state === 'Disconnected')) void this.#inTurn(() => this.#failover(engine));
    if (state !== 'Healthy') return;
    void this.#inTurn(() => this.#removeDuplicates(engine));
    // What found no place so far may find one now.
    this.evaluate();
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(task);
    this.#queue = result.catch((error: unknown) => this.#cluster.options.log.error(`watchdog: ${messageOf(error)}`));
    return result;
  }

  async #failover(engine: Engine): Promise<void> {
    for (const container of engine.held()) {
      if (!reschedulesOnFailure(container.view.labels) || nameOf(container) === '') continue;
      // A move may take minutes: meanwhile the node may be back with all it has, or another manager the primary.
      if (!this.#active() || engine.healthy) return;
      try {
        await this.#move(engine, container, false);
      } catch (error) {
        this.#cluster.options.log.error(`Failed to reschedule container ${container.id}: ${messageOf(error)}`);
      }
    }
  }

  /** On a planned move the old container is stopped and renamed first, and removed only when the new one is there. */
  async #move(from: Engine, container: Container, planned: boolean): Promise<string> {
    const { log, sharedDrivers } = this.#cluster.options;
    const name = nameOf(container);
    const inspected = planned ? await from.client.call('GET', `/containers/${container.id}/json`) : parseJson(container.whole ?? '{}');
    const running = planned ? container.facts.running : ranWithNode(container, from.heardAt);
    const networks = Object.entries(objectAt(objectAt(inspected, 'NetworkSettings'), 'Networks'));
    const shared = networks.filter(([network]) => from.networks.some((known) => known.Name === network && isShared(known, sharedDrivers)));
    const parked = `${name}.moving-${container.id.slice(0, 12)}`;
    if (planned) {
      if (running) await from.client.call('POST', `/containers/${container.id}/stop`, { timeoutMs: 60_000 });
      await from.client.call('POST', `/containers/${container.id}/rename`, { query: { name: parked } });
      await from.refreshContainer(container.id);
    } else {
      from.forgetContainer(container.id);
      for (const [network] of shared) await this.#forceDisconnect(from, network, name);
    }
    try {
      const [first] = shared;
      const body = recreate(inspected, first === undefined ? {} : { [first[0]]: endpoint(first[1]) }, from.info.NCPU);
      if (planned)
        for (const [network] of shared)
          await from.client
            .call('POST', `/networks/${encodeURIComponent(network)}/disconnect`, {
              body: printJson({ Container: container.id, Force: true }),
            })
            .catch(() => {});
      const { engine, id } = await this.#cluster.creations.create(body, { name });
      for (const [network, settings] of shared.slice(1)) {
        await engine.client
          .call('POST', `/networks/${encodeURIComponent(network)}/connect`, {
            body: printJson({ Container: id, EndpointConfig: endpoint(settings) }),
            timeoutMs: 10_000,
          })
          .catch((error: unknown) => log.warn(`Failed to connect network ${network} to container ${id}: ${messageOf(error)}`));
      }
      log.info(`Rescheduled container ${container.id} from ${from.name} to ${engine.name} as ${id}`);
      if (running) {
        log.info(`Container ${container.id} was running, starting container ${id}`);
        try {
          await engine.client.call('POST', `/containers/${id}/start`, { timeoutMs: 60_000 });
        } catch (error) {
          log.error(`Failed to start rescheduled container ${id}: ${messageOf(error)}`);
        }
        await engine.refreshContainer(id);
      }
      if (planned) {
        await from.client.call('DELETE', `/containers/${container.id}`, { query: { force: '1' } });
        from.forgetContainer(container.id);
      }
      return `container ${name} moved from ${from.name} to ${engine.name}`;
    } catch (error) {
      if (planned) await this.#putBack(from, container, name, running, shared);
      else from.containers.put(container, from.containers.draw());
      throw error;
    }
  }

  async #putBack(
    from: Engine,
    container: Container,
    name: string,
    running: boolean,
    shared: readonly (readonly [string, unknown])[],
  ): Promise<void> {
    await from.client.call('POST', `/containers/${container.id}/rename`, { query: { name } }).catch(() => {});
    for (const [network, settings] of shared) {
      await from.client
        .call('POST', `/networks/${encodeURIComponent(network)}/connect`, {
          body: printJson({ Container: container.id, EndpointConfig: endpoint(settings) }),
        })
        .catch(() => {});
    }
    if (running) await from.client.call('POST', `/containers/${container.id}/start`).catch(() => {});
    await from.refreshContainer(container.id).catch(() => {});
  }

  /** Another engine tells the network's driver to let go of an endpoint its own engine can no longer release. */
  async #forceDisconnect(from: Engine, network: string, container: string): Promise<void> {
    const other = this.#cluster.healthyEngines.find((engine) => engine !== from);
    await other?.client
      .call('POST', `/networks/${encodeURIComponent(network)}/disconnect`, {
        body: printJson({ Container: container, Force: true }),
        timeoutMs: 10_000,
      })
      .catch(() => {});
  }

  /** A node that comes back loses the containers that were moved off it meanwhile. */
  async #removeDuplicates(engine: Engine): Promise<void> {
    if (!this.#active()) return;
    await engine.refreshContainers();
    for (const container of engine.held()) {
      const id = container.view.labels[SWARM_ID];
      if (id === undefined || !reschedulesOnFailure(container.view.labels)) continue;
      const elsewhere = this.#cluster.engines.some(
        (other) => other !== engine && other.containers.labelled(id)?.view.names.join() === container.view.names.join(),
      );
      if (!elsewhere) continue;
      this.#cluster.options.log.warn(
        `Removing container ${container.id} from ${engine.name}: it was moved to another node while this one was away`,
      );
      await engine.client.call('DELETE', `/containers/${container.id}`, { query: { force: '1', v: '1' } });
      engine.forgetContainer(container.id);
    }
  }
}

const nameOf = (container: Container): string => (container.view.names[0] ?? '').replace(/^\//, '');

/**
 * A node that is shut down in order ends its containers first and is lost a moment later: they were running with it, and go on
 * elsewhere. @param heardAt when the node was last heard of, in milliseconds since 1970.
 */
export function ranWithNode({ facts }: Pick<Container, 'facts'>, heardAt: number): boolean {
  return facts.running || (facts.state === 'exited' && heardAt - facts.finished < SHUTDOWN_MS);
}
const SHUTDOWN_MS = 30_000;

/** The body that makes the same container again. Requirements are labels already; CPU shares go back to whole CPUs. */
function recreate(inspected: unknown, endpoints: Json, cpusOfEngine: number): Json {
  const host = objectAt(inspected, 'HostConfig');
  const mode = Object.keys(endpoints)[0] ?? stringAt(host, 'NetworkMode');
  return {
    ...objectAt(inspected, 'Config'),
    HostConfig: { ...host, NetworkMode: mode, CpuShares: cpusFromShares(numberAt(host, 'CpuShares'), cpusOfEngine) },
    NetworkingConfig: { EndpointsConfig: endpoints },
  };
}

/** What a network is asked for again: the address the container had, and its aliases. */
function endpoint(settings: unknown): Json {
  if (!isObject(settings)) return {};
  const address = typeof settings.IPAddress === 'string' && settings.IPAddress !== '' ? { IPv4Address: settings.IPAddress } : undefined;
  return {
    ...(address === undefined ? {} : { IPAMConfig: address }),
    Aliases: settings.Aliases ?? null,
    Links: settings.Links ?? null,
    DriverOpts: settings.DriverOpts ?? null,
  };
}
