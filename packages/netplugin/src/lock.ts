/** One agent per state directory: a unix socket whose other end tells the truth about who is alive, also after `kill -9`. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';

/** Who may hold a state directory: one agent, and beside it one doorkeeper. */
export type Role = 'agent' | 'doorkeeper';

/** Where the holder of a role listens. */
export const socketOf = (stateDir: string, role: Role): string => join(stateDir, `${role}.sock`);

/** A connection that lasts exactly as long as the holder; `undefined` when there is none. */
export function watchHolder(stateDir: string, role: Role): Promise<net.Socket | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect(socketOf(stateDir, role));
    socket.once('error', () => resolve(undefined));
    socket.once('connect', () => {
      socket.resume();
      resolve(socket);
    });
  });
}

/** Process id of the holder; `undefined` when there is none. */
export function holderOf(stateDir: string, role: Role = 'agent'): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect(socketOf(stateDir, role));
    let text = '';
    const done = (pid: number | undefined) => {
      socket.destroy();
      resolve(pid);
    };
    socket.setTimeout(2_000, () => done(0));
    socket.on('error', () => done(undefined));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      if (text.includes('\n')) done(Number.parseInt(text, 10) || 0);
    });
    socket.on('end', () => done(Number.parseInt(text, 10) || 0));
  });
}

export class StateLock {
  readonly #path: string;
  readonly #server: net.Server;
  readonly #connections = new Set<net.Socket>();

  private constructor(path: string) {
    this.#path = path;
    this.#server = net.createServer((socket) => {
      this.#connections.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#connections.delete(socket));
      // The connection stays: its end tells the other side that this agent is gone.
      socket.write(`${process.pid}\n`);
    });
  }

  /** Throws one sentence when another agent holds the directory. */
  static async take(stateDir: string, role: Role = 'agent'): Promise<StateLock> {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    const holder = await holderOf(stateDir, role);
    if (holder !== undefined) throw new Error(`another netplugin (pid ${holder}) runs with state directory ${stateDir}; stop it first`);
    const lock = new StateLock(socketOf(stateDir, role));
    rmSync(lock.#path, { force: true });
    await new Promise<void>((resolve, reject) => {
      lock.#server.once('error', reject);
      lock.#server.listen(lock.#path, resolve);
    });
    chmodSync(lock.#path, 0o600);
    lock.#server.unref();
    return lock;
  }

  release(): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
