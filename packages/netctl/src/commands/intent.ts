/** The whole intent as one file: `apply`, `diff` and `export`. */
import { basename } from 'node:path';
import { ApiError } from '@contiv/client';
import type { IntentPlan } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { readIntent } from '../intent/file.js';
import { changeLines, summaryOf } from '../output/changes.js';
import { yamlText } from '../output/document.js';
import { CommandError, EXIT, type Session } from '../session.js';

/** Longest list of changes that is printed when nobody asked for it. */
const SHOWN = 200;

interface Asked {
  readonly dryRun?: boolean;
  readonly expect?: string;
}

/** The file's text and what to call it. */
export async function fileOf(session: Session): Promise<{ text: string; name: string }> {
  const path = session.flags.text('file');
  if (path === '') throw new CommandError('File required: -f FILE, or -f - for standard input', { help: true });
  const name = path === '-' ? 'stdin' : path;
  const text = await session.io.read(path).catch((error: unknown) => {
    throw new CommandError(`cannot read ${name}: ${reasonOf(error)}`, { exit: EXIT.io });
  });
  return { text, name };
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied',
};

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? (error instanceof Error ? error.message : String(error));
}

/** Asks netmaster about the file; a refusal gets the line of the object it is about. */
async function ask(session: Session): Promise<(asked: Asked) => Promise<IntentPlan>> {
  const { text, name } = await fileOf(session);
  const file = readIntent(text, name);
  const client = await session.client();
  return async (asked) => {
    try {
      return await client.apply({ intent: file.intent, prune: session.flags.on('prune'), source: basename(name), ...asked });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const place = [...file.places].find(([object]) => error.detail.startsWith(`${object}: `))?.[1];
      throw place === undefined ? error : new ApiError(error.status, error.code, `${place}: ${error.detail}`, error.hint);
    }
  };
}

export const apply: Run = async (session) => {
  const { flags } = session;
  const send = await ask(session);
  const show = (plan: IntentPlan) => {
    const shown = plan.steps.slice(0, flags.on('dry-run') ? plan.steps.length : SHOWN);
    session.print(changeLines(shown));
    if (shown.length < plan.steps.length) session.line(`… and ${plan.steps.length - shown.length} more`);
  };
  if (flags.on('dry-run')) {
    const plan = await send({ dryRun: true });
    if (session.structured) return session.document(plan);
    show(plan);
    return session.line(summaryOf(plan.steps, false));
  }
  const agreed = flags.on('prune') && !flags.on('yes') ? await confirm(session, send, show) : undefined;
  const plan = await send(agreed === undefined ? {} : { expect: agreed.id });
  if (session.structured) return session.document(plan);
  if (!agreed?.shown) show(plan);
  session.line(summaryOf(plan.steps, true));
};

/**
 * Shows what would be deleted and asks. Answers the id of the plan that was agreed to: where there was nothing to delete there must be nothing
 * when it is carried out.
 */
async function confirm(
  session: Session,
  send: (asked: Asked) => Promise<IntentPlan>,
  show: (plan: IntentPlan) => void,
): Promise<{ readonly id: string; readonly shown: boolean }> {
  const plan = await send({ dryRun: true });
  const deleted = plan.steps.filter((step) => step.action === 'delete').length;
  if (deleted === 0) return { id: plan.id, shown: false };
  const refuse = (message: string) =>
    new CommandError(message, { exit: EXIT.api, hint: 'nothing was changed; --yes deletes without asking' });
  if (session.structured || session.flags.text('file') === '-')
    throw refuse(`${deleted === 1 ? '1 object' : `${deleted} objects`} would be deleted, and nobody can be asked`);
  show(plan);
  const said = await session.io.ask(`${summaryOf(plan.steps, false)}. Go on? [y/N] `, false);
  if (!/^y(es)?$/i.test(said?.trim() ?? '')) throw refuse('not confirmed');
  return { id: plan.id, shown: true };
}

export const diff: Run = async (session) => {
  const plan = await (await ask(session))({ dryRun: true });
  session.exit = plan.steps.length === 0 ? EXIT.ok : EXIT.differs;
  await session.show(plan.steps, () => changeLines(plan.steps));
};

const HEADER = `# The intent of a cluster, as netctl apply -f takes it. Networks that "docker network create" made belong to their engine and are left out.\n`;

export const exportIntent: Run = async (session) => {
  const intent = await (await session.client()).intent();
  if (session.format === 'json') return session.document(intent);
  session.print(`${HEADER}${await yamlText(intent)}`);
};
