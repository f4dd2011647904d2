import type { Engine } from '../engine/engine.js';
import type { Container, Facts } from '../engine/view.js';
import { ApiError } from '../errors.js';
import { TASK_LABEL } from '../scheduler/labels.js';
import type { ListFilters } from './filters.js';

/** The rows of `docker ps` (spec/swarm.md 2.4.2). Pure over the engines' caches. */
export interface PsQuery {
  readonly all: boolean;
  readonly limit: number;
  readonly before?: Container | undefined;
  readonly filters: ListFilters;
  /** What a name or id in a filter means. */
  readonly find: (reference: string) => Container | undefined;
}

export type Held = { readonly engine: Engine; readonly container: Container };

export const PS_FILTERS: ReadonlySet<string> = new Set(
  'ancestor before exited expose health id is-task label name network node publish since status volume'.split(' '),
);

/** @param everything newest first. */
export function listContainers(everything: readonly Held[], query: PsQuery): Held[] {
  const { filters } = query;
  for (const code of filters.get('exited'))
    if (!/^-?\d+$/.test(code)) throw new ApiError(500, `strconv.Atoi: parsing "${code}": invalid syntax`);
  const all = query.all || filters.has('status');
  const bound = (key: string) =>
    filters.get(key).map((reference) => {
      const found = query.find(reference);
      if (found === undefined) throw new ApiError(404, `No such container: ${reference}`);
      return found.facts.created;
    });
  const before = [...bound('before'), ...(query.before === undefined ? [] : [query.before.facts.created])];
  const since = bound('since');
  const unfiltered = filters.empty;
  const rows = everything.filter(({ engine, container }) => {
    const { facts, view } = container;
    const shown = (facts.running && engine.healthy) || all || query.before !== undefined || query.limit > 0;
    if (!shown || (!all && /^swarm(?::|$)/.test(view.image))) return false;
    if (unfiltered && before.length === 0) return true;
    if (before.some((created) => facts.created >= created) || since.some((created) => facts.created <= created)) return false;
    return matches(filters, engine, container);
  });
  return query.limit > 0 ? rows.slice(0, query.limit) : rows;
}

function matches(filters: ListFilters, engine: Engine, { id, facts, view }: Container): boolean {
  const networks = Object.entries(facts.networks);
  const isTask = filters.bool('is-task');
  const any = (key: string, holds: (wanted: string) => boolean): boolean => !filters.has(key) || filters.get(key).some(holds);
  const name = view.names[0] ?? '';
  return (
    (filters.match('name', name.replace(/^\//, '')) || filters.match('name', name)) &&
    filters.match('id', id) &&
    filters.labels('label', view.labels) &&
    filters.match('status', facts.state) &&
    (filters.exact('node', engine.name) || filters.exact('node', engine.id)) &&
    filters.exact('health', facts.health === '' ? 'none' : facts.health) &&
    (isTask === undefined || isTask === (view.labels[TASK_LABEL] !== undefined)) &&
    any('volume', (wanted) => facts.mounts.some((mount) => mount.name === wanted || mount.destination === wanted)) &&
    any('network', (wanted) => networks.some(([name, networkId]) => name === wanted || networkId.startsWith(wanted))) &&
    any('exited', (wanted) => !facts.running && !Number.isNaN(facts.started) && wanted === String(facts.exitCode)) &&
    any('ancestor', (wanted) => [facts.rowImage, view.image, facts.imageId].some((own) => descends(own, wanted))) &&
    any('publish', (wanted) => facts.published.some((port) => samePort(wanted, port))) &&
    any('expose', (wanted) => view.exposedPorts.some((port) => samePort(wanted, port)))
  );
}

/** Whether a container's image, by name or id, is the one that is asked for. */
function descends(own: string, wanted: string): boolean {
  if (own === wanted || own === `${wanted}:latest` || `${own}:latest` === wanted) return true;
  return wanted.length > 11 && own.replace(/^sha256:/, '').startsWith(wanted);
}

/** `80`, `80/tcp` or `8000-8080[/proto]` against `port/proto`. */
function samePort(wanted: string, have: string): boolean {
  const [range = '', protocol = 'tcp'] = wanted.split('/');
  const [port = '', haveProtocol = 'tcp'] = have.split('/');
  const [from, to = from] = range.split('-').map(Number);
  return protocol === haveProtocol && port !== '' && from !== undefined && to !== undefined && Number(port) >= from && Number(port) <= to;
}

/** A row in print; the time that has passed is all that is new about it. */
export function printRow({ engine, container }: Held, now: number): string {
  const [before, after] = container.print;
  return `${before}${JSON.stringify(engine.healthy ? statusText(container.facts, now) : 'Host Down')}${after}`;
}

export function statusText({ state, exitCode, health, started, finished }: Facts, now: number): string {
  switch (state) {
    case 'paused':
      return `Up ${duration(now - started)} (Paused)`;
    case 'restarting':
      return `Restarting (${exitCode}) ${duration(now - finished)} ago`;
    case 'running': {
      const mark = health === '' || health === 'none' ? '' : health === 'starting' ? ' (health: starting)' : ` (${health})`;
      return `Up ${duration(now - started)}${mark}`;
    }
    case 'dead':
      return 'Dead';
    case 'created':
      return 'Created';
    case 'exited':
      return `Exited (${exitCode}) ${duration(now - finished)} ago`;
  }
}

/** Docker's words for a length of time in milliseconds. */
export function duration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  const minutes = Math.trunc(seconds / 60);
  const hours = Math.round(ms / 3_600_000);
  if (!(seconds >= 1)) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 14) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 90) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(hours / 24 / 365)} years`;
}
