import { execFile } from 'node:child_process';

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, as a terminal would show them. */
  readonly text: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Buffer;
  readonly timeoutMs?: number;
  /** `latin1` where bytes matter. */
  readonly encoding?: 'utf8' | 'latin1';
}

/** Exit code of a program that did not end in time, as of timeout(1). */
const TIMED_OUT = 124;

/** Runs a program, bounded in time; failing is a result and not an error. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const { env, input = '', timeoutMs = 60_000, encoding = 'utf8' } = options;
  return new Promise((resolve) => {
    // `docker attach` hands a polite signal on to the container instead of ending.
    const settings = {
      env: { ...process.env, ...env },
      timeout: timeoutMs,
      killSignal: 'SIGKILL' as const,
      maxBuffer: 512 << 20,
      encoding,
    };
    const child = execFile(command, args, settings, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : TIMED_OUT;
      resolve({ code, stdout, stderr, text: stdout + stderr });
    });
    // A program that ends without reading its input is no fault of ours.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/** Standard output without the last newline; throws what the program said when it failed. */
export async function succeed(what: string, result: Promise<Result>): Promise<string> {
  const { code, stdout, text } = await result;
  if (code !== 0) throw new Error(`${what} (exit code ${code}): ${text.trim()}`);
  return stdout.trimEnd();
}

/** Asks again until the probe throws no more; then its answer. The last error is kept as the cause. A busy machine has time by default. */
export async function eventually<T>(what: string, probe: () => Promise<T>, withinMs = 60_000, everyMs = 200): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      if (performance.now() > deadline)
        throw new Error(`${what}: not within ${withinMs / 1000} s: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      await new Promise((wake) => setTimeout(wake, everyMs));
    }
  }
}

/**
 * Command of a container that ends when it reaches `to`, a name or an address. Other hosts hear of a container and of its name a moment after its
 * start; it is up to them when, and for the first answer the other one's host has to know this container as well.
 */
export const reaching = (to: string): string[] => ['timeout', '60', 'sh', '-c', `until ping -c 1 -W 2 ${to}; do sleep 0.2; done`];
