/** How a server takes a plugin socket's place: the agent's and, while that is dead, the doorkeeper's. */
import { chmodSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import type http from 'node:http';
import net from 'node:net';
import { dirname } from 'node:path';

export const PLUGIN_CONTENT_TYPE = 'application/vnd.docker.plugins.v1.2+json';
const CHECK_MS = 2_000;

/** Inode of a file; `undefined` when there is none. */
export function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

/**
 * Listens beside the socket and moves into its place, so that there is no moment without a listener and whoever listened before is
 * replaced. `publish` also looks every 2 s whether the place is still its own: somebody may have cleaned the directory.
 */
export class Publication {
  readonly #server: http.Server;
  readonly #path: string;
  #extra: net.Server | undefined;
  #inode: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #round = 0;

  constructor(server: http.Server, path: string) {
    this.#server = server;
    this.#path = path;
  }

  /** Is the socket at that path ours at present? */
  get current(): boolean {
    return this.#inode !== undefined && inodeOf(this.#path) === this.#inode;
  }

  /** @param keep look after it from now on */
  async publish(keep = true): Promise<void> {
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    const own = `${this.#path}.${process.pid}.${this.#round++}`;
    rmSync(own, { force: true });
    // A second listener hands its connections to the same HTTP server.
    const listener = this.#server.listening ? net.createServer((socket) => this.#server.emit('connection', socket)) : this.#server;
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(own, resolve);
    });
    chmodSync(own, 0o600);
    this.#inode = inodeOf(own);
    renameSync(own, this.#path);
    this.#extra?.close();
    this.#extra = listener === this.#server ? undefined : listener;
    if (keep) this.#timer ??= setInterval(() => this.#check(), CHECK_MS).unref();
  }

  #check(): void {
    if (!this.current) void this.publish().catch(() => undefined);
  }

  /** Lets go of the place; the file stays, and refuses connections at once. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#extra?.close();
  }
}
