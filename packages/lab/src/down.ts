/** Removes everything a lab has made, also after a crash: found by its names and marks, not by what a state file claims. */
import { rm } from 'node:fs/promises';
import { removeCgroups } from './effects/cgroups.js';
import { run } from './effects/exec.js';
import { killInit, ownNamespaces, removeNamespace } from './effects/host.js';
import { findInits, until } from './effects/processes.js';
import type { LabNames } from './plan/names.js';
import { LabError } from './plan/options.js';
import type { Progress } from './progress.js';

/** Answers whether there was anything. */
export async function takeDown(names: LabNames, progress: Progress): Promise<boolean> {
  if (process.getuid?.() !== 0) throw new LabError('taking a lab down takes root: sudo bin/lab down');
  const inits = (await findInits()).filter((init) => init.lab === names.lab);
  await Promise.all(inits.map(({ pid }) => killInit(pid)));
  if (inits.length > 0)
    progress.say(
      `hosts ended  ${inits
        .map(({ host }) => host)
        .sort()
        .join(', ')}`,
    );

  const namespaces = await ownNamespaces(names.lab);
  // Deleting the pair from this side takes effect at once; a dying namespace takes its time.
  if (namespaces.includes(names.fabric)) await run(['ip', '-n', names.fabric, 'link', 'del', 'dev', 'uplink']).catch(() => undefined);
  for (const name of namespaces) await removeNamespace(name);
  if (namespaces.length > 0) progress.say(`network      ${namespaces.length} namespaces removed`);

  await until(() => removeCgroups(names.cgroup), 10_000, 100);
  await rm(names.dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  return inits.length > 0 || namespaces.length > 0;
}
