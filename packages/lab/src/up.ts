/** Brings up what is missing of a lab; called on a running one it changes nothing. */
import { join } from 'node:path';
import { findPrograms, plannedHosts } from './context.js';
import { takeDown } from './down.js';
import { CommandError, run } from './effects/exec.js';
import {
  addNamespace,
  initOf,
  ipBatch,
  namespaceExists,
  ownNamespaces,
  removeNamespace,
  runInside,
  setSysctls,
  startInit,
  writeFiles,
} from './effects/host.js';
import { ensureImages, loadImages } from './effects/images.js';
import { hostFiles, type PlannedFile, serviceDir, sharedFiles } from './plan/files.js';
import type { HostPlan } from './plan/hosts.js';
import type { LabNames } from './plan/names.js';
import { checkedOptions, DEFAULT_OPTIONS, kebab, LabError, type LabOptions } from './plan/options.js';
import { hostServices, type Programs, type Service } from './plan/services.js';
import {
  CABLES,
  cableLines,
  FABRIC_SYSCTLS,
  fabricLines,
  fabricPort,
  HOST_SYSCTLS,
  hostLines,
  uplinkFabricLines,
  uplinkLines,
} from './plan/topology.js';
import type { Progress } from './progress.js';
import { type LabState, loadState, saveState } from './state.js';
import { makeStations } from './stations.js';
import { joinSwarm } from './swarm-mode.js';

/** `asked` holds only what the user said; the rest comes from the running lab or the defaults. */
export async function bringUp(names: LabNames, asked: Partial<LabOptions>, progress: Progress): Promise<LabState> {
  let state = await runningState(names, asked, progress);
  if (!state) {
    state = {
      version: 1,
      options: checkedOptions({ ...DEFAULT_OPTIONS, ...asked }),
      removed: [],
      destroyed: [],
      createdAt: new Date().toISOString(),
    };
    await preflight(names, state.options);
    await findPrograms(state.options.engine);
    await saveState(names, state);
  }
  const { options, destroyed } = state;
  const programs = await findPrograms(options.engine);
  const hosts = plannedHosts(names, options, state.removed);
  await makeFabric(names, options, progress);
  const alive = hosts.filter((h) => !destroyed.includes(h.name));
  const images = ensureImages(progress);
  images.catch(() => undefined);
  await all([makeStations(names, options, progress), bootHosts(names, options, hosts, alive, programs, images, progress)]);
  return state;
}

/** State of a lab that is up; `undefined` when there is none (any more). Refuses a second, different lab of the same name. */
async function runningState(names: LabNames, asked: Partial<LabOptions>, progress: Progress): Promise<LabState | undefined> {
  const state = await loadState(names);
  const leftovers = await ownNamespaces(names.lab);
  if (!state || !(await fabricComplete(names))) {
    if (state || leftovers.length > 0) {
      progress.say('removing what an earlier lab left behind');
      await takeDown(names, progress);
    }
    return undefined;
  }
  for (const [key, value] of Object.entries(asked)) {
    const now = Object.entries(state.options).find(([k]) => k === key)?.[1];
    if (value !== undefined && value !== now) {
      const other = key === 'hosts' ? ', or see bin/lab host --help for hosts that join and leave' : '';
      throw new LabError(
        `lab ${names.lab} is there already, with ${kebab(key)} ${String(now)} and not ${String(value)}; take it down first (bin/lab down)${other}`,
      );
    }
  }
  if (!(await linkExists(names.uplink)))
    throw new LabError(`lab ${names.lab} was made in another network namespace; enter that one, or choose another name with CONTIV_LAB`);
  return state;
}

async function linkExists(device: string): Promise<boolean> {
  return run(['ip', 'link', 'show', 'dev', device]).then(
    () => true,
    () => false,
  );
}

async function fabricComplete(names: LabNames): Promise<boolean> {
  if (!(await namespaceExists(names.fabric))) return false;
  const shown = await run(['ip', '-n', names.fabric, 'link', 'show', 'dev', 'uplink']).catch(() => '');
  return shown.includes('master underlay') && shown.includes('LOWER_UP');
}

async function preflight(names: LabNames, options: LabOptions): Promise<void> {
  if (process.getuid?.() !== 0) throw new LabError('a lab makes network namespaces and engines, which takes root: sudo bin/lab up');
  const subnet = `${options.ipPrefix}0/24`;
  const routes = (await run(['ip', 'route', 'show', 'root', subnet])).split('\n').filter((line) => line !== '');
  if (routes.length > 0)
    throw new LabError(
      `${subnet} is in use here (${routes[0]?.trim()}); take down the lab that has it, or choose others with CONTIV_IP_PREFIX=192.168.77.`,
    );
  if (await linkExists(names.uplink))
    throw new LabError(`an interface ${names.uplink} exists that is not this lab's; choose another CONTIV_LAB`);
}

async function makeFabric(names: LabNames, options: LabOptions, progress: Progress): Promise<void> {
  if (!(await addNamespace(names.fabric))) return;
  await setSysctls(names.fabric, FABRIC_SYSCTLS);
  await ipBatch(fabricLines(options), names.fabric);
  await ipBatch(uplinkLines(names, options));
  await ipBatch(uplinkFabricLines, names.fabric);
  progress.say(`network      ${options.ipPrefix}0/24 on eth1, trunk on eth2 and eth3, reachable from here by ${names.uplink}`);
}

/** Makes one host unless it runs; answers its first process. */
export async function makeHost(names: LabNames, options: LabOptions, host: HostPlan, files: readonly PlannedFile[]): Promise<number> {
  const running = await initOf(names.lab, host.name);
  if (running !== undefined) return running;
  await uncable(names, host);
  await addNamespace(host.namespace);
  await ipBatch(cableLines(names, options, host), names.fabric);
  await setSysctls(host.namespace, HOST_SYSCTLS);
  await ipBatch(hostLines(host), host.namespace);
  await writeFiles(files);
  return startInit(names.lab, host);
}

/** Removes a host's cables and namespace, whatever exists of them. The fabric's ends go first: a namespace's own devices die late. */
export async function uncable(names: LabNames, host: HostPlan): Promise<void> {
  for (const { device } of CABLES) await run(['ip', '-n', names.fabric, 'link', 'del', fabricPort(host, device)]).catch(() => undefined);
  if (await namespaceExists(host.namespace)) await removeNamespace(host.namespace);
}

const serviceFiles = (host: HostPlan, services: readonly Service[]): PlannedFile[] =>
  services.map((service) => ({
    path: join(serviceDir(host), `${service.name}.json`),
    text: `${JSON.stringify(service, null, 2)}\n`,
    mode: 0o644,
  }));

async function bootHosts(
  names: LabNames,
  options: LabOptions,
  hosts: readonly HostPlan[],
  alive: readonly HostPlan[],
  programs: Programs,
  images: Promise<readonly string[]>,
  progress: Progress,
): Promise<void> {
  const booted = new Map<HostPlan, { pid: number; services: readonly Service[] }>();
  await all(
    alive.map(async (host) => {
      const services = hostServices(options, names.lab, host, hosts, programs);
      const fresh = (await initOf(names.lab, host.name)) === undefined;
      const files = [...hostFiles(names.lab, options, host, hosts, programs), ...serviceFiles(host, services)];
      const pid = await makeHost(names, options, host, files);
      await writeFiles([...sharedFiles(host, hosts), ...serviceFiles(host, services)]);
      if (fresh) progress.say(`host         ${host.name} has ${host.ip}`);
      booted.set(host, { pid, services });
    }),
  );

  const start = async (host: HostPlan, service: string): Promise<void> => {
    const { pid = 0, services = [] } = booted.get(host) ?? {};
    if (!services.some((s) => s.name === service)) return;
    const argv = [programs.node, join(programs.root, 'build', 'lab.cjs'), 'host-service', host.dir, service, 'start'];
    const said = await runInside(pid, host, argv, { timeoutMs: 120_000 }).catch((error: unknown) => {
      // The service control inside says it best.
      if (error instanceof CommandError && error.reason === 'exit')
        throw new LabError(`${host.name}: ${error.stderr.trim().replace(/^lab: /, '')}`);
      throw error;
    });
    if (!said.includes('running')) progress.say(`${service.padEnd(12)} serves on ${host.name}`);
  };

  const first = alive[0];
  if (first && first.index === 0) await start(first, 'etcd');
  await all(
    alive.map(async (host) => {
      const pid = booted.get(host)?.pid ?? 0;
      const engine = start(host, 'docker').then(async () => {
        const loaded = await loadImages(pid, host, await images);
        if (loaded.length > 0) progress.say(`images       ${loaded.join(', ')} on ${host.name}`);
      });
      await all([engine, start(host, 'netmaster'), start(host, 'netplugin')]);
    }),
  );
  if (options.swarmMode) await joinSwarm(names, alive, progress);
  for (const service of ['swarm-join', 'swarm']) await all(alive.map((host) => start(host, service)));
}

/** Waits for all, also when one fails: nothing goes on behind the error that is reported. */
async function all(works: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(works)) if (result.status === 'rejected') throw result.reason;
}
