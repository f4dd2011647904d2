/** Removes what runs have made, from what is there: it works after any end of a run, and again. */
import { ApiError, type RestClient } from '@contiv/client';
import { type Engine, EngineError } from '@contiv/docker';
import { each, pause } from './parallel.js';
import { LABEL, runOf } from './plan.js';

export interface Swept {
  /** What was removed: containers and tenants, by name. */
  readonly removed: readonly string[];
  /** What could not be, as sentences. */
  readonly left: readonly string[];
}

/** An agent tells netmaster of a container's end a moment later; a Docker network goes when its network has gone. */
const PATIENCE_MS = 20_000;
const PIECE_MS = 5_000;

/** `run`: of one run, or of all when there is none. */
export async function sweep(client: RestClient, engines: readonly Engine[], run?: string): Promise<Swept> {
  const removed: string[] = [];
  const left: string[] = [];
  const attempt = async (what: string, task: () => Promise<unknown>) => {
    try {
      await task();
      return true;
    } catch (error) {
      left.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return false;
    }
  };
  await each(engines, engines.length, async (engine) => {
    await attempt('containers', async () => {
      const ids = (await engine.labelled(run === undefined ? LABEL : `${LABEL}=${run}`)).map(({ Id }) => Id);
      await each(ids, 16, async (id) => {
        if (await attempt(`container ${id.slice(0, 12)}`, () => removeContainer(engine, id))) removed.push(`container ${id.slice(0, 12)}`);
      });
    });
  });
  await attempt('objects at netmaster', async () => {
    const mine = (tenant: string) => runOf(tenant) !== undefined && (run === undefined || runOf(tenant) === run);
    const tenants = (await client.tenants.list()).map(({ tenantName }) => tenantName).filter(mine);
    await each(tenants, 4, async (tenant) => {
      if (await attempt(`tenant ${tenant}`, () => removeTenant(client, tenant))) removed.push(`tenant ${tenant}`);
    });
  });
  return { removed, left };
}

/** Also waits for the end of one that removes itself. */
async function removeContainer(engine: Engine, id: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    await engine.removeContainer(id);
    if ((await engine.container(id)) === undefined) return;
    if (performance.now() > deadline) throw new EngineError(0, 'Docker is still removing it');
    await pause(200);
  }
}

async function removeTenant(client: RestClient, tenant: string): Promise<void> {
  const here = ({ tenantName }: { readonly tenantName: string }) => tenantName === tenant;
  for (const { key } of (await client.endpointGroups.list()).filter(here)) await whenFree(() => client.endpointGroups.remove(key));
  for (const { key } of (await client.rules.list()).filter(here)) await client.rules.remove(key);
  for (const { key } of (await client.policies.list()).filter(here)) await whenFree(() => client.policies.remove(key));
  for (const { key } of (await client.networks.list()).filter(here)) {
    await whenFree(() => client.networks.remove(key));
    await client.dockerPlaces(key, false, PIECE_MS).catch(() => []);
  }
  await whenFree(() => client.tenants.remove(tenant));
}

/** Again while it is in use: of containers that have just gone, netmaster hears in a moment. */
async function whenFree(remove: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await remove();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === 'not-found') return;
      if (error.code !== 'in-use' || performance.now() > deadline) throw error;
      await pause(200);
    }
  }
}
