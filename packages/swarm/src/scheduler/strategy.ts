import { UnsatisfiedError } from './filters.js';
import type { Demand, NodeView } from './types.js';

export const STRATEGIES = ['spread', 'binpack', 'random'] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** `binpacking` is an old alias. */
export function strategyNamed(name: string): Strategy | undefined {
  if (name === 'binpacking') return 'binpack';
  return STRATEGIES.find((strategy) => strategy === name);
}

/** Nodes with room, best first (spec/swarm.md 3.6). `random` ranks by lot and checks no resources. @throws UnsatisfiedError */
export function rank(
  strategy: Strategy,
  demand: Demand,
  nodes: readonly NodeView[],
  random: () => number = Math.random,
): readonly NodeView[] {
  if (strategy === 'random') return shuffle(nodes, random);
  const direction = strategy === 'spread' ? 1 : -1;
  const weighted = nodes.flatMap((node) => {
    const weight = weigh(demand, node, -10 * direction);
    return weight === undefined ? [] : [{ node, weight }];
  });
  if (weighted.length === 0) throw new UnsatisfiedError('no resources available to schedule container');
  weighted.sort((a, b) => direction * (a.weight - b.weight || a.node.containers.length - b.node.containers.length));
  return weighted.map(({ node }) => node);
}

/** Undefined when the node has no room. */
function weigh(demand: Demand, node: NodeView, healthFactor: number): number | undefined {
  const cpu = score(demand.cpus, usedCpus(node), node.totalCpus);
  const memory = score(demand.memory, usedMemory(node), node.totalMemory);
  return cpu === undefined || memory === undefined ? undefined : cpu + memory + healthFactor * node.health;
}

function score(wanted: number, used: number, total: number): number | undefined {
  if (wanted <= 0) return 100;
  // Compared before the percentage is cut to an integer, so that not even a fraction of a percent is committed twice.
  return used + wanted > total ? undefined : Math.trunc(((used + wanted) * 100) / total);
}

export function usedMemory(node: NodeView): number {
  return node.containers.reduce((sum, container) => sum + container.memory, 0);
}

export function usedCpus(node: NodeView): number {
  return node.containers.reduce((sum, container) => sum + container.cpus, 0);
}

function shuffle(nodes: readonly NodeView[], random: () => number): NodeView[] {
  const result = [...nodes];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const a = result[i];
    const b = result[j];
    if (a !== undefined && b !== undefined) [result[i], result[j]] = [b, a];
  }
  return result;
}
