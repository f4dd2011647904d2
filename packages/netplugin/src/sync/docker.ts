/** Follows one engine's events and wakes what depends on them. */
import type { Engine, EngineEvent } from '@contiv/docker';
import type { Logger } from '@contiv/observe';
import type { Containers } from './containers.js';
import type { DockerNetworks } from './docker-networks.js';
import type { HostSync } from './host.js';
import type { Revival } from './revival.js';

export class DockerFollower {
  readonly #engine: Engine;
  readonly #networks: DockerNetworks;
  readonly #containers: Containers;
  readonly #host: HostSync;
  readonly #revival: Revival;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  #done: Promise<void> | undefined;
  #connected = false;
  #fault = '';

  constructor(engine: Engine, networks: DockerNetworks, containers: Containers, host: HostSync, revival: Revival, log: Logger) {
    this.#engine = engine;
    this.#networks = networks;
    this.#containers = containers;
    this.#host = host;
    this.#revival = revival;
    this.#log = log;
  }

  get connected(): boolean {
    return this.#connected;
  }

  get fault(): string {
    return this.#connected ? '' : this.#fault;
  }

  start(): void {
    this.#done = this.#engine.follow(
      {
        connected: () => {
          this.#connected = true;
          this.#log.info('following the Docker Engine');
          this.#networks.soon();
          this.#containers.everything();
          this.#host.soon(200);
          this.#revival.soon();
        },
        event: (event) => this.#event(event),
        disconnected: (error) => {
          if (this.#connected || this.#fault === '') this.#log.warn({ reason: error.message }, 'lost the Docker Engine; containers go on');
          this.#connected = false;
          this.#fault = error.message;
        },
      },
      this.#stopping.signal,
    );
  }

  #event(event: EngineEvent): void {
    if (event.Type === 'network') {
      if (event.Action === 'create' || event.Action === 'destroy' || event.Action === 'remove') this.#networks.soon();
      const container = event.Actor.Attributes.container;
      if (event.Action === 'connect' && container) this.#containers.changed(container);
    } else if (event.Type === 'container') {
      if (event.Action === 'start' || event.Action === 'rename') this.#containers.changed(event.Actor.ID);
      // An engine that could not reach us while it removed an endpoint does not come back to it.
      if (event.Action === 'die') this.#host.soon(35_000);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }
}
