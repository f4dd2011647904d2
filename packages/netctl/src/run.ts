/** From a command line to an exit status. */
import { helpOf } from './cli/help.js';
import { type Parsed, parse } from './cli/parse.js';
import type { Io } from './io.js';
import { failureLine } from './output/failure.js';
import { Server } from './server.js';
import { EXIT, Session } from './session.js';
import { grammar } from './tree/index.js';

/** `argv` without program and script. Writes through `io` only. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  if (argv[0] === '__complete') return (await import('./commands/completion.js')).complete(argv.slice(1), io);
  const parsed = parse(grammar, argv);
  const say = (message: string, hint: string) =>
    io.err(failureLine(message, hint, { terminal: io.errTerminal, color: colored(argv, io), now: io.now() }));
  const help = (at: { node: Parameters<typeof helpOf>[1]; path: readonly string[] }) => io.out(helpOf(grammar, at.node, at.path));

  switch (parsed.kind) {
    case 'help':
      help(parsed);
      return EXIT.ok;
    case 'version': {
      const { ownVersion, versionLines } = await import('./commands/version.js');
      io.out(`netctl version\n${versionLines(ownVersion)}`);
      return EXIT.ok;
    }
    case 'wrong':
      say(parsed.message, parsed.hint);
      io.out('Incorrect Usage.\n\n');
      help(parsed);
      return EXIT.usage;
    case 'unknown':
      say(`No help topic for '${parsed.word}'`, parsed.hint || `Commands are listed by: ${['netctl', ...parsed.path, '--help'].join(' ')}`);
      return EXIT.usage;
    case 'run':
      return execute(parsed, io, say, () => help({ node: parsed.leaf, path: parsed.path }));
  }
}

type Running = Extract<Parsed, { kind: 'run' }>;

async function execute(parsed: Running, io: Io, say: (message: string, hint: string) => void, help: () => void): Promise<number> {
  const { leaf, args, values } = parsed;
  const count = wrongCount(parsed);
  if (count !== undefined) {
    say(count.message, count.hint);
    help();
    return EXIT.usage;
  }
  const format = values.text('output');
  if (!['', 'json', 'yaml', 'wide'].includes(format)) {
    say(`invalid value "${format}" for flag --output`, 'give json, yaml or wide');
    io.out('Incorrect Usage.\n\n');
    help();
    return EXIT.usage;
  }
  const server = new Server(values, io);
  const session = new Session(args, values, io, server);
  try {
    await (await leaf.load())(session);
    return session.exit;
  } catch (error) {
    const [{ explain }, { adviceOn }] = await Promise.all([import('./explain.js'), import('./advice.js')]);
    const explained = explain(error);
    say(explained.message, (await adviceOn(error, leaf, session)) ?? explained.hint);
    if (explained.help) help();
    return explained.exit;
  } finally {
    server.close();
  }
}

function wrongCount({ leaf, args }: Running): { message: string; hint: string } | undefined {
  if (args.length < leaf.args.length) return { message: leaf.missing ?? 'Not enough arguments', hint: '' };
  if (args.length === leaf.args.length || leaf.rest) return undefined;
  const extra = args.slice(leaf.args.length).map((arg) => `"${arg}"`);
  return { message: 'More arguments than required', hint: `not expected: ${extra.join(', ')}` };
}

/** https://no-color.org: set and not empty means no colours. */
function colored(argv: readonly string[], { env }: Io): boolean {
  return (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb' && !argv.includes('--no-color');
}
