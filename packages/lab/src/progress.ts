/** One line per step, with the seconds since the command began. */
export class Progress {
  readonly #began = performance.now();
  readonly #quiet: boolean;
  constructor(quiet = false) {
    this.#quiet = quiet;
  }

  say(line: string): void {
    if (this.#quiet) return;
    const seconds = ((performance.now() - this.#began) / 1000).toFixed(1);
    process.stdout.write(`${seconds.padStart(6)} s  ${line}\n`);
  }
}
