/** The swarm program. */
import { main } from './cli/cli.js';

// As Node says it of a program that waits for what never comes.
process.exitCode = 13;
void main(process.argv.slice(2)).then((code) => process.exit(code));
