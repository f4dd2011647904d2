import { setMaxListeners } from 'node:events';
import { homedir } from 'node:os';
import type { Prompt } from './prompt.js';
import { run } from './run.js';

// A reader that has seen enough (`netctl net ls | head -1`) is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`netctl: cannot write all of it: ${error.message}\n`);
  process.exit(4);
});
// Whoever does not want to hear what went wrong still gets the exit status.
process.stderr.on('error', () => undefined);

/** As of a program that the signal ended. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** `timeout`, npm and others tell a program and its process group, so what is meant once comes twice. */
const ECHO_MS = 1_000;

function interrupted(): AbortSignal {
  const stop = new AbortController();
  let told = 0;
  // Every request of a selftest listens, to many containers at once: that is no leak Node has to warn of.
  setMaxListeners(0, stop.signal);
  for (const [signal, status] of Object.entries(SIGNALS))
    process.on(signal, () => {
      if (!stop.signal.aborted) {
        told = performance.now();
        stop.abort(signal);
      } else if (performance.now() - told > ECHO_MS) process.exit(status);
    });
  return stop.signal;
}

/** As Node says it of a program that waits for what never comes. */
const UNSETTLED = 13;

async function main(): Promise<void> {
  process.exitCode = UNSETTLED;
  let prompt: Prompt | undefined;
  process.exitCode = await run(process.argv.slice(2), {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    outTerminal: process.stdout.isTTY === true,
    env: process.env,
    errTerminal: process.stderr.isTTY === true,
    // As they are when asked: windows are made larger and smaller.
    get columns() {
      return process.stdout.columns || Number(process.env.COLUMNS) || undefined;
    },
    get rows() {
      return process.stdout.rows || undefined;
    },
    home: homedir(),
    now: () => new Date(),
    // By its stream: /dev/stdin cannot be opened where it is a socket.
    read: async (path) =>
      path === '-'
        ? (await import('node:stream/consumers')).text(process.stdin)
        : (await import('node:fs/promises')).readFile(path, 'utf8'),
    interrupted,
    ask: async (question, hidden) => {
      prompt ??= new (await import('./prompt.js')).Prompt();
      return prompt.ask(question, hidden);
    },
  });
  prompt?.close();
}

void main();
