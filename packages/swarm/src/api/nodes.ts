import { ApiError } from '../errors.js';
import { type Context, sendJson } from './context.js';

/** The operator's view of the nodes: `swarm list --health` and `swarm node`. */
export function nodes({ cluster, ...context }: Context): void {
  sendJson(
    { cluster, ...context },
    200,
    [...cluster.pendingEngines, ...cluster.engines].map((engine) => ({
      Addr: engine.addr,
      Name: engine.name,
      Status: engine.state,
      Drained: engine.drained,
      Failures: engine.failures,
      Error: engine.error,
      UpdatedAt: engine.updatedAt.toISOString(),
      ServerVersion: engine.version.Version,
      Containers: engine.containers.size,
    })),
  );
}

export async function setNode(context: Context): Promise<void> {
  const [name = '', action] = context.params;
  if (!context.cluster.isNode(name)) throw new ApiError(404, `No such node: ${name}`);
  const moved = await context.manager.setDrained(name, action === 'drain');
  sendJson(context, 200, { Node: name, State: action, Messages: moved });
}
