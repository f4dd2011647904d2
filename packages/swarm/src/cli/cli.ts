import { SWARM_VERSION } from '../api/context.js';
import { messageOf } from '../errors.js';
import { LEVELS, type Level, Log } from '../log.js';
import { runManager } from '../manage.js';
import { type FlagSpec, helpOf, type Parsed, parseFlags, UsageError } from './flags.js';
import { runJoin, runList } from './join.js';
import { manageOptions, tlsOptions } from './manage-options.js';
import { listHealth, setNodeState } from './node.js';
import { GLOBAL, JOIN, LIST, MANAGE, NODE } from './specs.js';

interface Command {
  readonly name: string;
  readonly alias?: string;
  readonly title: string;
  readonly usage: string;
  readonly flags: readonly FlagSpec[];
  run(flags: Parsed, globals: Parsed, log: Log, signal: AbortSignal): Promise<void>;
}

const COMMANDS: readonly Command[] = [
  { name: 'create', alias: 'c', title: 'Create a cluster', usage: 'swarm create', flags: [], run: runCreate },
  {
    name: 'list',
    alias: 'l',
    title: 'List nodes in a cluster',
    usage: 'swarm list [OPTIONS] <discovery>',
    flags: LIST,
    run: async (flags) =>
      print(flags.bool('health') ? await listHealth(flags.text('host'), tlsOptions(flags)) : lines(await runList(flags, process.env))),
  },
  {
    name: 'manage',
    alias: 'm',
    title: 'Manage a docker cluster',
    usage: 'swarm manage [OPTIONS] <discovery>',
    flags: MANAGE,
    run: (flags, globals, log, signal) =>
      runManager(
        manageOptions(flags, process.env),
        {
          experimental: globals.bool('experimental'),
          refreshOnNodeFilter: flags.bool('refresh-on-node-filter'),
          containerNameRefreshFilter: flags.text('container-name-refresh-filter'),
        },
        log,
        signal,
      ),
  },
  {
    name: 'join',
    alias: 'j',
    title: 'Join a docker cluster',
    usage: 'swarm join [OPTIONS] <discovery>',
    flags: JOIN,
    run: (flags, _globals, log, signal) => runJoin(flags, process.env, log, signal),
  },
  { name: 'node', title: 'Drain a node, or take it back', usage: 'swarm node drain|active NODE', flags: NODE, run: runNode },
];

const print = (text: string): void => void process.stdout.write(text);
const lines = (list: readonly string[]): string => list.map((line) => `${line}\n`).join('');

async function runCreate(flags: Parsed): Promise<void> {
  if (flags.args.length > 0) throw new Error("the `create` command takes no arguments. See 'swarm create --help'.");
  throw new Error(
    'the hosted discovery service that made tokens was shut down in 2019; use nodes://, file:// or etcd:// discovery instead',
  );
}

async function runNode(flags: Parsed): Promise<void> {
  const [action = '', node] = flags.args;
  if (!['drain', 'active'].includes(action) || node === undefined || flags.args.length !== 2)
    throw new UsageError('swarm node drain|active NODE is expected');
  print(await setNodeState(flags.text('host'), tlsOptions(flags), action, node));
}

/** Exit status of the program. */
export async function main(argv: readonly string[]): Promise<number> {
  let globals: Parsed;
  try {
    globals = parseFlags(GLOBAL, argv, process.env, false);
  } catch (error) {
    return usage(error, appHelp());
  }
  if (globals.bool('version')) {
    print(`swarm version ${SWARM_VERSION} (HEAD)\n`);
    return 0;
  }
  const [name, ...rest] = globals.args;
  if (name === undefined || name === 'help' || name === 'h' || globals.bool('help')) {
    print(appHelp());
    return 0;
  }
  const command = COMMANDS.find((candidate) => candidate.name === name || candidate.alias === name);
  if (command === undefined) return usage(new Error(`no command ${name}`), appHelp());
  const level = LEVELS.find((candidate) => candidate === globals.text('log-level'));
  if (level === undefined) {
    new Log().fatal(`not a valid logrus Level: "${globals.text('log-level')}"`);
    return 1;
  }
  const log = new Log(effective(level, globals));
  const help = helpOf(command.title, command.usage, command.flags);
  let flags: Parsed;
  try {
    flags = parseFlags(command.flags, rest, process.env);
  } catch (error) {
    return usage(error, help);
  }
  if (command.flags.length > 0 && flags.bool('help')) {
    print(help);
    return 0;
  }
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => (stop.signal.aborted ? process.exit(1) : stop.abort(new Error(signal))));
  try {
    await command.run(flags, globals, log, stop.signal);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) return usage(error, help);
    if (command.name === 'manage' || command.name === 'join') log.fatal(messageOf(error));
    else process.stderr.write(`${stamp(new Date())} ${messageOf(error)}\n`);
    return 1;
  }
}

const effective = (level: Level, globals: Parsed): Level => (globals.bool('debug') && !globals.given('log-level') ? 'debug' : level);

function usage(error: unknown, help: string): number {
  print(`Incorrect Usage.\n\n${help}`);
  process.stderr.write(`${messageOf(error)}\n`);
  return 1;
}

function appHelp(): string {
  const commands = COMMANDS.map(
    (command) => `   ${[command.name, ...(command.alias === undefined ? [] : [command.alias])].join(', ').padEnd(14)} ${command.title}`,
  );
  return `${helpOf('swarm: one Docker API over many engines', 'swarm [OPTIONS] COMMAND [arg...]', GLOBAL)}\nCommands:\n${commands.join('\n')}\n`;
}

function stamp(now: Date): string {
  return now.toISOString().slice(0, 19).replaceAll('-', '/').replace('T', ' ');
}
