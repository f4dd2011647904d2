/** The swarm program. */
import { main } from './cli/cli.js';

void main(process.argv.slice(2)).then((code) => process.exit(code));
