/** Hosts that join, leave, are lost and come back while the lab runs. */
import { rm } from 'node:fs/promises';
import { commandIn, currentNames, hostCalled, type Lab, requireLab } from './context.js';
import { removeCgroups } from './effects/cgroups.js';
import { run } from './effects/exec.js';
import { initOf, killInit } from './effects/host.js';
import { until } from './effects/processes.js';
import type { HostPlan } from './plan/hosts.js';
import { hostName } from './plan/names.js';
import { LabError, MAX_HOSTS } from './plan/options.js';
import { CABLES, fabricPort } from './plan/topology.js';
import type { Progress } from './progress.js';
import { type LabState, saveState } from './state.js';
import { hostProcesses } from './status.js';
import { bringUp, uncable } from './up.js';

async function change(lab: Lab, change: Partial<LabState>, progress: Progress): Promise<void> {
  await saveState(lab.names, { ...lab.state, ...change });
  await bringUp(lab.names, {}, progress);
}

/** A lone swarm manager has its engines from its command line, which the change has written anew; replicated ones find them in the store. */
async function tellSwarm({ names, state, hosts: [first] }: Lab, progress: Progress): Promise<void> {
  if (state.options.masters > 1 || !first || !(await hostProcesses(names, first.name)).services.has('swarm')) return;
  await run(await commandIn(names, first.name, ['service', 'swarm', 'restart']), { timeoutMs: 60_000 });
  progress.say('swarm        knows the hosts there are now');
}

export async function addHost(called: string | undefined, progress: Progress): Promise<void> {
  const lab = await requireLab(currentNames());
  const { options, removed } = lab.state;
  const index = called === undefined ? (removed.toSorted((a, b) => a - b)[0] ?? options.hosts) : indexOf(called);
  if (lab.hosts.some((h) => h.index === index)) throw new LabError(`host ${hostName(index)} exists already`);
  if (index >= MAX_HOSTS) throw new LabError(`a lab has at most ${MAX_HOSTS} hosts`);
  // Hosts between the last one and a new one that was named do not exist either.
  const gap = Array.from({ length: Math.max(0, index - options.hosts) }, (_, i) => options.hosts + i);
  const next = {
    options: { ...options, hosts: Math.max(options.hosts, index + 1) },
    removed: [...removed, ...gap].filter((i) => i !== index),
  };
  await change(lab, next, progress);
  await tellSwarm(lab, progress);
}

function indexOf(called: string): number {
  for (let index = 0; index < MAX_HOSTS; index += 1)
    if ([hostName(index), hostName(index).split('-').at(-1)].includes(called)) return index;
  throw new LabError(`${called} is no name of a host; hosts are called ${hostName(0)}, ${hostName(1)}, ${hostName(2)}, …`);
}

/** The first host carries netmaster and the store: a lab without it is none. */
function refuseFirst(host: HostPlan): void {
  if (host.index === 0)
    throw new LabError(`${host.name} carries netmaster and the store and stays; bin/lab host destroy ${host.name} loses it for a while`);
}

export async function removeHost(called: string, progress: Progress): Promise<void> {
  const lab = await requireLab(currentNames());
  const host = hostCalled(lab, called);
  refuseFirst(host);
  await powerOff(lab, host);
  await rm(host.dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  progress.say(`host         ${host.name} removed`);
  await change(
    lab,
    { removed: [...lab.state.removed, host.index], destroyed: lab.state.destroyed.filter((n) => n !== host.name) },
    progress,
  );
  await tellSwarm(lab, progress);
}

export async function destroyHost(called: string, progress: Progress): Promise<void> {
  const lab = await requireLab(currentNames());
  const host = hostCalled(lab, called);
  await saveState(lab.names, { ...lab.state, destroyed: [...new Set([...lab.state.destroyed, host.name])] });
  await powerOff(lab, host);
  progress.say(`host         ${host.name} lost; bin/lab host restore ${host.name} brings it back`);
}

export async function restoreHost(called: string, progress: Progress): Promise<void> {
  const lab = await requireLab(currentNames());
  const host = hostCalled(lab, called);
  if (!lab.state.destroyed.includes(host.name)) throw new LabError(`host ${host.name} is not lost; bin/lab up starts what is missing`);
  await change(lab, { destroyed: lab.state.destroyed.filter((n) => n !== host.name) }, progress);
}

async function powerOff(lab: Lab, host: HostPlan): Promise<void> {
  const init = await initOf(lab.names.lab, host.name);
  if (init !== undefined) await killInit(init);
  await uncable(lab.names, host);
  await until(() => removeCgroups(host.cgroup), 10_000, 100);
}

/** Unplugs on the fabric's side, so that the host sees its carrier go. */
export async function setLink(called: string, device: string, state: 'up' | 'down'): Promise<void> {
  const lab = await requireLab(currentNames());
  const host = hostCalled(lab, called);
  const cable = CABLES.find((c) => c.device === device);
  if (!cable) throw new LabError(`a host has ${CABLES.map((c) => c.device).join(', ')}, not ${device}`);
  await run(['ip', '-n', lab.names.fabric, 'link', 'set', 'dev', fabricPort(host, cable.device), state]);
}
