/** Flags as Go's `flag` package reads them: one dash or two, `--f=v` or `--f v`, booleans without a value. Pure. */
export interface FlagSpec {
  /** First name is the key of the result. */
  readonly names: readonly string[];
  readonly kind: 'bool' | 'text' | 'list';
  readonly value?: string | readonly string[] | boolean;
  readonly env?: string;
  readonly usage: string;
}

export interface Parsed {
  readonly args: readonly string[];
  text(name: string): string;
  list(name: string): readonly string[];
  bool(name: string): boolean;
  /** Given on the command line or by environment. */
  given(name: string): boolean;
}

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** `interspersed`: words before flags are arguments too. Otherwise the first word ends the flags. @throws UsageError */
export function parseFlags(
  specs: readonly FlagSpec[],
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  interspersed = true,
): Parsed {
  const values = new Map<string, string | string[] | boolean>();
  const given = new Set<string>();
  for (const spec of specs) {
    const key = spec.names[0] ?? '';
    const fromEnv = spec.env === undefined ? undefined : env[spec.env];
    if (fromEnv !== undefined && fromEnv !== '') {
      values.set(
        key,
        spec.kind === 'list' ? fromEnv.split(',').map((item) => item.trim()) : spec.kind === 'bool' ? truth(key, fromEnv) : fromEnv,
      );
      given.add(key);
    } else if (spec.value !== undefined) values.set(key, typeof spec.value === 'object' ? [...spec.value] : spec.value);
  }
  const onLine = new Set<string>();
  const args: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? '';
    if (word === '--') {
      args.push(...argv.slice(i + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      if (!interspersed) {
        args.push(...argv.slice(i));
        break;
      }
      args.push(word);
      continue;
    }
    const [name = '', ...rest] = word.replace(/^--?/, '').split('=');
    const inline = rest.length > 0 ? rest.join('=') : undefined;
    const spec = specs.find((candidate) => candidate.names.includes(name));
    if (spec === undefined) throw new UsageError(`flag provided but not defined: -${name}`);
    const key = spec.names[0] ?? '';
    given.add(key);
    if (spec.kind === 'bool') {
      values.set(key, inline === undefined ? true : truth(name, inline));
      continue;
    }
    const value = inline ?? argv[++i];
    if (value === undefined) throw new UsageError(`flag needs an argument: -${name}`);
    if (spec.kind === 'text') values.set(key, value);
    else {
      const present = values.get(key);
      values.set(key, onLine.has(key) && Array.isArray(present) ? [...present, value] : [value]);
    }
    onLine.add(key);
  }
  return {
    args,
    text: (name) => String(values.get(name) ?? ''),
    list: (name) => {
      const value = values.get(name);
      return Array.isArray(value) ? value : [];
    },
    bool: (name) => values.get(name) === true,
    given: (name) => given.has(name),
  };
}

function truth(name: string, value: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false;
  throw new UsageError(`invalid boolean value "${value}" for -${name}`);
}

export function helpOf(title: string, usage: string, specs: readonly FlagSpec[]): string {
  const rows = specs.map((spec) => {
    const names = spec.names.map((name) => (name.length === 1 ? `-${name}` : `--${name}`)).join(', ');
    const fallback = spec.value === undefined || spec.value === false ? '' : ` (default: ${String(spec.value)})`;
    const env = spec.env === undefined ? '' : ` [$${spec.env}]`;
    return `   ${names.padEnd(36)} ${spec.usage}${fallback}${env}`;
  });
  return `${title}\n\nUsage: ${usage}\n\nOptions:\n${rows.join('\n')}\n`;
}
