/** The answer to netmaster's question whether a network's Docker network is on this host's engine. */
import { type DockerPresence, dockerNetworkName, networkKey, type QuestionBody } from '@contiv/model';
import type { Cluster } from './cluster.js';
import type { LocalState } from './state/records.js';

/** The engine's side of it. */
export interface EngineView {
  readonly errors: ReadonlyMap<string, string>;
  /** Why the engine is not followed; empty while it is. */
  readonly fault: string;
}

/** What the agent knows. */
interface Known {
  readonly state: Pick<LocalState, 'networks'>;
  readonly cluster: { readonly mirror: Pick<Cluster['mirror'], 'networks'>; readonly fault: string };
}

const LOOK_MS = 20;

/** Answers as soon as it is as wanted, at the latest after the time given. */
export async function presence(
  { state, cluster }: Known,
  engine: () => EngineView,
  { tenant, network, wanted, waitMs }: QuestionBody<'docker'>,
): Promise<DockerPresence> {
  const own = () => state.networks.values().find((n) => n.ref.tenant === tenant && n.ref.network === network && n.ref.group === undefined);
  const until = performance.now() + waitMs;
  let name = dockerNetworkName(tenant, network);
  for (;;) {
    const record = own();
    name = record?.dockerName ?? cluster.mirror.networks.get(networkKey(tenant, network))?.dockerName ?? name;
    const present = record !== undefined && (record.wish === undefined || record.dockerName !== undefined);
    if (present === wanted) return { present, reason: '' };
    if (performance.now() >= until) {
      const { fault, errors } = engine();
      const late = present ? 'the engine has not removed it yet' : 'the engine has not made it yet';
      return { present, reason: (fault || errors.get(name) || cluster.fault || late).slice(0, 2_000) };
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
