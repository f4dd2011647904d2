// Bundles every program (a package with src/main.ts), or only those named: build/NAME.cjs starts it, bin/NAME is the launcher.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { build } from 'esbuild';
import { keptOf } from './start.cjs';

/** What a program does while it is watched for what a start compiles; without effects, and it may fail. */
const USUAL = { netctl: ['--netmaster', 'http://127.0.0.1:1', 'version'] };

/** At once, for a program may start meanwhile: half a bundle is none, and an empty one does nothing without an error. */
function put(path, contents, mode = 0o644) {
  const beside = `${path}.${process.pid}`;
  writeFileSync(beside, contents, { mode });
  renameSync(beside, path);
}

const only = process.argv.slice(2);
const programs = readdirSync('packages').filter(
  (name) => existsSync(`packages/${name}/src/main.ts`) && (only.length === 0 || only.includes(name)),
);
mkdirSync('bin', { recursive: true });
mkdirSync('build', { recursive: true });

const { metafile, outputFiles } = await build({
  write: false,
  entryPoints: Object.fromEntries(programs.map((name) => [name, `packages/${name}/src/main.ts`])),
  outdir: 'build',
  entryNames: '[name]-[hash]',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  conditions: ['source'],
  define: { 'import.meta.dirname': '__dirname' },
  // An import() of a script that was compiled before has no module to resolve it.
  supported: { 'dynamic-import': false },
  sourcemap: 'linked',
  metafile: true,
  // Native addons carry binaries beside their code, so they stay where npm put them.
  external: ['koffi', 'lmdb'],
  logLevel: 'warning',
});
const bundles = Object.entries(metafile.outputs).flatMap(([path, { entryPoint }]) =>
  entryPoint === undefined ? [] : [[path, entryPoint]],
);
for (const { path, contents } of outputFiles) put(path, contents);
put('build/start.cjs', readFileSync('scripts/start.cjs'));

for (const [path, entryPoint] of bundles) {
  const name = entryPoint.split('/')[1];
  const bundle = basename(path);
  if (!existsSync(keptOf(path)))
    spawnSync(process.execPath, ['build/start.cjs', resolve(path), ...(USUAL[name] ?? ['--help'])], { stdio: 'ignore', timeout: 60_000 });
  put(`build/${name}.cjs`, `require('./start.cjs')(__dirname + '/${bundle}');\n`);
  const now = [bundle, `${bundle}.map`, basename(keptOf(path))];
  for (const old of readdirSync('build')) if (/^(.+)-[0-9A-Z]{8}\./.exec(old)?.[1] === name && !now.includes(old)) rmSync(`build/${old}`);
  put(`bin/${name.replaceAll('-', '_')}`, `#!/bin/sh\nexec node "$(dirname "$(readlink -f "$0")")/../build/${name}.cjs" "$@"\n`, 0o755);
}
