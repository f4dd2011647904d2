'use strict';
// Starts a program from what V8 made of its bundle at build time, for compiling is the longest part of a start. A Node of another version
// compiles it itself until the next build, and so does one that is to show source lines (NODE_OPTIONS=--enable-source-maps).
const { readFileSync, renameSync, writeFileSync } = require('node:fs');
const { createRequire, wrap } = require('node:module');
const { Script } = require('node:vm');

/** Bundles are named by their content, so what was kept of one is never taken for another's, nor what another Node has kept. */
const keptOf = (bundle) => bundle.replace(/cjs$/, `${process.version}.code`);

const compile = (bundle, cachedData) => new Script(wrap(readFileSync(bundle, 'utf8')), { filename: bundle, cachedData });

function run(script, bundle) {
  const module = { exports: {} };
  script.runInThisContext().call(module.exports, module.exports, createRequire(bundle), module, bundle, __dirname);
}

function kept(bundle) {
  try {
    return readFileSync(keptOf(bundle));
  } catch {
    return undefined;
  }
}

/** @param bundle absolute path. */
module.exports = (bundle) => {
  const code = process.sourceMapsEnabled ? undefined : kept(bundle);
  if (code === undefined) require(bundle);
  else run(compile(bundle, code), bundle);
};
module.exports.keptOf = keptOf;

// `start.cjs BUNDLE ARGUMENT…` keeps what V8 has compiled by the program's end.
if (require.main === module) {
  process.argv.splice(1, 1);
  const bundle = process.argv[1];
  const script = compile(bundle);
  process.on('exit', () => {
    // At once: another start may read it meanwhile.
    writeFileSync(`${keptOf(bundle)}.new`, script.createCachedData());
    renameSync(`${keptOf(bundle)}.new`, keptOf(bundle));
  });
  run(script, bundle);
}
