// Imports between packages go one way only: each must be a declared dependency and a project reference, without cycles,
// and pure packages import nothing of Node's.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const PURE = new Set(['model']);
const faults = [];
const graph = new Map();

function* sources(dir) {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (path.endsWith('.ts')) yield path;
  }
}

for (const name of readdirSync('packages')) {
  const manifest = JSON.parse(readFileSync(`packages/${name}/package.json`, 'utf8'));
  const references = JSON.parse(readFileSync(`packages/${name}/tsconfig.json`, 'utf8')).references.map((r) => r.path.replace('../', ''));
  const declared = Object.keys(manifest.dependencies ?? {});
  graph.set(name, references);
  for (const file of sources(`packages/${name}/src`)) {
    for (const [, target] of readFileSync(file, 'utf8').matchAll(/(?:from|import) '([^'.][^']*)'/g)) {
      // What a package has for tests is for tests alone.
      const own = target.match(file.endsWith('.test.ts') ? /^@contiv\/([^/]+)(?:\/testing)?$/ : /^@contiv\/([^/]+)$/)?.[1];
      if (own !== undefined && !(declared.includes(`@contiv/${own}`) && references.includes(own)))
        faults.push(`${file}: ${target} is not declared`);
      if (own === undefined && target.startsWith('@contiv/')) faults.push(`${file}: ${target} reaches into a package`);
      if (PURE.has(name) && target.startsWith('node:') && !file.endsWith('.test.ts'))
        faults.push(`${file}: a pure package imports ${target}`);
    }
  }
}

function visit(name, path) {
  if (path.includes(name)) return faults.push(`cycle: ${[...path, name].join(' → ')}`);
  for (const next of graph.get(name) ?? []) visit(next, [...path, name]);
}
for (const name of graph.keys()) visit(name, []);

for (const fault of new Set(faults)) console.error(fault);
process.exit(faults.length === 0 ? 0 : 1);
