import { type Filter, filterNodes, UnsatisfiedError } from './filters.js';
import { rank, type Strategy } from './strategy.js';
import type { Demand, NodeView } from './types.js';

/**
 * Nodes for a demand, best first. Soft expressions bind as long as everything can be met with them; otherwise none of them
 * does, and errors are those without them (spec/swarm.md 3.5).
 * @throws UnsatisfiedError
 */
export function selectNodes(
  filters: readonly Filter[],
  strategy: Strategy,
  demand: Demand,
  nodes: readonly NodeView[],
  random?: () => number,
): readonly NodeView[] {
  try {
    return pass(true);
  } catch (error) {
    if (!(error instanceof UnsatisfiedError)) throw error;
    return pass(false);
  }
  function pass(soft: boolean): readonly NodeView[] {
    const left = filterNodes(filters, demand, nodes, soft);
    if (left.length === 0) throw new UnsatisfiedError('No nodes available in the cluster');
    return rank(strategy, demand, left, random);
  }
}
