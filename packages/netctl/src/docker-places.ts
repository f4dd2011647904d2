/** Docker networks appear a moment after their network: who goes on at once with `docker run` waits for them here. */
import { type DockerPlace, networkKey } from '@contiv/model';
import { printable } from './output/table.js';
import type { Session } from './session.js';

/** An engine makes a network in some 100 ms; a slow one does not hold the user up. */
const WAIT_MS = 1_500;

/** Waits until the engines have the Docker network, or none of them has it any more; hosts that are late are named on stderr and are no failure. */
export async function awaitDocker(session: Session, tenant: string, network: string, wanted: boolean): Promise<void> {
  await name(session, tenant, network, wanted, WAIT_MS);
}

/** Names the hosts that lack the Docker network, without waiting. */
export async function nameLacking(session: Session, tenant: string, network: string): Promise<void> {
  await name(session, tenant, network, true, 0);
}

async function name(session: Session, tenant: string, network: string, wanted: boolean, waitMs: number): Promise<void> {
  const client = await session.client();
  // What was asked for is done: a netmaster that does not know this question, or is away, is no reason to fail now.
  const places = await client.dockerPlaces(networkKey(tenant, network), wanted, waitMs).catch((): DockerPlace[] => []);
  for (const place of places) {
    if (place.present === wanted) continue;
    const state = wanted ? 'is not in Docker' : 'is still in Docker';
    session.io.err(`${printable(`network ${networkKey(tenant, network)} ${state} on ${place.host}: ${place.reason}`)}\n`);
  }
}
