/** The images the lab's engines start with: made once on this machine, kept as archives, loaded where they are missing. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, chmod, copyFile, mkdir, mkdtemp, readdir, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { HostPlan } from '../plan/hosts.js';
import {
  archiveName,
  IMAGE_DIRECTORIES,
  IMAGE_FILES,
  type ImageRecipe,
  imageConfig,
  imageManifest,
  librariesOf,
  RECIPES,
} from '../plan/image.js';
import { IMAGE_CACHE } from '../plan/names.js';
import type { Progress } from '../progress.js';
import { run } from './exec.js';
import { runInside } from './host.js';

/** Builds what the cache lacks; answers the tags. */
export async function ensureImages(progress: Progress): Promise<readonly string[]> {
  await mkdir(IMAGE_CACHE, { recursive: true });
  for (const recipe of RECIPES) {
    const archive = join(IMAGE_CACHE, archiveName(recipe.tag));
    if (await exists(archive)) continue;
    await build(recipe, archive);
    progress.say(`images       ${recipe.tag} made`);
  }
  // Archives of earlier versions. Those of this one that are not complete yet belong to another lab that starts.
  const current = RECIPES.map(({ tag }) => archiveName(tag));
  for (const file of await readdir(IMAGE_CACHE))
    if (!current.some((name) => file.startsWith(name))) await rm(join(IMAGE_CACHE, file), { recursive: true, force: true });
  return RECIPES.map(({ tag }) => tag);
}

/** Loads the images an engine does not have; answers their tags. */
export async function loadImages(initPid: number, host: HostPlan, tags: readonly string[]): Promise<readonly string[]> {
  const present = (await runInside(initPid, host, ['docker', 'image', 'ls', '--format', '{{.Repository}}:{{.Tag}}'])).split('\n');
  const missing = tags.filter((tag) => !present.includes(tag));
  for (const tag of missing)
    await runInside(initPid, host, ['docker', 'load', '-q', '-i', join(IMAGE_CACHE, archiveName(tag))], { timeoutMs: 120_000 });
  return missing;
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function build(recipe: ImageRecipe, archive: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'contiv-lab-image-'));
  const next = `${archive}.${process.pid}`;
  try {
    const root = join(work, 'root');
    await fill(root, recipe);
    const layer = join(work, 'layer.tar');
    const reproducible = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];
    await run(['tar', ...reproducible, '-cf', layer, '-C', root, '.']);
    const config = imageConfig(await sha256(layer), process.arch === 'x64' ? 'amd64' : process.arch);
    const configName = `${createHash('sha256').update(config).digest('hex')}.json`;
    await writeFile(join(work, configName), config);
    await writeFile(join(work, 'manifest.json'), imageManifest(recipe.tag, configName));
    // Renamed when complete: a half-written archive never counts as one.
    await run(['tar', ...reproducible, '-cf', next, '-C', work, 'manifest.json', configName, 'layer.tar']);
    await rename(next, archive);
  } finally {
    await rm(next, { force: true });
    await rm(work, { recursive: true, force: true });
  }
}

async function fill(root: string, recipe: ImageRecipe): Promise<void> {
  for (const [path, mode] of IMAGE_DIRECTORIES) {
    await mkdir(join(root, path), { recursive: true });
    await chmod(join(root, path), mode);
  }
  for (const [path, text] of IMAGE_FILES) await writeFile(join(root, path), text);
  const busybox = (await run(['sh', '-c', 'command -v busybox'])).trim();
  await copyFile(await realpath(busybox), join(root, 'bin', 'busybox'));
  for (const applet of (await run([busybox, '--list'])).split('\n')) {
    // Real programs take precedence, and busybox must not point to itself.
    if (applet === '' || applet === 'busybox' || recipe.programs.includes(applet)) continue;
    await symlink(applet === 'sh' ? recipe.shell : '/bin/busybox', join(root, 'bin', applet));
  }
  for (const program of recipe.programs) {
    const path = (await run(['sh', '-c', `PATH=$PATH:/usr/sbin:/sbin command -v ${program}`])).trim();
    await copyFile(await realpath(path), join(root, 'usr', 'bin', basename(path)));
    for (const library of librariesOf(await run(['ldd', path]))) {
      const target = join(root, library);
      await mkdir(dirname(target), { recursive: true });
      await copyFile(await realpath(library), target);
    }
  }
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
