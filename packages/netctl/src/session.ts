/** What a running command works with. */
import type { RestClient } from '@contiv/client';
import type { Values } from './cli/values.js';
import type { Io } from './io.js';
import { jsonText, yamlText } from './output/document.js';
import type { Server } from './server.js';

/** Exit statuses (spec/contiv §3.1). */
export const EXIT = { ok: 0, differs: 1, usage: 1, request: 2, api: 3, io: 4 } as const;

export type Format = 'table' | 'wide' | 'json' | 'yaml';

/** A command gives up, with a sentence for the user. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exit: number;
  readonly hint: string;
  /** Shows the command's help as well. */
  readonly help: boolean;

  constructor(message: string, options: { exit?: number; hint?: string; help?: boolean } = {}) {
    super(message);
    this.exit = options.exit ?? EXIT.usage;
    this.hint = options.hint ?? '';
    this.help = options.help ?? false;
  }
}

export class Session {
  readonly args: readonly string[];
  readonly flags: Values;
  readonly io: Io;
  readonly format: Format;
  readonly server: Server;
  /** Exit status of a command that ran to its end. */
  exit: number = EXIT.ok;

  constructor(args: readonly string[], flags: Values, io: Io, server: Server) {
    this.args = args;
    this.flags = flags;
    this.io = io;
    this.server = server;
    this.format = formatOf(flags);
  }

  client(): Promise<RestClient> {
    return this.server.client();
  }

  /** The argument at that place; the parser has seen to it that it is there. */
  arg(index: number): string {
    return this.args[index] ?? '';
  }

  print(text: string): void {
    this.io.out(text);
  }

  line(text: string): void {
    this.io.out(`${text}\n`);
  }

  /** The value as JSON or YAML where that was asked for, else what `text` makes of it. */
  async show(value: unknown, text: (wide: boolean) => string | Promise<string>): Promise<void> {
    if (this.format === 'json') this.print(jsonText(value));
    else if (this.format === 'yaml') this.print(await yamlText(value));
    else this.print(await text(this.format === 'wide'));
  }

  /** An inspection: JSON unless YAML was asked for. */
  async document(value: unknown): Promise<void> {
    await this.show(value, () => jsonText(value));
  }

  /** A sentence on what is done, for people only: JSON and YAML get `value` once it is done. */
  get structured(): boolean {
    return this.format === 'json' || this.format === 'yaml';
  }
}

function formatOf(flags: Values): Format {
  if (flags.on('json')) return 'json';
  switch (flags.text('output')) {
    case 'json':
      return 'json';
    case 'yaml':
      return 'yaml';
    case 'wide':
      return 'wide';
    default:
      return 'table';
  }
}
