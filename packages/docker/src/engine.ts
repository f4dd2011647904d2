/** Client of one Docker Engine, or of a swarm that answers like one: the calls our programs need, with shapes checked. Failures are `EngineError`s whose message a user can act on. */
import { z } from 'zod';
import { stdoutOf } from './multiplexed.js';
import * as shapes from './shapes.js';
import { type Answer, EngineError, type EngineOptions, Transport } from './transport.js';

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
  constructor(address: string, options?: EngineOptions) {
    this.#transport = new Transport(address, options);
  }

  /** An answer whose status is that of a success. */
  async #ask(method: string, path: string, body: unknown, timeoutMs: number, signal?: AbortSignal): Promise<Answer> {
    const answer = await this.#transport.request(method, path, body, timeoutMs, signal);
    if (answer.status >= 200 && answer.status < 300) return answer;
    const fault = shapes.engineFault.safeParse(parseJson(answer.body.toString('utf8')));
    throw new EngineError(answer.status, fault.success ? fault.data.message : `Docker answered ${answer.status} to ${method} ${path}`);
  }

  async #call<T extends z.ZodType>(schema: T, method: string, path: string, body?: unknown, timeoutMs = 15_000): Promise<z.infer<T>> {
    const answer = await this.#ask(method, path, body, timeoutMs);
    const parsed = schema.safeParse(parseJson(answer.body.toString('utf8')));
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

  /** Containers in any state that bear the label, `KEY` or `KEY=VALUE`. */
  async labelled(label: string): Promise<shapes.ContainerSummary[]> {
    const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
    return this.#call(shapes.containerSummary.array(), 'GET', await this.#versioned(`/containers/json?all=1&filters=${filters}`));
  }

  /** Is an image of that name there? Nothing is pulled. */
  async hasImage(name: string): Promise<boolean> {
    const path = await this.#versioned(`/images/${encodeURIComponent(name)}/json`);
    return (await absent(this.#call(anything, 'GET', path).then(() => true))) ?? false;
  }

  /** Id of the new container. */
  async createContainer(name: string, container: shapes.ContainerCreate): Promise<string> {
    const path = await this.#versioned(`/containers/create?name=${encodeURIComponent(name)}`);
    return (await this.#call(shapes.created, 'POST', path, container, 60_000)).Id;
  }

  async startContainer(id: string): Promise<void> {
    await this.#ask('POST', await this.#versioned(`/containers/${encodeURIComponent(id)}/start`), undefined, 60_000);
  }

  /** Ends and removes it with its anonymous volumes; one that is not there, or on its way out, is no error. */
  async removeContainer(id: string): Promise<void> {
    const path = await this.#versioned(`/containers/${encodeURIComponent(id)}?force=1&v=1`);
    try {
      await this.#ask('DELETE', path, undefined, 60_000);
    } catch (error) {
      if (!(error instanceof EngineError && (error.status === 404 || error.status === 409))) throw error;
    }
  }

  /** Runs a command in a container to its end; what it wrote to standard output. Not waited for any more when `signal` is aborted. */
  async exec(id: string, argv: readonly string[], timeoutMs: number, signal?: AbortSignal): Promise<string> {
    const path = await this.#versioned(`/containers/${encodeURIComponent(id)}/exec`);
    const exec = await this.#call(shapes.created, 'POST', path, { AttachStdout: true, AttachStderr: true, Cmd: argv });
    const start = await this.#versioned(`/exec/${encodeURIComponent(exec.Id)}/start`);
    const { body } = await this.#ask('POST', start, { Detach: false, Tty: false }, timeoutMs, signal);
    return stdoutOf(body);
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
