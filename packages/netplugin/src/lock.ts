/**
 * One agent per state directory. The lock of a file decides who it is, in one step; a unix socket tells whoever asks, and whoever waits
 * for the end of it. Both tell the truth after `kill -9` too.
 */
import { chmodSync, closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { tryLock } from '@contiv/syscall';

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
  readonly #file: number;
  readonly #server: net.Server;
  readonly #connections = new Set<net.Socket>();

  private constructor(file: number) {
    this.#file = file;
    this.#server = net.createServer((socket) => {
      this.#connections.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#connections.delete(socket));
      // The connection stays: its end tells the other side that this agent is gone.
      socket.write(`${process.pid}\n`);
    });
  }

  /** Throws one sentence when another holds the directory. */
  static async take(stateDir: string, role: Role = 'agent'): Promise<StateLock> {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    const file = openSync(join(stateDir, `${role}.lock`), 'a', 0o600);
    try {
      // Agents of before had the socket alone: one that answers is alive all the same.
      const ours = tryLock(file);
      const holder = await holderOf(stateDir, role);
      if (!ours || holder !== undefined) throw new Error(sentence(stateDir, role, holder));
      const lock = new StateLock(file);
      const path = socketOf(stateDir, role);
      rmSync(path, { force: true });
      await new Promise<void>((resolve, reject) => {
        lock.#server.once('error', reject);
        lock.#server.listen(path, resolve);
      });
      chmodSync(path, 0o600);
      lock.#server.unref();
      return lock;
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  async release(): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    closeSync(this.#file);
  }
}

function sentence(stateDir: string, role: Role, holder: number | undefined): string {
  const who = role === 'agent' ? 'netplugin' : 'doorkeeper';
  return holder === undefined
    ? `another ${who} is just starting or ending with state directory ${stateDir}; try again when it has done so, or stop it`
    : `another ${who} (pid ${holder}) runs with state directory ${stateDir}; stop it first`;
}
