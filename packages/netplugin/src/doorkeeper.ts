/**
 * Stands in for a dead agent at the plugin socket. Without it an engine would try a dead socket again and again for 15 s per call; so calls are
 * held for a moment, given to the agent if it comes back, and otherwise answered: descriptions as usual, removals with success (the agent
 * compares with the engine when it is back), everything else with a sentence that says what to do.
 */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import http from 'node:http';
import type net from 'node:net';
import { harmlessAnswer } from './driver/harmless.js';
import { inodeOf, PLUGIN_CONTENT_TYPE, Publication } from './driver/publication.js';
import { holderOf, StateLock, socketOf, watchHolder } from './lock.js';

/** What an engine is told then. */
export const AGENT_AWAY = 'netplugin is not running on this host';

/** How long after the agent's death calls wait for it: a restart takes less. */
const HOLD_MS = 3_000;
const LOOK_MS = 100;
const MAX_BODY = 1024 * 1024;

const DESCRIPTIONS = (scope: string): ReadonlyMap<string, object> =>
  new Map<string, object>([
    ['/Plugin.Activate', { Implements: ['NetworkDriver', 'IpamDriver'] }],
    ['/NetworkDriver.GetCapabilities', { Scope: scope, ConnectivityScope: 'global', GwAllocChecker: true }],
    ['/NetworkDriver.GwAllocCheck', { SkipIPv4: true, SkipIPv6: true }],
    ['/IpamDriver.GetCapabilities', { RequiresMACAddress: false, RequiresRequestReplay: false }],
    ['/IpamDriver.GetDefaultAddressSpaces', { LocalDefaultAddressSpace: 'contiv', GlobalDefaultAddressSpace: 'contiv' }],
  ]);

export interface DoorkeeperOptions {
  readonly stateDir: string;
  readonly socket: string;
  readonly scope: string;
}

export class Doorkeeper {
  readonly #options: DoorkeeperOptions;
  readonly #descriptions: ReadonlyMap<string, object>;
  #server: http.Server | undefined;
  #publication: Publication | undefined;
  #stopped = false;
  #watching: net.Socket | undefined;
  #diedAt = performance.now();

  constructor(options: DoorkeeperOptions) {
    this.#options = options;
    this.#descriptions = DESCRIPTIONS(options.scope);
  }

  /** Runs until `stop`, or until `stillNeeded` says no: silent while the agent lives. */
  async run(stillNeeded: () => boolean = () => true): Promise<void> {
    while (!this.#stopped && stillNeeded()) {
      this.#watching = await watchHolder(this.#options.stateDir, 'agent');
      if (this.#watching) {
        const agent = this.#watching;
        const gone = new Promise((resolve) => agent.once('close', resolve));
        void this.#stepBack(agent);
        await gone;
        this.#diedAt = performance.now();
      } else {
        if (!this.#publication?.current) await this.#standIn();
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    }
  }

  /** Leaves no socket without anybody behind it. */
  stop(): void {
    this.#stopped = true;
    this.#watching?.destroy();
    if (this.#publication?.current) rmSync(this.#options.socket, { force: true });
    this.#publication?.stop();
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  async #standIn(): Promise<void> {
    this.#server?.close();
    const server = http.createServer({ requestTimeout: 10_000 }, (req, res) => void this.#serve(req, res));
    server.keepAliveTimeout = 1;
    this.#server = server;
    this.#publication = new Publication(server, this.#options.socket);
    await this.#publication.publish(false).catch(() => undefined);
  }

  /** The agent is back: as soon as it has its socket in place, nobody comes here any more. One that dies before has changed nothing. */
  async #stepBack(agent: net.Socket): Promise<void> {
    const [server, publication] = [this.#server, this.#publication];
    while (publication?.current && !this.#stopped) {
      if (agent.destroyed) return;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    publication?.stop();
    server?.close();
  }

  async #serve(req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
    const path = (req.url ?? '').split('?', 1)[0] ?? '';
    const body = await readAll(req);
    const reply = (status: number, answer: object | string): void => {
      const text = typeof answer === 'string' ? answer : JSON.stringify(answer);
      res.writeHead(status, { 'content-type': PLUGIN_CONTENT_TYPE, 'content-length': Buffer.byteLength(text), connection: 'close' });
      res.end(text);
    };
    if (body === undefined || req.method !== 'POST') return reply(400, { Err: 'malformed request' });
    const description = this.#descriptions.get(path);
    if (description) return reply(200, description);
    const handedOn = await this.#handOn(path, body);
    if (handedOn) return reply(handedOn.status, handedOn.text);
    const harmless = harmlessAnswer(path, body);
    if (harmless) return reply(200, harmless);
    reply(500, { Err: `${AGENT_AWAY}; start it (systemctl start netplugin) and try again` });
  }

  /** Waits for the agent's own socket and asks it; `undefined` when it does not come. */
  async #handOn(path: string, body: string): Promise<{ status: number; text: string } | undefined> {
    const end = this.#diedAt + HOLD_MS;
    for (let first = true; (first || performance.now() < end) && !this.#stopped; first = false) {
      if (this.#publication && !this.#publication.current && inodeOf(this.#options.socket) !== undefined) {
        const answer = await ask(this.#options.socket, path, body).catch(() => undefined);
        if (answer) return answer;
      }
      if (performance.now() < end) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return undefined;
  }
}

function ask(socketPath: string, path: string, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const req = http.request({ socketPath, path, method: 'POST', agent: false, timeout: 5_000 }, (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (chunk: string) => {
        text += chunk;
      });
      res.on('end', () => resolve({ status: res.statusCode ?? 500, text }));
      res.on('error', reject);
    });
    req.on('timeout', () => req.destroy(new Error('no answer')));
    req.on('error', reject);
    req.end(body);
  });
}

function readAll(req: http.IncomingMessage): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    req.setEncoding('utf8');
    req.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > MAX_BODY) {
        req.destroy();
        resolve(undefined);
      }
    });
    req.on('end', () => resolve(text));
    req.on('error', () => resolve(undefined));
  });
}

/** Starts a doorkeeper beside the agent unless one runs; it outlives the agent. */
export async function ensureDoorkeeper(options: DoorkeeperOptions): Promise<void> {
  if ((await holderOf(options.stateDir, 'doorkeeper')) !== undefined) return;
  const script = process.argv[1];
  if (script === undefined) return;
  const child = spawn(process.execPath, ['--max-old-space-size=32', script, 'doorkeeper', JSON.stringify(options)], {
    detached: true,
    stdio: 'ignore',
  });
  child.on('error', () => undefined);
  child.unref();
}

/** How long an agent may be without a doorkeeper that somebody killed. */
const REVIVE_MS = 10_000;

/** Sees to it that there is a doorkeeper as long as the agent lives; answers what ends that, and leaves the doorkeeper where it is. */
export async function keepDoorkeeper(options: DoorkeeperOptions): Promise<() => void> {
  await ensureDoorkeeper(options);
  const timer = setInterval(() => void ensureDoorkeeper(options).catch(() => undefined), REVIVE_MS).unref();
  return () => clearInterval(timer);
}

/** Ends the doorkeeper of a state directory, if there is one. */
export async function dismissDoorkeeper(stateDir: string): Promise<void> {
  const pid = await holderOf(stateDir, 'doorkeeper');
  if (pid === undefined || pid <= 1) return;
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It ended by itself meanwhile.
  }
}

/** The hidden command. */
export async function runDoorkeeper(text: string): Promise<void> {
  // It is no netplugin to whoever looks for one.
  process.title = 'contiv-doorkeeper';
  const { stateDir, socket, scope } = JSON.parse(text) as DoorkeeperOptions;
  const lock = await StateLock.take(stateDir, 'doorkeeper').catch(() => process.exit(0));
  const doorkeeper = new Doorkeeper({ stateDir, socket, scope });
  const end = () => {
    doorkeeper.stop();
    void lock.release().then(() => process.exit(0));
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  // A state directory that was removed has no agent to come back to.
  const own = socketOf(stateDir, 'doorkeeper');
  const inode = inodeOf(own);
  await doorkeeper.run(() => inodeOf(own) === inode);
  end();
}
