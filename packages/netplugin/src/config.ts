/** Flags and environment of netplugin (spec/contiv §4): a flag beats its variable, which beats the default. */
import { lookup } from 'node:dns/promises';
import { hostname, networkInterfaces } from 'node:os';
import { type MasterError, parseMasterUrl } from '@contiv/client';
import { parseEngineAddress } from '@contiv/docker';
import { type Ipv4, type Ipv6, parseIpv4, parseIpv6 } from '@contiv/model';
import { LOG_LEVELS, type LogLevel } from '@contiv/observe';
import { type Command, Option } from 'commander';

/** A wrong configuration: one line, exit code 22. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}
export const CONFIG_EXIT = 22;

export interface Config {
  readonly mode: 'docker' | 'swarm-mode' | 'kubernetes' | 'test';
  readonly netmode: 'vxlan' | 'vlan';
  readonly fwdmode: 'bridge' | 'routing';
  readonly host: string;
  readonly vtepIp: Ipv4 | Ipv6;
  /** Where the agent's REST API listens; loopback unless `--ctrl-ip` is given. */
  readonly listenIp: string;
  readonly ctrlIp: string;
  readonly ctrlPort: number;
  readonly vlanUplinks: readonly string[];
  readonly vxlanPort: number;
  readonly masters: readonly string[];
  readonly stateDir: string;
  readonly instance: string;
  readonly dockerScope: 'local' | 'global';
  readonly dockerHost: string;
  readonly pluginName: string;
  readonly pluginDir: string;
  readonly logLevel: LogLevel;
  readonly jsonLog: boolean;
  /** Bytes of recorded connections on disk; 0: none are recorded. */
  readonly flowLogBytes: number;
}

const ENV = 'CONTIV_NETPLUGIN_';
const option = (flags: string, about: string, env: string) => new Option(flags, about).env(`${ENV}${env}`);
const hidden = (flags: string) => new Option(flags).hideHelp();
const collect = (value: string, all: string[] | undefined): string[] =>
  [...(all ?? []), ...value.split(',').map((v) => v.trim())].filter((v) => v !== '');

/** Long forms that stand for one flag, as in Contiv; each keeps a variable of its own out of the way. */
const ALIASES = [
  ['--plugin-mode', 'mode'],
  ['--cluster-mode', 'mode'],
  ['--network-mode', 'netmode'],
  ['--forward-mode', 'fwdmode'],
  ['--host-label', 'host'],
  ['--vlan-if', 'vlanUplinks'],
  ['--json-log', 'useJsonLog'],
] as const;

/** Options every command of the program needs to find the same agent. */
export function addCommonOptions(command: Command): Command {
  return command
    .addOption(option('--state-dir <dir>', 'records and the last snapshot', 'STATE_DIR').default('/var/lib/contiv/netplugin'))
    .addOption(
      option('--instance <name>', 'name of this data path in the kernel, when several hosts share one', 'INSTANCE').default('default'),
    )
    .addOption(option('--plugin-name <name>', 'driver name Docker knows', 'PLUGIN_NAME').default('netplugin'))
    .addOption(
      option('--ctrl-ip <ip>', 'address of the REST API and for other hosts (default: the host address, REST on loopback)', 'CONTROL_IP'),
    )
    .addOption(option('--ctrl-port <port>', 'port of the REST API', 'CONTROL_PORT').default('9090'))
    .addOption(option('--vtep-ip <ip>', 'VXLAN source address (default: the host address)', 'VTEP_IP'))
    .addOption(
      option('--vxlan-port <port>', 'UDP port of VXLAN; 4789 is the one of Docker overlay networks', 'VXLAN_PORT').default('8472'),
    );
}

export function addAgentOptions(command: Command): Command {
  addCommonOptions(command)
    .addOption(option('--mode <mode>', 'docker, kubernetes or swarm-mode', 'MODE'))
    .addOption(option('--netmode <mode>', 'vxlan or vlan', 'NET_MODE'))
    .addOption(option('--fwdmode <mode>', 'bridge or routing', 'FORWARD_MODE'))
    .addOption(option('--host <name>', 'name of this host in the cluster (default: the host name)', 'HOST'))
    .addOption(option('--vlan-uplinks <interfaces>', 'uplinks of vlan networks, comma separated', 'VLAN_UPLINKS').argParser(collect))
    .addOption(
      option('--netmaster <url>', 'a netmaster, e.g. http://192.168.2.50:9999; repeat for more', 'NETMASTER')
        .argParser(collect)
        .default(undefined, 'http://127.0.0.1:9999'),
    )
    .addOption(option('--docker-scope <scope>', 'local, or global on engines with a cluster store', 'DOCKER_SCOPE').default('local'))
    .addOption(
      option('--docker-host <address>', 'unix:///PATH or tcp://HOST:PORT of this host’s engine', 'DOCKER_HOST').default(
        'unix:///var/run/docker.sock',
      ),
    )
    .addOption(option('--plugin-dir <dir>', 'where Docker looks for plugin sockets', 'PLUGIN_DIR').default('/run/docker/plugins'))
    .addOption(option('--flow-log-size <MB>', 'disk space for records of connections; 0 records none', 'FLOW_LOG_SIZE').default('64'))
    .addOption(option('--log-level <level>', LOG_LEVELS.join(', '), 'LOG_LEVEL').default('INFO'))
    .addOption(option('--use-json-log', 'one JSON object per line', 'USE_JSON_LOG'));
  for (const [flag, name] of ALIASES) {
    const takes = name === 'useJsonLog' ? flag : `${flag} <value>`;
    command.addOption(hidden(takes));
    command.on(`option:${flag.slice(2)}`, (value: string) => {
      command.setOptionValueWithSource(
        name,
        name === 'useJsonLog' ? true : name === 'vlanUplinks' ? collect(value, undefined) : value,
        'cli',
      );
    });
  }
  return command;
}

type Raw = Readonly<Record<string, unknown>>;
const text = (raw: Raw, key: string): string => {
  const value = raw[key];
  return typeof value === 'string' ? value.trim() : '';
};
const list = (raw: Raw, key: string): string[] => {
  const value = raw[key];
  return Array.isArray(value) ? value.filter((v): v is string => typeof v === 'string') : [];
};

function oneOf<T extends string>(value: string, words: readonly T[], missing: string, unknown: string): T {
  if (value === '') throw new ConfigError(missing);
  const found = words.find((word) => word === value.toLowerCase());
  if (found === undefined) throw new ConfigError(unknown);
  return found;
}

function port(value: string, name: string): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number < 1 || number > 65535) throw new ConfigError(`${name} is an integer between 1-65535, got ${value}`);
  return number;
}

function megabytes(value: string, name: string): number {
  if (!/^\d{1,6}$/.test(value)) throw new ConfigError(`${name} is a number of megabytes between 0-999999, got ${value}`);
  return Number(value) * 1_000_000;
}

function ip(value: string, name: string): Ipv4 | Ipv6 {
  const parsed = parseIpv4(value) ?? parseIpv6(value);
  if (parsed === undefined) throw new ConfigError(`${name} is not an IP address: ${value}`);
  return parsed;
}

/** A name that becomes part of paths and keys. */
function label(value: string, name: string): string {
  if (!/^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,251}[a-zA-Z0-9])?$/.test(value)) {
    throw new ConfigError(`${name} may consist of letters, digits, dots, hyphens and underscores, got "${value}"`);
  }
  return value;
}

export interface CommonConfig {
  readonly stateDir: string;
  readonly instance: string;
  readonly pluginName: string;
  readonly ctrlIp: string;
  readonly ctrlPort: number;
  readonly vtepIp: Ipv4 | Ipv6;
  readonly vxlanPort: number;
}

export async function readCommon(raw: Raw): Promise<CommonConfig & { readonly listenIp: string }> {
  const ctrl = text(raw, 'ctrlIp');
  const needsHost = ctrl === '' || text(raw, 'vtepIp') === '';
  const own = needsHost ? await hostAddress() : undefined;
  const chosen = (value: string, flag: string): Ipv4 | Ipv6 => {
    if (value !== '') return ip(value, flag);
    if (own === undefined) throw new ConfigError(`this host has no address besides loopback and Docker's; give ${flag}`);
    return own;
  };
  return {
    stateDir: text(raw, 'stateDir'),
    instance: label(text(raw, 'instance'), '--instance'),
    pluginName: label(text(raw, 'pluginName'), '--plugin-name'),
    vtepIp: chosen(text(raw, 'vtepIp'), '--vtep-ip'),
    ctrlIp: chosen(ctrl, '--ctrl-ip'),
    listenIp: ctrl === '' ? '127.0.0.1' : ip(ctrl, '--ctrl-ip'),
    ctrlPort: port(text(raw, 'ctrlPort'), 'control port'),
    vxlanPort: port(text(raw, 'vxlanPort'), 'vxlan port'),
  };
}

/** Checks everything; throws `ConfigError` with Contiv's texts. */
export async function readConfig(raw: Raw): Promise<Config> {
  const mode = oneOf(
    text(raw, 'mode'),
    ['docker', 'kubernetes', 'swarm-mode', 'test'],
    'netplugin mode is not set',
    `unknown netplugin mode: ${text(raw, 'mode')}`,
  );
  const netmode = oneOf(
    text(raw, 'netmode'),
    ['vlan', 'vxlan'],
    'netplugin network mode is not set',
    `unknown netplugin network mode: ${text(raw, 'netmode')}`,
  );
  const fwdmode = oneOf(
    text(raw, 'fwdmode'),
    ['bridge', 'routing'],
    'netplugin forwarding mode is not set',
    `unknown netplugin forwarding mode: ${text(raw, 'fwdmode')}`,
  );
  const vlanUplinks = list(raw, 'vlanUplinks');
  if (netmode === 'vlan' && vlanUplinks.length === 0) throw new ConfigError('vlan-uplinks must be set when using VLAN mode');
  const masters = list(raw, 'netmaster');
  try {
    for (const url of masters) parseMasterUrl(url);
    parseEngineAddress(text(raw, 'dockerHost'));
  } catch (error) {
    throw new ConfigError((error as MasterError).message);
  }
  const level = text(raw, 'logLevel').toLowerCase();
  const scope = text(raw, 'dockerScope');
  return {
    ...(await readCommon(raw)),
    mode,
    netmode,
    fwdmode,
    host: label(text(raw, 'host') || hostname(), '--host'),
    vlanUplinks,
    masters: masters.length > 0 ? masters : ['http://127.0.0.1:9999'],
    dockerScope: oneOf(scope, ['local', 'global'], 'docker scope is not set', `unknown docker scope: ${scope}`),
    dockerHost: text(raw, 'dockerHost'),
    pluginDir: text(raw, 'pluginDir'),
    logLevel: oneOf(level, LOG_LEVELS, 'log level is not set', `unknown log level: ${level}`),
    jsonLog: raw.useJsonLog === true || raw.useJsonLog === 'true',
    flowLogBytes: megabytes(text(raw, 'flowLogSize'), '--flow-log-size'),
  };
}

/** The host's own address: what its name resolves to when that is configured here, otherwise the first IPv4 address not Docker's. */
async function hostAddress(): Promise<Ipv4 | undefined> {
  const local = Object.entries(networkInterfaces())
    .filter(([name]) => !/^(docker|veth|vport|lo|br-|cv|contiv)/.test(name))
    .flatMap(([, addresses]) => addresses ?? [])
    .filter((a) => a.family === 'IPv4' && !a.internal)
    .map((a) => a.address);
  const named = await lookup(hostname(), { family: 4, all: true }).catch(() => []);
  const own = named.find((n) => local.includes(n.address))?.address ?? local[0];
  return own === undefined ? undefined : parseIpv4(own);
}
