// Bundles every program (a package with src/main.ts), or only those named, to build/NAME.mjs and leaves a launcher in bin/NAME.
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

const only = process.argv.slice(2);
const programs = readdirSync('packages').filter(
  (name) => existsSync(`packages/${name}/src/main.ts`) && (only.length === 0 || only.includes(name)),
);
mkdirSync('bin', { recursive: true });

await build({
  entryPoints: Object.fromEntries(programs.map((name) => [name, `packages/${name}/src/main.ts`])),
  outdir: 'build',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  conditions: ['source'],
  sourcemap: 'linked',
  // Native addons carry binaries beside their code, so they stay where npm put them.
  external: ['koffi', 'lmdb'],
  banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
  logLevel: 'warning',
});

for (const name of programs) {
  const program = name.replaceAll('-', '_');
  writeFileSync(
    `bin/${program}`,
    `#!/bin/sh\nexec node --enable-source-maps "$(dirname "$(readlink -f "$0")")/../build/${name}.mjs" "$@"\n`,
  );
  chmodSync(`bin/${program}`, 0o755);
}
