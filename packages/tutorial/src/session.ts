/** Types the chapters, step by step, into as many terminals as they need. */
import { setTimeout as sleep } from 'node:timers/promises';
import { filled, judge, type Kept } from './expect.js';
import type { Chapter, Engine, Step } from './step.js';
import { ENGINE_WORDS, typedFor } from './substitutions.js';
import { Terminal } from './terminal.js';

/** What happened at one step. */
export interface Done {
  readonly step: Step;
  readonly prompt: string;
  /** What was typed; differs from what is printed where a substitution says so. */
  readonly typed: string;
  readonly output: string;
  readonly met: readonly string[];
  readonly missed?: string;
}

export interface SessionOptions {
  readonly engine: Engine;
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  readonly chapter: (chapter: Chapter) => void;
  readonly done: (done: Done) => void;
}

const CTRL_C = '\u0003';
const STEP_LIMIT_MS = 60_000;
const MAKE_LIMIT_MS = 400_000;
const SETTLE_MS = 200;
/** A person reads before typing on; agents have made the Docker networks by then. */
const READING_MS = 1_000;

/** Answers whether everything was as expected; stops at the first thing that is not. */
export async function typeAll(chapters: readonly Chapter[], options: SessionOptions): Promise<boolean> {
  const terminals = new Map<string, Terminal>();
  let kept: Kept = new Map(Object.entries(ENGINE_WORDS[options.engine]));
  try {
    for (const chapter of chapters) {
      options.chapter(chapter);
      for (const step of chapter.steps) {
        const name = step.terminal ?? 'first';
        let terminal = terminals.get(name);
        if (!terminal) {
          terminal = new Terminal(options.root, options.env);
          terminals.set(name, terminal);
          const fresh = terminal;
          await fresh.until(() => fresh.prompt !== undefined, 'prompt of a shell', STEP_LIMIT_MS);
        }
        const result = await typeStep(terminal, step, kept, options.engine);
        kept = result.kept;
        options.done(result.done);
        if (result.done.missed !== undefined) return false;
      }
    }
    return true;
  } finally {
    for (const terminal of terminals.values()) terminal.close();
  }
}

async function typeStep(terminal: Terminal, step: Step, kept: Kept, engine: Engine): Promise<{ readonly done: Done; readonly kept: Kept }> {
  const prompt = terminal.prompt ?? '';
  const key = step.command === '^C';
  const typed = key ? '^C' : typedFor(filled(step.command, kept), engine);
  // Whatever is still on its way to the screen belongs to what ran before.
  if (key) await sleep(SETTLE_MS);
  terminal.type(key ? CTRL_C : `${typed}\n`);
  // Behind the echo of what was typed.
  const output = () => (key ? terminal.output : terminal.output.split('\n').slice(1).join('\n'));
  const look = () => judge(output(), step, kept);
  const echoed = () => key || terminal.entered;
  const over = () => echoed() && terminal.prompt !== undefined;
  let trouble: string | undefined;
  try {
    const limit = typed.startsWith('make ') ? MAKE_LIMIT_MS : STEP_LIMIT_MS;
    await terminal.until(step.runsOn ? () => over() || look().missed === undefined : over, 'end of the command', limit);
  } catch (error) {
    trouble = error instanceof Error ? error.message : String(error);
  }
  const verdict = look();
  const missed = verdict.missed ?? trouble;
  if (typed.startsWith('netctl net create')) await sleep(READING_MS);
  return {
    done: { step, prompt, typed, output: output().trimEnd(), met: verdict.met, ...(missed === undefined ? {} : { missed }) },
    kept: verdict.kept,
  };
}
