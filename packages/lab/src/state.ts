/** What a lab was asked to be. What it is, the kernel and `status` tell. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { LabNames } from './plan/names.js';
import { LabError, labOptionsSchema } from './plan/options.js';

const stateSchema = z.object({
  version: z.literal(1),
  options: labOptionsSchema,
  /** Indices of hosts removed with `host rm`. */
  removed: z.array(z.int()),
  /** Names of hosts lost with `host destroy`; `up` leaves them lost. */
  destroyed: z.array(z.string()),
  /** ISO 8601. */
  createdAt: z.string(),
});
export type LabState = z.infer<typeof stateSchema>;

export async function loadState(names: LabNames): Promise<LabState | undefined> {
  const text = await readFile(names.stateFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch {
    throw new LabError(`${names.stateFile} is damaged; bin/lab down removes the lab all the same`);
  }
}

export async function saveState(names: LabNames, state: LabState): Promise<void> {
  await mkdir(dirname(names.stateFile), { recursive: true });
  const next = `${names.stateFile}.new`;
  await writeFile(next, `${JSON.stringify(state, null, 2)}\n`);
  await rename(next, names.stateFile);
}
