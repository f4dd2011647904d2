import { spawn } from 'node:child_process';

/** A program that failed, could not be started, or did not end in time. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly reason: 'exit' | 'signal' | 'timeout' | 'not-found' | 'spawn';
  readonly code: number | undefined;
  readonly stderr: string;
  constructor(message: string, reason: CommandError['reason'], code: number | undefined, stderr: string) {
    super(message);
    this.reason = reason;
    this.code = code;
    this.stderr = stderr;
  }
}

export interface RunOptions {
  /** Milliseconds; the whole process group is killed afterwards. Default 30 s. */
  readonly timeoutMs?: number;
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Called for each line of standard output while the program runs. */
  readonly onLine?: (line: string) => void;
}

const KEPT = 4 << 20;

/** Runs a program to its end; answers its standard output. Throws {@link CommandError}, with the end of what it said on standard error. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const [file = '', ...args] = argv;
  const shown = argv.join(' ').slice(0, 300);
  const timeoutMs = options.timeoutMs ?? 30_000;
  return new Promise((resolve, reject) => {
    // A group of its own, so that a time-out also ends what the program started.
    const child = spawn(file, args, { detached: true, stdio: ['pipe', 'pipe', 'pipe'], env: options.env ?? process.env, cwd: options.cwd });
    let stdout = '';
    let stderr = '';
    let rest = '';
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child.pid);
    }, timeoutMs);
    const settle = (error?: CommandError) => {
      clearTimeout(timer);
      if (error) reject(error);
      else resolve(stdout);
    };
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout = (stdout + chunk).slice(-KEPT);
      if (!options.onLine) return;
      const lines = (rest + chunk).split(/[\r\n]+/);
      rest = lines.pop() ?? '';
      for (const line of lines) options.onLine(line);
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr = (stderr + chunk).slice(-KEPT);
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT')
        settle(new CommandError(`${file} is not installed; run sudo scripts/setup.sh`, 'not-found', undefined, ''));
      else settle(new CommandError(`${shown}: ${error.message}`, 'spawn', undefined, ''));
    });
    child.on('close', (code, signal) => {
      const said = lastLines(stderr || stdout);
      if (timedOut) settle(new CommandError(`${shown}: not done within ${timeoutMs / 1000} s${said}`, 'timeout', undefined, stderr));
      else if (signal) settle(new CommandError(`${shown}: ended by ${signal}${said}`, 'signal', undefined, stderr));
      else if (code !== 0) settle(new CommandError(`${shown}: exit code ${code}${said}`, 'exit', code ?? undefined, stderr));
      else settle();
    });
  });
}

/** Runs a program on the caller's terminal; answers its exit code (128 + signal number like a shell). */
export function runAttached(argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  const [file = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: 'inherit', env });
    const forward = (signal: NodeJS.Signals) => child.kill(signal);
    for (const signal of FORWARDED) process.on(signal, forward);
    child.on('error', (error) => reject(new CommandError(`${file}: ${error.message}`, 'spawn', undefined, '')));
    child.on('close', (code, signal) => {
      for (const s of FORWARDED) process.off(s, forward);
      resolve(code ?? 128 + (signal === 'SIGKILL' ? 9 : signal === 'SIGINT' ? 2 : 15));
    });
  });
}
const FORWARDED = ['SIGTERM', 'SIGHUP'] as const;

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}

function lastLines(text: string): string {
  const lines = text.trim().split('\n').slice(-6).join('\n').slice(-1200);
  return lines === '' ? '' : `\n${lines}`;
}
