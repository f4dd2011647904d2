// What the documents name must exist: files, links, make targets, packages and their imports. A dead name fails.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', ...readdirSync('docs').flatMap((f) => (f.endsWith('.md') ? [`docs/${f}`] : []))];
/** What a path in backticks begins with when it is one of the repository. */
const ROOTS = /^(packages|scripts|docs|\.ci)\//;
const targets = new Set([...readFileSync('Makefile', 'utf8').matchAll(/^([a-z][a-z -]*):(?!=)/gm)].flatMap((m) => m[1].split(' ')));
const programs = new Set(readdirSync('packages').filter((name) => existsSync(`packages/${name}/src/main.ts`)));
const faults = [];

for (const file of DOCUMENTS) {
  const text = readFileSync(file, 'utf8');
  for (const [, code] of text.matchAll(/`([^`\n]+)`/g)) {
    // NAME and … stand for something else; a pattern is no file.
    if (ROOTS.test(code) && !/[\s*…]|NAME/.test(code) && !existsSync(code)) faults.push(`${file}: there is no ${code}`);
  }
  for (const [, target] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g))
    if (!/^[a-z]+:/.test(target) && !existsSync(join(dirname(file), target))) faults.push(`${file}: the link to ${target} leads nowhere`);
  for (const [, target] of text.matchAll(/(?:`|^\s*|sudo )make ([a-z][a-z-]*)/gm))
    if (!targets.has(target)) faults.push(`${file}: the Makefile has no target ${target}`);
  for (const [, name] of text.matchAll(/(?<![\w/])bin\/([a-z_-]+)/g))
    if (!programs.has(name.replaceAll('_', '-'))) faults.push(`${file}: no package makes a program bin/${name}`);
}

const page = 'docs/architecture.md';
// A stage a packet meets and the page does not name would send its readers the wrong way.
for (const name of readdirSync('packages/datapath/bpf'))
  if (!readFileSync(page, 'utf8').includes(`packages/datapath/bpf/${name}`)) faults.push(`${page}: the packet's way lacks ${name}`);
const listed = new Map();
for (const [, name, imports] of readFileSync(page, 'utf8').matchAll(/^\| `([a-z0-9-]+)` \| ([a-z0-9, –-]+) \|/gm))
  listed.set(name, imports === '–' ? [] : imports.split(', '));
for (const name of readdirSync('packages')) {
  const actual = JSON.parse(readFileSync(`packages/${name}/tsconfig.json`, 'utf8')).references.map((r) => r.path.replace('../', ''));
  const said = listed.get(name);
  if (said === undefined) faults.push(`${page}: the table of packages lacks a row | \`${name}\` | ${actual.join(', ') || '–'} | … |`);
  else if (said.length !== actual.length || said.some((other) => !actual.includes(other)))
    faults.push(`${page}: ${name} imports ${actual.join(', ') || 'nothing'}, not ${said.join(', ') || 'nothing'}`);
  listed.delete(name);
}
for (const name of listed.keys()) faults.push(`${page}: there is no package ${name}`);

for (const fault of new Set(faults)) console.error(fault);
process.exit(faults.length === 0 ? 0 : 1);
