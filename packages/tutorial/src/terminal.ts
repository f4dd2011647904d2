/** A real terminal with a shell in it, typed into from here: a pseudo-terminal made by script(1). */
import { type ChildProcess, spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';

/** So wide that nothing is folded. */
const COLUMNS = 1000;
const PROMPT = /(?:^|\n)(\[root@[^\]\n]+\]\$ |\/ # |\$ )$/;

export class TerminalError extends Error {
  override readonly name = 'TerminalError';
}

/** What a person sees: without escape sequences, and of a line that was written over, what is written last. Pure. */
export function visible(raw: string): string {
  return stripVTControlCharacters(raw)
    .replaceAll(/\r+\n/g, '\n')
    .split('\n')
    .map((line) => line.slice(line.lastIndexOf('\r') + 1))
    .join('\n');
}

export class Terminal {
  readonly #child: ChildProcess;
  /** Everything since the last thing typed. */
  #raw = '';
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(cwd: string, env: Readonly<Record<string, string>>) {
    const shell = `stty rows 50 cols ${COLUMNS}; exec env 'PS1=$ ' bash --norc --noprofile`;
    this.#child = spawn('script', ['-qefc', shell, '/dev/null'], { cwd, env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout?.setEncoding('utf8');
    this.#child.stdout?.on('data', (text: string) => {
      this.#raw += text;
      this.#wake();
    });
    this.#child.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
    // A shell that is gone cannot be typed into; whoever waits for its prompt is told.
    this.#child.stdin?.on('error', () => undefined);
  }

  /** What is on the screen since the last thing typed, without the prompt that may stand at its end. */
  get output(): string {
    return visible(this.#raw).replace(PROMPT, (_all, _prompt) => '');
  }

  /** The shell has taken the line that was typed. It may write its prompt once more before it echoes the line. */
  get entered(): boolean {
    return this.#raw.includes('\n');
  }

  /** The prompt the terminal waits with; `undefined` while something runs. */
  get prompt(): string | undefined {
    return PROMPT.exec(visible(this.#raw))?.[1];
  }

  type(keys: string): void {
    this.#raw = '';
    this.#child.stdin?.write(keys);
  }

  /** Waits for `done`, looked at whenever something was written. */
  async until(done: () => boolean, what: string, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!done()) {
      const rest = deadline - performance.now();
      if (this.#ended) throw new TerminalError(`the terminal was closed while waiting for ${what}`);
      if (rest <= 0) throw new TerminalError(`no ${what} within ${timeoutMs / 1000} s`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, rest);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  close(): void {
    // With its master gone, the kernel hangs up whatever runs in the pseudo-terminal.
    this.#child.kill('SIGKILL');
    this.#child.stdin?.destroy();
    this.#child.stdout?.destroy();
  }
}
