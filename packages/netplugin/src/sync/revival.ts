/**
 * Starts the containers whose restart policy the engine could not follow because the agent or netmaster was away: an engine tries once, when a
 * container has ended or the host has booted, and never again.
 */
import { type ContainerDetail, type Engine, EngineError } from '@contiv/docker';
import { AGENT_AWAY } from '../doorkeeper.js';
import type { DriverContext } from '../driver/context.js';
import { Loop } from './loop.js';
import { inParallel } from './parallel.js';

/** As in the sentence that an engine is given then, and keeps as the reason why a container does not run. */
const MASTER_AWAY = 'no netmaster answers at';

/** The engine may be about to start it itself. */
const AFTER_MS = 2_000;

/** Would the engine have started it again, had it not been for us? Pure. */
export function isOwed({ State, HostConfig: { RestartPolicy } }: Pick<ContainerDetail, 'State' | 'HostConfig'>): boolean {
  const { Running, ExitCode, Error: reason } = State;
  const wanted =
    RestartPolicy.Name === 'always' || RestartPolicy.Name === 'unless-stopped' || (RestartPolicy.Name === 'on-failure' && ExitCode !== 0);
  return wanted && !Running && (reason.includes(AGENT_AWAY) || reason.includes(MASTER_AWAY));
}

export class Revival {
  readonly #engine: Engine;
  readonly #context: Pick<DriverContext, 'cluster' | 'log'>;
  readonly #loop: Loop;

  constructor(engine: Engine, context: Pick<DriverContext, 'cluster' | 'log'>) {
    this.#engine = engine;
    this.#context = context;
    this.#loop = new Loop((signal) => this.#look(signal), { every: 60_000, retry: { baseMs: 1_000, maxMs: 30_000 } });
    context.cluster.listen({ synced: () => this.soon() });
  }

  /** The engine or netmaster is back. */
  soon(): void {
    this.#loop.soon(AFTER_MS);
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #look(signal: AbortSignal): Promise<boolean> {
    const { cluster, log } = this.#context;
    if (!cluster.synced) return true;
    // One that never ran was somebody's command, who has been told that it failed.
    const ended = (await this.#engine.containers(true)).filter(({ State }) => State === 'exited');
    await inParallel(ended, async ({ Id }) => {
      if (signal.aborted || !cluster.synced) return;
      const detail = await this.#engine.container(Id);
      if (!detail || !isOwed(detail)) return;
      try {
        await this.#engine.startContainer(Id);
        log.info(
          { container: Id, name: detail.Name },
          'started a container that its engine could not start again while netplugin or netmaster was away',
        );
      } catch (error) {
        // Removed or started by somebody else meanwhile, or it does not start for another reason, which the engine keeps.
        if (!(error instanceof EngineError && error.status !== 0)) throw error;
        log.warn({ container: Id, reason: error.message }, 'a container that its engine could not start again does not start now either');
      }
    });
    return true;
  }
}
