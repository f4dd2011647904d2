// Packs what a host needs besides Node into build/contiv-VERSION-ARCH.tar.gz: programs, BPF object, and the modules that carry binaries.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

const PROGRAMS = ['netctl', 'netmaster', 'netplugin', 'swarm'];
/** Left outside the bundles by scripts/bundle.mjs. */
const NATIVE = ['koffi', 'lmdb'];

const modules = new Set();
function collect(name) {
  const dir = `node_modules/${name}`;
  if (modules.has(dir) || !existsSync(dir)) return;
  modules.add(dir);
  const { dependencies, optionalDependencies } = JSON.parse(readFileSync(`${dir}/package.json`, 'utf8'));
  for (const next of Object.keys({ ...dependencies, ...optionalDependencies })) collect(next);
}
for (const name of NATIVE) collect(name);

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
/** `NAME.cjs` and what belongs to `NAME-HASH`. */
const built = readdirSync('build').filter((f) => f === 'start.cjs' || PROGRAMS.some((p) => f === `${p}.cjs` || f.startsWith(`${p}-`)));
const files = [
  'LICENSE',
  'build/contiv.bpf.o',
  'build/contiv-trial.bpf.o',
  ...built.map((f) => `build/${f}`),
  ...PROGRAMS.map((p) => `bin/${p}`),
  ...modules,
];
const archive = `build/contiv-${version}-${process.arch}.tar.gz`;
execFileSync('tar', ['--owner=0', '--group=0', '--transform', 's,^,contiv/,', '-czf', archive, ...files], { stdio: 'inherit' });
console.log(archive);
