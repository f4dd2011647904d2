/** Client of one Docker Engine: the calls an agent needs, with shapes checked. Failures are `EngineError`s whose message a user can act on. */
import { z } from 'zod';
import * as shapes from './shapes.js';
import { EngineError, Transport } from './transport.js';

/** Newest API version whose shapes were tried here; older engines are spoken to in their own. */
const NEWEST_API = 51;

const minor = (version: string): number => Number(/^1\.(\d+)$/.exec(version)?.[1] ?? Number.NaN);

export interface EventHandlers {
  /** The stream is open: whatever happened before has to be listed now. */
  readonly connected: () => void;
  readonly event: (event: shapes.EngineEvent) => void;
  /** The stream broke; it is tried again by itself. */
  readonly disconnected?: (error: Error) => void;
}

export class Engine {
  readonly #transport: Transport;
  #prefix: string | undefined;

  /** @param address `unix:///path` or `tcp://host:port` */
  constructor(address: string) {
    this.#transport = new Transport(address);
  }

  async #call<T extends z.ZodType>(schema: T, method: string, path: string, body?: unknown, timeoutMs = 15_000): Promise<z.infer<T>> {
    const answer = await this.#transport.request(method, path, body, timeoutMs);
    const json = parseJson(answer.body);
    if (answer.status >= 300 || answer.status < 200) {
      const fault = shapes.engineFault.safeParse(json);
      throw new EngineError(answer.status, fault.success ? fault.data.message : `Docker answered ${answer.status} to ${method} ${path}`);
    }
    const parsed = schema.safeParse(json);
    if (parsed.success) return parsed.data;
    throw new EngineError(
      answer.status,
      `Docker's answer to ${method} ${path} is not understood: ${parsed.error.issues[0]?.message ?? ''}`,
    );
  }

  async #versioned(path: string): Promise<string> {
    if (this.#prefix === undefined) {
      const { ApiVersion } = await this.version();
      const offered = minor(ApiVersion);
      this.#prefix = Number.isNaN(offered) ? '' : `/v1.${Math.min(offered, NEWEST_API)}`;
    }
    return `${this.#prefix}${path}`;
  }

  version(): Promise<shapes.EngineVersion> {
    return this.#call(shapes.engineVersion, 'GET', '/version', undefined, 5_000);
  }

  async info(): Promise<shapes.EngineInfo> {
    return this.#call(shapes.engineInfo, 'GET', await this.#versioned('/info'));
  }

  /** Networks of one driver, or all; without their endpoints. */
  async networks(driver?: string): Promise<shapes.EngineNetwork[]> {
    const filter = driver === undefined ? '' : `?filters=${encodeURIComponent(JSON.stringify({ driver: [driver] }))}`;
    return this.#call(shapes.engineNetwork.array(), 'GET', await this.#versioned(`/networks${filter}`));
  }

  /** A network with its endpoints; `undefined` when there is none. */
  async network(id: string): Promise<shapes.EngineNetwork | undefined> {
    return absent(this.#call(shapes.engineNetwork, 'GET', await this.#versioned(`/networks/${encodeURIComponent(id)}`)));
  }

  /** Id of the new network. */
  async createNetwork(network: shapes.NetworkCreate): Promise<string> {
    const created = await this.#call(shapes.networkCreated, 'POST', await this.#versioned('/networks/create'), network, 30_000);
    return created.Id;
  }

  /** `false` when there was no such network. */
  async removeNetwork(id: string): Promise<boolean> {
    const path = await this.#versioned(`/networks/${encodeURIComponent(id)}`);
    return (await absent(this.#call(anything, 'DELETE', path, undefined, 30_000).then(() => true))) ?? false;
  }

  /** Running containers, paused ones included; with `all` also those that are starting or have ended. */
  async containers(all = false): Promise<shapes.ContainerSummary[]> {
    return this.#call(shapes.containerSummary.array(), 'GET', await this.#versioned(`/containers/json${all ? '?all=1' : ''}`));
  }

  async container(id: string): Promise<shapes.ContainerDetail | undefined> {
    return absent(this.#call(shapes.containerDetail, 'GET', await this.#versioned(`/containers/${encodeURIComponent(id)}/json`)));
  }

  /** Follows network and container events until `signal` is aborted, through restarts of the engine. */
  async follow(handlers: EventHandlers, signal: AbortSignal): Promise<void> {
    const filters = encodeURIComponent(JSON.stringify({ type: ['network', 'container'] }));
    let pause = 100;
    while (!signal.aborted) {
      try {
        // An engine that was upgraded in between may speak another version.
        this.#prefix = undefined;
        const path = await this.#versioned(`/events?filters=${filters}`);
        const opened = () => {
          pause = 100;
          handlers.connected();
        };
        const line = (text: string) => {
          const event = shapes.engineEvent.safeParse(parseJson(text));
          if (event.success) handlers.event(event.data);
        };
        await this.#transport.stream(path, opened, line, signal);
        throw new EngineError(0, 'Docker ended its event stream');
      } catch (error) {
        if (signal.aborted) return;
        handlers.disconnected?.(error instanceof Error ? error : new Error(String(error)));
        await sleep(pause * (0.75 + Math.random() / 2), signal);
        pause = Math.min(pause * 2, 3_000);
      }
    }
  }

  close(): void {
    this.#transport.close();
  }
}

const anything = z.unknown();

function parseJson(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function absent<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof EngineError && error.status === 404) return undefined;
    throw error;
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
