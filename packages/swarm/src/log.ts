/** Log lines of the classic manager: `time="…" level=info msg="…" key=value` on stdout. */
export const LEVELS = ['debug', 'info', 'warn', 'error', 'fatal', 'panic'] as const;
export type Level = (typeof LEVELS)[number];
export type Fields = Readonly<Record<string, string | number | boolean>>;

const PRINTED: Record<Level, string> = { debug: 'debug', info: 'info', warn: 'warning', error: 'error', fatal: 'fatal', panic: 'panic' };

export class Log {
  readonly #threshold: number;
  readonly #write: (line: string) => void;
  constructor(level: Level = 'info', write: (line: string) => void = (line) => process.stdout.write(line)) {
    this.#threshold = LEVELS.indexOf(level);
    this.#write = write;
  }
  debug(message: string, fields?: Fields): void {
    this.#log('debug', message, fields);
  }
  info(message: string, fields?: Fields): void {
    this.#log('info', message, fields);
  }
  warn(message: string, fields?: Fields): void {
    this.#log('warn', message, fields);
  }
  error(message: string, fields?: Fields): void {
    this.#log('error', message, fields);
  }
  fatal(message: string): void {
    this.#log('fatal', message);
  }
  #log(level: Level, message: string, fields: Fields = {}): void {
    if (LEVELS.indexOf(level) < this.#threshold) return;
    const time = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const extra = Object.entries(fields).map(([key, value]) => ` ${key}=${plain(String(value))}`);
    this.#write(`time="${time}" level=${PRINTED[level]} msg=${JSON.stringify(message)}${extra.join('')}\n`);
  }
}

const plain = (value: string) => (/^[\w./:@^+-]+$/.test(value) ? value : JSON.stringify(value));
