import type { Engine } from '../engine/engine.js';
import { usedCpus, usedMemory } from '../scheduler/strategy.js';
import type { NodeView } from '../scheduler/types.js';

/** The `SystemStatus` pairs of `docker info` (spec/swarm.md 2.4.1): leading blanks and the corner are part of the data. Pure. */
export interface StatusInput {
  readonly role: 'primary' | 'replica';
  readonly primary?: string;
  readonly strategy: string;
  readonly filters: readonly string[];
  readonly engines: readonly Engine[];
  readonly pending: readonly Engine[];
  readonly nodes: readonly NodeView[];
}

export function systemStatus(input: StatusInput): [string, string][] {
  const pairs: [string, string][] = [['Role', input.role]];
  if (input.role === 'replica') pairs.push(['Primary', input.primary ?? '']);
  pairs.push(
    ['Strategy', input.strategy],
    ['Filters', input.filters.join(', ')],
    ['Nodes', String(input.engines.length + input.pending.length)],
  );
  const nodes = new Map(input.nodes.map((node) => [node.addr, node]));
  for (const engine of [...input.pending, ...input.engines]) pairs.push(...engineStatus(engine, nodes.get(engine.addr)));
  return pairs;
}

function engineStatus(engine: Engine, node: NodeView | undefined): [string, string][] {
  const counts = containerCounts([engine]);
  const total = String(counts.total);
  const pending = engine.state === 'Pending';
  const labels = Object.entries(engine.labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort();
  const pairs: [string, string][] = [
    [` ${pending || engine.name === '' ? '(unknown)' : engine.name}`, engine.addr],
    ['  └ ID', engine.id],
    ['  └ Status', engine.drained && engine.healthy ? 'Healthy (drained)' : engine.state],
    ['  └ Containers', engine.healthy ? `${total} (${counts.running} Running, ${counts.paused} Paused, ${counts.stopped} Stopped)` : total],
    ['  └ Reserved CPUs', `${trim(node === undefined ? 0 : usedCpus(node))} / ${engine.totalCpus}`],
    ['  └ Reserved Memory', `${bytes(node === undefined ? 0 : usedMemory(node))} / ${bytes(engine.totalMemory)}`],
    ['  └ Labels', labels.join(', ')],
  ];
  if (engine.error !== '') pairs.push(['  └ Error', engine.error]);
  pairs.push(['  └ UpdatedAt', engine.updatedAt.toISOString().replace(/\.\d+Z$/, 'Z')], ['  └ ServerVersion', engine.version.Version]);
  return pairs;
}

export function containerCounts(engines: readonly Engine[]): { total: number; running: number; paused: number; stopped: number } {
  const counts = { total: 0, running: 0, paused: 0, stopped: 0 };
  for (const engine of engines) {
    for (const { facts } of engine.containers.values()) {
      counts.total++;
      if (facts.state === 'paused') counts.paused++;
      else if (facts.running) counts.running++;
      else counts.stopped++;
    }
  }
  return counts;
}

/** `0 B`, `20 MiB`, `24.72 GiB`: four significant digits. */
export function bytes(value: number): string {
  let rest = value;
  let unit = 0;
  while (rest >= 1024 && unit < UNITS.length - 1) {
    rest /= 1024;
    unit++;
  }
  return `${Number(rest.toPrecision(4))} ${UNITS[unit]}`;
}
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
const trim = (value: number): string => String(Math.round(value * 100) / 100);
