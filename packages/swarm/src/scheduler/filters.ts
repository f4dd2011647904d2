import { type Expression, ExpressionError, holds, parseExpression } from './expression.js';
import type { ContainerView, Demand, ImageView, NodeView, PortBinding } from './types.js';

/** A filter keeps the nodes that can take the container, and can say what it asked for. Pure. */
export interface Filter {
  readonly name: string;
  /** @throws ExpressionError */
  keep(demand: Demand, nodes: readonly NodeView[], soft: boolean): readonly NodeView[];
  /** The demand's conditions for the error text; empty when the filter was not asked for anything. @throws ExpressionError */
  describe(demand: Demand): readonly string[];
}

const ANY_ADDRESS = new Set(['', '0.0.0.0', '::']);

const health: Filter = {
  name: 'health',
  keep: (_demand, nodes) => nodes.filter((node) => node.health > 0 && !node.drained),
  describe: () => [],
};

const port: Filter = {
  name: 'port',
  keep(demand, nodes) {
    if (demand.networkMode === 'host') {
      return nodes.filter(
        (node) =>
          !node.containers.some(
            (container) =>
              container.networkMode === 'host' && container.exposedPorts.some((exposed) => demand.exposedPorts.includes(exposed)),
          ),
      );
    }
    const goes = ({ id }: ContainerView) => demand.replaces !== '' && id.startsWith(demand.replaces);
    return nodes.filter(
      (node) => !demand.portBindings.some((wanted) => node.containers.some((container) => !goes(container) && clashes(wanted, container))),
    );
  },
  describe: (demand) =>
    demand.networkMode === 'host'
      ? demand.exposedPorts.map((exposed) => `port ${exposed} (Host mode)`)
      : demand.portBindings.filter((binding) => binding.hostPort !== '').map((binding) => `port ${binding.hostPort} (Bridge mode)`),
};

function clashes(wanted: PortBinding, container: ContainerView): boolean {
  if (wanted.hostPort === '') return false;
  return container.portBindings.some(
    (bound) =>
      bound.hostPort === wanted.hostPort &&
      bound.protocol === wanted.protocol &&
      (bound.hostIp === wanted.hostIp || ANY_ADDRESS.has(bound.hostIp) || ANY_ADDRESS.has(wanted.hostIp)),
  );
}

const containerSlots: Filter = {
  name: 'containerslots',
  keep: (_demand, nodes) =>
    nodes.filter((node) => {
      const label = node.labels.containerslots;
      return label === undefined || !/^[+-]?\d+$/.test(label) || node.containers.length < Number(label);
    }),
  describe: () => ['available container slots'],
};

const dependency: Filter = {
  name: 'dependency',
  keep: (demand, nodes) =>
    nodes.filter((node) =>
      demand.dependencies.every((needed) => node.containers.some((container) => isContainer(container, node, needed.container))),
    ),
  describe: (demand) => demand.dependencies.map((needed) => `${needed.flag}=${needed.text}`),
};

function isContainer(container: ContainerView, node: NodeView, name: string): boolean {
  if (name === '') return false;
  const bare = name.replace(/^\//, '');
  const prefixed = [`${node.name}/`, `${node.id}/`].find((prefix) => bare.startsWith(prefix));
  const local = prefixed === undefined ? bare : bare.slice(prefixed.length);
  const swarmId = container.labels['com.docker.swarm.id'] ?? '';
  return (
    container.names.includes(`/${local}`) ||
    (container.id !== '' && container.id.startsWith(bare)) ||
    (swarmId !== '' && swarmId.startsWith(bare))
  );
}

/** A filter over one list of expressions; a soft one binds only in the first pass. */
function expressions(
  name: string,
  list: (demand: Demand) => readonly string[],
  matches: (expression: Expression, node: NodeView) => boolean,
  print: (expression: Expression) => string,
): Filter {
  return {
    name,
    keep(demand, nodes, soft) {
      const parsed = list(demand).map(parseExpression);
      const binding = soft ? parsed : parsed.filter((expression) => !expression.soft);
      return nodes.filter((node) => binding.every((expression) => matches(expression, node)));
    },
    describe: (demand) => list(demand).map((text) => print(parseExpression(text))),
  };
}

const softMark = (e: Expression): string => `${e.key}${e.operator}${e.value} (soft=${e.soft})`;

const affinity = expressions(
  'affinity',
  (demand) => demand.affinities,
  (expression, node) => holds(expression, affinityCandidates(expression.key, node)),
  softMark,
);

function affinityCandidates(key: string, node: NodeView): string[] {
  if (key === 'container') return node.containers.flatMap((c) => (c.names.length === 0 ? [] : [c.id, (c.names[0] ?? '').slice(1)]));
  if (key === 'image') return node.images.flatMap(imageCandidates);
  return node.containers.map((container) => container.labels[key] ?? '');
}

function imageCandidates(image: ImageView): string[] {
  const repositories = image.repoTags.map((tag) => tag.replace(/:[^:/]*$/, ''));
  return [image.id, image.id.replace(/^sha256:/, ''), ...image.repoTags, ...repositories];
}

const constraint = expressions(
  'constraint',
  (demand) => demand.constraints,
  (expression, node) => holds(expression, expression.key === 'node' ? [node.id, node.name] : [node.labels[expression.key] ?? '']),
  (e) => `${e.key}${e.operator}${e.value}`,
);

const whitelist = expressions(
  'whitelist',
  (demand) => demand.whitelists,
  (expression, node) => expression.value.split('|').includes(node.name),
  softMark,
);

export const FILTERS: readonly Filter[] = [health, port, containerSlots, dependency, affinity, constraint, whitelist];

/** @throws ExpressionError for text that is no expression */
export function filterNodes(filters: readonly Filter[], demand: Demand, nodes: readonly NodeView[], soft: boolean): readonly NodeView[] {
  let left = nodes;
  for (const [index, filter] of filters.entries()) {
    try {
      left = filter.keep(demand, left, soft);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      throw new UnsatisfiedError(report(filters.slice(0, index + 1), demand));
    }
    if (left.length > 0) continue;
    if (filter === health) throw new UnsatisfiedError('No healthy node available in the cluster');
    throw new UnsatisfiedError(report(filters.slice(0, index + 1), demand));
  }
  return left;
}

/** No node meets the demand; the message is what the client is shown. */
export class UnsatisfiedError extends Error {
  override readonly name = 'UnsatisfiedError';
}

function report(asked: readonly Filter[], demand: Demand): string {
  let text = 'Unable to find a node that satisfies the following conditions ';
  for (const filter of asked) {
    try {
      const conditions = filter.describe(demand);
      if (conditions.length > 0) text += `\n[${conditions.join(' ')}]`;
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      return `${text}\nerror from ${filter.name} filter: ${error.message}`;
    }
  }
  return text;
}
