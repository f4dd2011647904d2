import type { Socket } from 'node:net';

const MAX_HEAD = 64 * 1024;

/**
 * Asks one engine over and over whether it is alive. On a connection of its own, for calls that take long must not keep the question
 * waiting; and in no more HTTP than it takes, for a thousand engines are asked more than a hundred times a second: the answer to HEAD
 * is a head and nothing else.
 */
export class Liveness {
  readonly #question: string;
  readonly #dial: (timeoutMs: number) => Promise<Socket>;
  #socket: Socket | undefined;

  /** @param addr what the engine is called in the question's `Host`. */
  constructor(addr: string, dial: (timeoutMs: number) => Promise<Socket>) {
    this.#question = `HEAD /_ping HTTP/1.1\r\nHost: ${addr}\r\n\r\n`;
    this.#dial = dial;
  }

  /** Returns with the end of an answer's head, whatever it says. @throws Error when there is none in time */
  async ask(timeoutMs: number): Promise<void> {
    this.#socket ??= this.#kept(await this.#dial(timeoutMs));
    await this.#answered(this.#socket, timeoutMs);
  }

  #kept(socket: Socket): Socket {
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined;
    });
    return socket;
  }

  #answered(socket: Socket, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let head = '';
      const finish = (error?: Error): void => {
        clearTimeout(timer);
        socket.off('data', take).off('close', lost);
        if (error === undefined) resolve();
        else {
          socket.destroy();
          reject(error);
        }
      };
      const timer = setTimeout(() => finish(new Error('no answer in time')), timeoutMs);
      const lost = (): void => finish(new Error('the connection ended without an answer'));
      const take = (chunk: Buffer): void => {
        head += chunk.toString('latin1');
        if (!head.startsWith('HTTP/1.'.slice(0, head.length))) finish(new Error('the answer is not HTTP'));
        else if (head.includes('\r\n\r\n')) finish();
        else if (head.length > MAX_HEAD) finish(new Error(`the answer's head is larger than ${MAX_HEAD} bytes`));
      };
      socket.on('data', take).on('close', lost);
      if (socket.destroyed) lost();
      else socket.write(this.#question);
    });
  }
}
