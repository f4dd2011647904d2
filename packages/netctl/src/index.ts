/** The command line client, to be run inside another program. */

export type { Io } from './io.js';
export { run } from './run.js';
export { grammar } from './tree/index.js';
