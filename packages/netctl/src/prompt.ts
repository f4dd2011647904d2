/** Questions to the user, on standard input. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';

export class Prompt {
  readonly #lines: AsyncIterator<string>;
  readonly #close: () => void;
  #hidden = false;

  constructor() {
    const echo = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        if (!this.#hidden) process.stdout.write(chunk);
        done();
      },
    });
    const input = createInterface({ input: process.stdin, output: echo, terminal: process.stdin.isTTY === true });
    // In raw mode the terminal leaves it to us.
    input.on('SIGINT', () => {
      process.stdout.write('\n');
      process.exit(130);
    });
    this.#lines = input[Symbol.asyncIterator]();
    this.#close = () => input.close();
  }

  /** One line; `hidden` ones are not echoed. `undefined` at the end of the input. */
  async ask(question: string, hidden: boolean): Promise<string | undefined> {
    process.stdout.write(question);
    this.#hidden = hidden;
    const { value, done } = await this.#lines.next();
    this.#hidden = false;
    if (hidden) process.stdout.write('\n');
    return done === true ? undefined : value;
  }

  /** Lets the program end. */
  close(): void {
    this.#close();
  }
}
