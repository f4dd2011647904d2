/** The daemon's flags and environment (spec/contiv §4). Pure: argv and env in, settings or a {@link ConfigError} out. */

import type { LogLevel } from '@contiv/observe';
import { Command, CommanderError, Option } from 'commander';
import { defaultGlobal } from './core/global.js';
import type { GlobalRecord } from './core/records.js';

/** Exit status of a faulty configuration. */
export const CONFIG_EXIT = 22;

export class ConfigError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number = CONFIG_EXIT) {
    super(message);
    this.exitCode = exitCode;
  }
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Settings {
  readonly mode: string;
  readonly storeUrl: string;
  readonly listen: Address;
  /** `host:port` other masters and clients are told; `undefined` means this host's address and the listener's port. */
  readonly internal: Address | undefined;
  readonly pluginName: string;
  /** Settings of a fresh store. */
  readonly boot: GlobalRecord;
  readonly logLevel: LogLevel;
  readonly jsonLog: boolean;
  readonly hostTimeoutMs: number;
}

const ENV = 'CONTIV_NETMASTER_';
const BIN = 'netmaster';
const ALIASES: Readonly<Record<string, string>> = {
  '--plugin-mode': '--mode',
  '--cluster-mode': '--mode',
  '--network-mode': '--netmode',
  '--forward-mode': '--fwdmode',
  '--etcd': '--etcd-endpoints',
  '--consul': '--consul-endpoints',
  '--json-log': '--use-json-log',
  '--infra-type': '--infra',
  '--plugin-name': '--name',
  '--listen-url': '--external-address',
  '--control-url': '--internal-address',
  '--cluster-store': '--store',
};

interface Raw {
  mode?: string;
  netmode?: string;
  fwdmode?: string;
  etcdEndpoints?: string;
  consulEndpoints?: string;
  store?: string;
  name: string;
  infra: string;
  externalAddress: string;
  internalAddress?: string;
  logLevel: string;
  useJsonLog?: boolean;
  hostTimeout: string;
}

function command(): Command {
  const option = (flags: string, description: string, env: string, fallback?: string) => {
    const o = new Option(flags, description).env(`${ENV}${env}`);
    return fallback === undefined ? o : o.default(fallback);
  };
  return new Command(BIN)
    .description('REST control plane of the cluster: tenants, networks, addresses')
    .addOption(option('--mode <mode>', 'docker, swarm-mode or kubernetes (also --cluster-mode)', 'MODE'))
    .addOption(option('--netmode <mode>', 'encapsulation hosts are set up for: vlan or vxlan (also --network-mode)', 'NET_MODE'))
    .addOption(option('--fwdmode <mode>', 'bridge or routing, for a fresh store (also --forward-mode)', 'FORWARD_MODE'))
    .addOption(
      option('--store <url>', 'lmdb:///DIRECTORY for one master, etcd://HOST:PORT[,HOST:PORT] for several (also --cluster-store)', 'STORE'),
    )
    .addOption(option('--etcd-endpoints <urls>', 'etcd servers, comma list (also --etcd)', 'ETCD_ENDPOINTS'))
    .addOption(option('--consul-endpoints <urls>', 'not supported', 'CONSUL_ENDPOINTS').hideHelp())
    .addOption(option('--name <name>', 'name of the Docker driver (also --plugin-name)', 'PLUGIN_NAME', 'netplugin'))
    .addOption(option('--infra <type>', 'fabric: default (also --infra-type)', 'INFRA', 'default'))
    .addOption(option('--external-address <ip:port>', 'where the API listens (also --listen-url)', 'EXTERNAL_ADDRESS', '0.0.0.0:9999'))
    .addOption(
      option('--internal-address <ip:port>', 'address told to others (also --control-url); listened on as well', 'INTERNAL_ADDRESS'),
    )
    .addOption(option('--log-level <level>', 'DEBUG, INFO, WARN or ERROR', 'LOG_LEVEL', 'INFO'))
    .addOption(option('--use-json-log', 'log records as JSON (also --json-log)', 'USE_JSON_LOG'))
    .addOption(option('--host-timeout <time>', 'release what a silent host holds after this: 90s, 30m, 24h', 'HOST_TIMEOUT', '24h'))
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
}

/** Aliases by their one name, and Go's `-flag` as `--flag`. */
function normalise(argument: string): string {
  if (!/^-{1,2}[a-z]{2}/.test(argument)) return argument;
  const long = argument.startsWith('--') ? argument : `-${argument}`;
  const equals = long.indexOf('=');
  const flag = equals < 0 ? long : long.slice(0, equals);
  return `${ALIASES[flag] ?? flag}${equals < 0 ? '' : long.slice(equals)}`;
}

/** `argv` without node and script. Throws {@link ConfigError}; `--help` throws one with exit code 0 after it was printed. */
export function readSettings(argv: readonly string[], env: NodeJS.ProcessEnv): Settings {
  return checked(rawOptions(argv, env));
}

function rawOptions(argv: readonly string[], env: NodeJS.ProcessEnv): Raw {
  const program = command();
  // Commander reads process.env only; give it the one we were given.
  const present = Object.entries(env).filter(([key, value]) => key.startsWith(ENV) && value !== undefined && value !== '');
  const fromEnv = new Map(present);
  const flags: string[] = [];
  for (const option of program.options) {
    const value = option.envVar === undefined ? undefined : fromEnv.get(option.envVar);
    if (value === undefined) continue;
    if (option.required) flags.push(`--${option.name()}=${value}`);
    else if (/^(1|true|yes|on)$/i.test(value)) flags.push(`--${option.name()}`);
  }
  try {
    return program.parse([...flags, ...argv.map(normalise)], { from: 'user' }).opts<Raw>();
  } catch (error) {
    if (error instanceof CommanderError)
      throw new ConfigError(error.message.replace(/^error: /, ''), error.exitCode === 0 ? 0 : CONFIG_EXIT);
    throw error;
  }
}

function checked(raw: Raw): Settings {
  const mode = raw.mode?.toLowerCase() ?? '';
  if (mode === '') throw new ConfigError(`${BIN} mode is not set`);
  if (!['docker', 'swarm-mode', 'kubernetes', 'test'].includes(mode)) throw new ConfigError(`unknown ${BIN} mode: ${raw.mode}`);
  const netmode = raw.netmode?.toLowerCase() ?? '';
  if (netmode === '') throw new ConfigError(`${BIN} network mode is not set`);
  if (netmode !== 'vlan' && netmode !== 'vxlan') throw new ConfigError(`unknown ${BIN} network mode: ${raw.netmode}`);
  const fwdmode = raw.fwdmode?.toLowerCase() ?? '';
  if (fwdmode === '') throw new ConfigError(`${BIN} forwarding mode is not set`);
  if (fwdmode !== 'bridge' && fwdmode !== 'routing') throw new ConfigError(`unknown ${BIN} forwarding mode: ${raw.fwdmode}`);
  if (raw.infra !== 'default') {
    if (!['aci', 'aci-opflex'].includes(raw.infra)) throw new ConfigError(`Unknown ${BIN} infra type: ${raw.infra}`);
    throw new ConfigError(`${BIN} infra type ${raw.infra} is not supported; use --infra default`);
  }
  return {
    mode,
    storeUrl: storeUrl(raw),
    listen: address(raw.externalAddress),
    internal: raw.internalAddress === undefined ? undefined : address(raw.internalAddress),
    pluginName: raw.name,
    boot: { ...defaultGlobal, fwdMode: fwdmode },
    logLevel: logLevel(raw.logLevel),
    jsonLog: raw.useJsonLog === true,
    hostTimeoutMs: duration(raw.hostTimeout),
  };
}

function storeUrl(raw: Raw): string {
  const { etcdEndpoints: etcd = '', consulEndpoints: consul = '', store = '' } = raw;
  if (etcd !== '' && consul !== '')
    throw new ConfigError(`ambiguous ${BIN} db endpoints, both etcd and consul specified: etcd: ${etcd}, consul: ${consul}`);
  if (consul !== '' || store.startsWith('consul:'))
    throw new ConfigError(
      'consul is not supported; use --store etcd://HOST:2379 for several masters or --store lmdb:///var/lib/contiv/store for one',
    );
  if (store !== '' && etcd !== '') throw new ConfigError(`ambiguous ${BIN} db endpoints, both --store and --etcd-endpoints specified`);
  if (store !== '') return store;
  // A list as etcdctl takes it; https:// means TLS.
  return etcd === '' ? 'etcd://127.0.0.1:2379' : etcd;
}

function address(text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]*)):([^:]+)$/.exec(text.replace(/^https?:\/\//, ''));
  if (!match) throw new ConfigError(`bind address is not in 'ip:port' format, got ${text}`);
  const port = Number(match[3]);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new ConfigError(`bind port is a integer between 1-65535, got ${match[3]}`);
  return { host: match[1] ?? (match[2] === '' ? '0.0.0.0' : (match[2] ?? '')), port };
}

function logLevel(text: string): LogLevel {
  const name = text.toLowerCase();
  const levels: Readonly<Record<string, LogLevel>> = { debug: 'debug', info: 'info', warn: 'warn', warning: 'warn', error: 'error' };
  const level = Object.hasOwn(levels, name) ? levels[name] : undefined;
  if (!level) throw new ConfigError(`unknown ${BIN} log level: ${text}; use DEBUG, INFO, WARN or ERROR`);
  return level;
}

/** `90s`, `30m`, `24h`, in milliseconds. */
function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(s|m|h)$/.exec(text);
  const unit = { s: 1_000, m: 60_000, h: 3_600_000 }[match?.[2] ?? ''];
  if (!match || unit === undefined || Number(match[1]) <= 0)
    throw new ConfigError(`host timeout is a time like 90s, 30m or 24h, got ${text}`);
  return Number(match[1]) * unit;
}
