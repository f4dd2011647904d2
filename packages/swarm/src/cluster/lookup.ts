import type { Engine } from '../engine/engine.js';
import type { Network, Volume } from '../engine/shapes.js';
import type { Container } from '../engine/view.js';
import { SWARM_ID } from '../scheduler/labels.js';

/** Names and ids to objects, in the order spec/swarm.md 2.2 gives. Pure over the engines' caches. */
export interface Found {
  readonly engine: Engine;
  readonly container: Container;
}

export function* allContainers(engines: Iterable<Engine>): Generator<Found> {
  for (const engine of engines) for (const container of engine.containers.values()) yield { engine, container };
}

/** All containers, newest first. Thousands are put in order only when there is a new one. */
export function newestFirst(engines: readonly Engine[]): readonly Found[] {
  const revision = engines.reduce((sum, engine) => sum + engine.containers.revision, 0);
  const known = ORDERED.get(engines);
  if (known?.revision === revision) return known.containers;
  const containers = [...allContainers(engines)].sort((a, b) => b.container.facts.created - a.container.facts.created);
  ORDERED.set(engines, { revision, containers });
  return containers;
}
const ORDERED = new WeakMap<readonly Engine[], { readonly revision: number; readonly containers: readonly Found[] }>();

export function findContainer(engines: readonly Engine[], reference: string): Found | undefined {
  if (reference === '') return undefined;
  const first = (find: (engine: Engine) => Container | undefined): Found | undefined => {
    for (const engine of engines) {
      const container = find(engine);
      if (container !== undefined) return { engine, container };
    }
    return undefined;
  };
  const exact = first((engine) => engine.containers.identified(reference)) ?? first((engine) => engine.containers.labelled(reference));
  if (exact !== undefined) return exact;
  const named = engines.flatMap((engine) => {
    const container = namedOn(engine, reference.replace(/^\//, ''));
    return container === undefined ? [] : [{ engine, container }];
  });
  if (named.length > 0) return named.length === 1 ? named[0] : undefined;
  if (!/^[0-9a-f]{1,64}$/.test(reference)) return undefined;
  const prefixed = [...allContainers(engines)].filter(
    ({ container }) => container.id.startsWith(reference) || (container.view.labels[SWARM_ID] ?? '').startsWith(reference),
  );
  return prefixed.length === 1 ? prefixed[0] : undefined;
}

/** `NAME`, `ENGINE/NAME` or `ENGINE-ID/NAME`. */
function namedOn({ containers, id, name }: Engine, reference: string): Container | undefined {
  const whole = containers.named(`/${reference}`);
  if (whole !== undefined) return whole;
  const owner = [name, id].find((word) => word !== '' && reference.startsWith(`${word}/`));
  return owner === undefined ? undefined : containers.named(reference.slice(owner.length));
}

const isId = (id: string, reference: string): boolean => id !== '' && (id === reference || id.slice(0, 12) === reference);

export interface FoundNetwork {
  readonly engine: Engine;
  readonly network: Network;
}

/** A network that is the same thing on all engines: ours whatever id an engine gave it, else one of wider scope. */
export function isShared(network: Network, sharedDrivers: ReadonlySet<string>): boolean {
  return network.Scope === 'global' || network.Scope === 'swarm' || sharedDrivers.has(network.Driver);
}

/** Two rows with the same key are one network. */
export function networkKey(found: FoundNetwork, sharedDrivers: ReadonlySet<string>): string {
  const { network } = found;
  return sharedDrivers.has(network.Driver) ? `name ${network.Name}` : `id ${network.Id}`;
}

export function allNetworks(engines: readonly Engine[]): FoundNetwork[] {
  return engines.flatMap((engine) => engine.networks.map((network) => ({ engine, network })));
}

/** All copies of the one network the reference means; empty when there is none or more than one. */
export function findNetwork(engines: readonly Engine[], reference: string, sharedDrivers: ReadonlySet<string>): FoundNetwork[] {
  if (reference === '') return [];
  const all = allNetworks(engines);
  const one = (hits: readonly FoundNetwork[]): FoundNetwork[] => {
    const keys = new Set(hits.map((hit) => networkKey(hit, sharedDrivers)));
    return keys.size === 1 ? all.filter((hit) => keys.has(networkKey(hit, sharedDrivers))) : [];
  };
  const byId = all.filter(({ network }) => isId(network.Id, reference));
  if (byId.length > 0) return one(byId);
  const byName = all.filter(({ engine, network }) => {
    const shared = isShared(network, sharedDrivers);
    return (
      network.Name === reference ||
      (!shared && (reference === `${engine.name}/${network.Name}` || reference === `${engine.id}/${network.Name}`))
    );
  });
  if (byName.length > 0) return one(byName);
  return one(all.filter(({ network }) => network.Id.startsWith(reference)));
}

export interface FoundVolume {
  readonly engine: Engine;
  readonly volume: Volume;
}

export function findVolumes(engines: readonly Engine[], reference: string): FoundVolume[] {
  return engines.flatMap((engine) =>
    engine.volumes
      .filter(
        (volume) =>
          reference === volume.Name || reference === `${engine.name}/${volume.Name}` || reference === `${engine.id}/${volume.Name}`,
      )
      .map((volume) => ({ engine, volume })),
  );
}
