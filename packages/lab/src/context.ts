/** What every lab command needs to know, gathered once. */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { run } from './effects/exec.js';
import { enter, initOf } from './effects/host.js';
import { type HostPlan, hostPlan } from './plan/hosts.js';
import { DEFAULT_LAB, type LabNames, labNames, MODERN_ROOT } from './plan/names.js';
import { LabError, type LabOptions } from './plan/options.js';
import { STATIONS, stationNamespace } from './plan/outside.js';
import { engineFacts, type Programs } from './plan/services.js';
import { type LabState, loadState } from './state.js';

export const ROOT = resolve(import.meta.dirname, '..');

export const currentNames = (): LabNames => labNames(process.env.CONTIV_LAB || DEFAULT_LAB);

/** What is installed and built here. Throws a {@link LabError} when the chosen engine is not. */
export async function findPrograms(engine: LabOptions['engine']): Promise<Programs> {
  const built = new Set(readdirSync(join(ROOT, 'build')).flatMap((file) => (file.endsWith('.cjs') ? [file.slice(0, -4)] : [])));
  const programs = { node: process.execPath, root: ROOT, built };
  if (engine === 'modern') {
    const binary = join(MODERN_ROOT, 'usr/sbin/dockerd');
    if (!existsSync(binary)) throw new LabError('the modern engine is not prepared; run sudo scripts/setup.sh --modern');
    return { ...programs, engine: { binary, clusterStore: false } };
  }
  const path = process.env.PATH ?? '';
  const binary = [...path.split(':'), '/usr/sbin', '/usr/bin'].map((dir) => join(dir, 'dockerd')).find((file) => existsSync(file));
  if (binary === undefined) throw new LabError('no Docker Engine is installed; run sudo scripts/setup.sh');
  return { ...programs, engine: engineFacts(binary, await run([binary, '--version'])) };
}

/** Hosts that belong to the lab, lost ones included. */
export function plannedHosts(names: LabNames, options: LabOptions, removed: readonly number[]): HostPlan[] {
  return Array.from({ length: options.hosts }, (_, index) => hostPlan(names, options, index)).filter((h) => !removed.includes(h.index));
}

export interface Lab {
  readonly names: LabNames;
  readonly state: LabState;
  readonly hosts: readonly HostPlan[];
}

export async function requireLab(names: LabNames): Promise<Lab> {
  const state = await loadState(names);
  if (!state) throw new LabError(`there is no lab${names.lab === DEFAULT_LAB ? '' : ` called ${names.lab}`}; start one with bin/lab up`);
  return { names, state, hosts: plannedHosts(names, state.options, state.removed) };
}

/** A host by its full name or its last part (`master`, `worker0`) or its address. */
export function hostCalled(lab: Lab, text: string): HostPlan {
  const found = lab.hosts.find((h) => h.name === text || h.name.endsWith(`-${text}`) || h.ip === text);
  if (!found) throw new LabError(`no host is called ${text}; there are ${lab.hosts.map((h) => h.name).join(', ')}`);
  return found;
}

export async function requireInit(lab: Lab, host: HostPlan): Promise<number> {
  const pid = await initOf(lab.names.lab, host.name);
  if (pid === undefined) {
    const way = lab.state.destroyed.includes(host.name) ? `bin/lab host restore ${host.name}` : 'bin/lab up';
    throw new LabError(`host ${host.name} does not run; bring it back with ${way}`);
  }
  return pid;
}

/** Command line that runs another one inside a host, or one of the stations. Throws a {@link LabError} when there is no such host, or it does not run. */
export async function commandIn(names: LabNames, called: string, argv: readonly string[]): Promise<string[]> {
  const lab = await requireLab(names);
  const station = STATIONS.find((s) => s === called);
  if (station) return ['nsenter', `--net=/run/netns/${stationNamespace(names, station)}`, ...argv];
  const host = hostCalled(lab, called);
  return enter(await requireInit(lab, host), host, argv);
}
