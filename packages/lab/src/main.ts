import { main } from './cli.js';

let ended = false;
// As Node says it of a program that waits for what never comes.
process.once('beforeExit', () => {
  if (!ended) process.exitCode = 13;
});
void main(process.argv.slice(2)).then(() => {
  ended = true;
});
