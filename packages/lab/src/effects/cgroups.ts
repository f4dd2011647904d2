import { readdir, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const MOUNT = '/sys/fs/cgroup';

/** Removes a cgroup and all below it in every hierarchy (v1 and v2), and its parent when that is empty then. Answers whether all are gone. */
export async function removeCgroups(cgroup: string): Promise<boolean> {
  const hierarchies = (await readdir(MOUNT, { withFileTypes: true }).catch(() => [])).filter((e) => e.isDirectory()).map((e) => e.name);
  const all = await Promise.all(['', ...hierarchies].map((hierarchy) => removeTree(join(MOUNT, hierarchy, cgroup))));
  if (!all.every(Boolean)) return false;
  // Shared by all labs; refuses to go while another one has something in it.
  await Promise.all(['', ...hierarchies].map((hierarchy) => rmdir(join(MOUNT, hierarchy, dirname(cgroup))).catch(() => undefined)));
  return true;
}

async function removeTree(path: string): Promise<boolean> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => undefined);
  if (!entries) return true;
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(path, entry.name));
  return rmdir(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}
