import { randomBytes } from 'node:crypto';
import { printJson } from '../json.js';
import { reschedulesOnFailure } from '../scheduler/labels.js';
import type { ContainerView, PortBinding } from '../scheduler/types.js';
import type { Info, Inspect, Row } from './shapes.js';

/** A container as the manager remembers it: thousands are held, so only what is asked for again. */
export interface Container {
  readonly id: string;
  readonly facts: Facts;
  /** The list row as clients see it, in print, before and after the value of `Status`. */
  readonly print: readonly [string, string];
  readonly view: ContainerView;
  /** The whole inspection in print, for containers that may have to be made again when their node is dead. */
  readonly whole?: string;
}

export type RunState = 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'dead';

/** What lists show and filter by. Times are milliseconds since 1970 by the manager's clock. */
export interface Facts {
  /** As the list row says it. */
  readonly rowState: string;
  readonly rowImage: string;
  readonly imageId: string;
  readonly state: RunState;
  /** Also while paused or restarting. */
  readonly running: boolean;
  readonly exitCode: number;
  /** Empty without a health check. */
  readonly health: string;
  readonly created: number;
  /** NaN when it never was. */
  readonly started: number;
  readonly finished: number;
  readonly mounts: readonly { readonly name: string; readonly destination: string }[];
  /** Name → id. */
  readonly networks: Readonly<Record<string, string>>;
  /** `HOST-PORT/PROTOCOL` of what is published. */
  readonly published: readonly string[];
}

/** Who holds a container. */
export interface Holder {
  readonly name: string;
  readonly ip: string;
  readonly cpus: number;
  /** Milliseconds the manager's clock is ahead of the engine's. */
  readonly skewMs: number;
}

const TOLERATED_SKEW_MS = 2000;

/**
 * How far the manager's clock is ahead of an engine's, in milliseconds. The engine read its own between question and answer, which may
 * take seconds: what fits between them is no difference, nor is what two clocks may differ by. All are milliseconds since 1970.
 */
export function skewOf(engineTime: number, asked: number, answered: number): number {
  const skew = engineTime < asked ? asked - engineTime : Math.min(answered - engineTime, 0);
  return Math.abs(skew) < TOLERATED_SKEW_MS || Number.isNaN(skew) ? 0 : skew;
}

/** Takes the place of a status in print; no engine can have written it. */
const STATUS = randomBytes(16).toString('hex');

/** @param inspected the engine's answer `inspect` was read from. */
export function containerOf(row: Row, inspect: Inspect, inspected: unknown, holder: Holder): Container {
  const { HostConfig: host, Config: config } = inspect;
  const names = row.Names.length > 0 ? row.Names : [inspect.Name];
  return {
    id: inspect.Id,
    facts: factsOf(row, inspect, holder.skewMs),
    print: printedRow(row, config.Labels, holder),
    view: {
      id: inspect.Id,
      names,
      image: shared(config.Image),
      labels: config.Labels,
      networkMode: shared(host.NetworkMode),
      exposedPorts: sharedList(Object.keys(config.ExposedPorts ?? {})),
      portBindings: sharedList([...bindingsOf(host.PortBindings), ...bindingsOf(inspect.NetworkSettings.Ports)]),
      memory: host.Memory,
      cpus: cpusFromShares(host.CpuShares, holder.cpus) || host.NanoCpus / 1e9,
    },
    ...(reschedulesOnFailure(config.Labels) ? { whole: printJson(inspected) } : {}),
  };
}

function factsOf(row: Row, inspect: Inspect, skewMs: number): Facts {
  const { State: state, NetworkSettings: settings } = inspect;
  // Go's zero time lies in the year 1.
  const time = (text: string): number => (text === '' || text.startsWith('0001-') ? Number.NaN : Date.parse(text) + skewMs);
  const networks = Object.entries(settings.Networks ?? {});
  return {
    rowState: shared(row.State),
    rowImage: shared(row.Image),
    imageId: shared(inspect.Image),
    state: runState(state, time(state.StartedAt)),
    running: state.Running,
    exitCode: state.ExitCode,
    health: shared(state.Health?.Status ?? ''),
    created: time(inspect.Created),
    started: time(state.StartedAt),
    finished: time(state.FinishedAt),
    mounts: sharedList((inspect.Mounts ?? []).map((mount) => ({ name: mount.Name ?? '', destination: mount.Destination ?? '' }))),
    networks: Object.fromEntries(networks.map(([name, entry]) => [shared(name), shared(entry.NetworkID ?? '')])),
    published: sharedList(
      Object.entries(settings.Ports).flatMap(([port, list]) =>
        (list ?? []).map((entry) => `${entry.HostPort ?? ''}/${port.split('/')[1] ?? 'tcp'}`),
      ),
    ),
  };
}

function runState(state: Inspect['State'], started: number): RunState {
  if (state.Paused) return 'paused';
  if (state.Restarting) return 'restarting';
  if (state.Running) return 'running';
  if (state.Dead) return 'dead';
  return Number.isNaN(started) ? 'created' : 'exited';
}

/** Whether a list row says anything new about a container beside the time that has passed. */
export function saysNews({ facts, view }: Container, row: Row): boolean {
  const networks = Object.keys(row.NetworkSettings?.Networks ?? {});
  return (
    facts.rowState !== row.State ||
    row.State === 'restarting' ||
    view.names.join() !== row.Names.join() ||
    networks.length !== Object.keys(facts.networks).length ||
    networks.some((name) => facts.networks[name] === undefined) ||
    (facts.health !== '' && !row.Status.includes(facts.health))
  );
}

/** One copy of words that many containers have in common. */
function shared(word: string): string {
  const known = WORDS.get(word);
  if (known !== undefined) return known;
  if (WORDS.size >= MAX_WORDS) WORDS.clear();
  WORDS.set(word, word);
  return word;
}
const WORDS = new Map<string, string>();
const MAX_WORDS = 20_000;

const NOTHING: readonly never[] = [];
const sharedList = <T>(list: readonly T[]): readonly T[] => (list.length === 0 ? NOTHING : list);

/** Names with their node, published addresses that can be reached, each once. */
function printedRow(row: Row, labels: Readonly<Record<string, string>>, holder: Holder): readonly [string, string] {
  const seen = new Set<string>();
  const ports = (row.Ports ?? [])
    .map((port) => (port.IP === '0.0.0.0' || port.IP === '::' ? { ...port, IP: holder.ip } : port))
    .filter((port) => {
      const key = `${port.IP} ${port.PublicPort} ${port.PrivatePort} ${port.Type}`;
      return !seen.has(key) && seen.add(key);
    });
  const names = row.Names.map((name) => `/${holder.name}${name}`);
  const [before = '', after = ''] = printJson({ ...row, Names: names, Labels: labels, Status: STATUS, Ports: ports }).split(`"${STATUS}"`);
  return [before, after];
}

export function bindingsOf(
  map: Readonly<Record<string, readonly { HostIp?: string | undefined; HostPort?: string | undefined }[] | null | undefined>>,
): PortBinding[] {
  return Object.entries(map).flatMap(([port, list]) =>
    (list ?? []).map((entry) => ({ protocol: port.split('/')[1] ?? 'tcp', hostIp: entry.HostIp ?? '', hostPort: entry.HostPort ?? '' })),
  );
}

/** A client's CPU shares mean whole CPUs; the engine gets shares of 1,024 for all of its own (spec/swarm.md 3.1). */
export function sharesFromCpus(cpus: number, cpusOfEngine: number): number {
  return Math.ceil((cpus * 1024) / Math.max(cpusOfEngine, 1));
}

export function cpusFromShares(shares: number, cpusOfEngine: number): number {
  return Math.floor((shares * cpusOfEngine) / 1024);
}

/** Labels nodes can be chosen by. A label of the daemon cannot take the place of what the engine says of itself. */
export function engineLabels(info: Info): { labels: Record<string, string>; ignored: string[] } {
  const labels: Record<string, string> = {};
  const ignored: string[] = [];
  for (const entry of info.Labels) {
    const at = entry.indexOf('=');
    if (at < 0)
      throw new Error(`Engine (ID: ${info.ID}, Name: ${info.Name}) contains an invalid label (${entry}) not formatted as "key=value".`);
    const key = entry.slice(0, at);
    if (key === 'node') ignored.push(entry);
    else labels[key] = entry.slice(at + 1);
  }
  const own = { storagedriver: info.Driver, kernelversion: info.KernelVersion, operatingsystem: info.OperatingSystem, ostype: info.OSType };
  for (const [key, value] of Object.entries(own)) if (value !== '') labels[key] = value;
  return { labels, ignored };
}
