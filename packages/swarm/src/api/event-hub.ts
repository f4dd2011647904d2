import type { Engine } from '../engine/engine.js';
import type { EngineEvent } from '../engine/shapes.js';
import { integerText, type Json, LongInteger, objectAt, stringAt, stringMapAt } from '../json.js';
import type { ListFilters } from './filters.js';

/** The cluster's events: engines' own with their node, and the manager's. A bounded history answers `since`. */
const HISTORY = 4096;

export interface HubEvent {
  readonly nano: bigint;
  readonly body: Json;
}

export class EventHub {
  readonly #history: HubEvent[] = [];
  readonly #listeners = new Set<(event: HubEvent) => void>();

  get listeners(): number {
    return this.#listeners.size;
  }
  history(since: bigint): HubEvent[] {
    return this.#history.filter((event) => event.nano >= since);
  }
  listen(listener: (event: HubEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  publish(body: Json): void {
    const nano = BigInt(integerText(body.timeNano) ?? `${Math.trunc(Date.now() / 1000)}000000000`);
    const event = { nano, body };
    this.#history.push(event);
    if (this.#history.length > HISTORY) this.#history.splice(0, this.#history.length - HISTORY);
    for (const listener of this.#listeners) listener(event);
  }
}

/** An engine's event with the node it came from. */
export function withNode(engine: Engine, event: EngineEvent): Json {
  const { id, name, addr, ip } = engine;
  const attributes = { ...event.Actor?.Attributes, 'node.addr': addr, 'node.id': id, 'node.ip': ip, 'node.name': name };
  return {
    ...event,
    from: `${event.from ?? ''} node:${name}`,
    Actor: { ID: event.Actor?.ID ?? event.id ?? '', Attributes: attributes },
    node: { Name: name, Id: id, Addr: addr, Ip: ip },
  };
}

export function managerEvent(engine: Engine, action: string): Json {
  const { id, name, addr, ip } = engine;
  const now = Date.now();
  return {
    status: action,
    from: `swarm node:${name}`,
    Type: 'swarm',
    Action: action,
    Actor: { ID: id, Attributes: { 'node.addr': addr, 'node.id': id, 'node.ip': ip, 'node.name': name } },
    time: Math.trunc(now / 1000),
    timeNano: new LongInteger(`${BigInt(now) * 1_000_000n}`),
    node: { Name: name, Id: id, Addr: addr, Ip: ip },
  };
}

/** Docker's rules for event filters. Pure. */
export function eventMatches(filters: ListFilters, body: Json): boolean {
  const type = stringAt(body, 'Type');
  const action = stringAt(body, 'Action');
  const actor = objectAt(body, 'Actor');
  const id = stringAt(actor, 'ID');
  const attributes = stringMapAt(actor, 'Attributes');
  const scope = stringAt(body, 'scope') || 'local';
  if (!filters.exact('type', type) || !filters.exact('scope', scope) || !filters.labels('label', attributes)) return false;
  if (
    filters.has('event') &&
    !filters.get('event').some((wanted) => wanted === action || (BY_PREFIX.has(wanted) && action.startsWith(wanted)))
  )
    return false;
  if (filters.has('node') && !filters.get('node').some((wanted) => wanted === attributes['node.name'] || wanted === attributes['node.id']))
    return false;
  for (const kind of ['container', 'network', 'volume', 'daemon', 'plugin', 'service', 'secret', 'config'] as const) {
    if (!filters.has(kind)) continue;
    const source =
      type === kind ? [id, attributes.name ?? ''] : kind === 'container' && type === 'network' ? [attributes.container ?? ''] : [];
    if (!filters.get(kind).some((wanted) => source.some((word) => word !== '' && (word === wanted || word.startsWith(wanted)))))
      return false;
  }
  if (filters.has('image')) {
    const image = type === 'image' ? id : (attributes.image ?? '');
    const words = [image, image.replace(/:[^:/]*$/, ''), attributes.name ?? ''];
    if (!filters.get('image').some((wanted) => words.includes(wanted))) return false;
  }
  return true;
}

const BY_PREFIX = new Set(['health_status', 'exec_create', 'exec_start']);
