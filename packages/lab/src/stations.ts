/** Brings up what is there besides the hosts: the outside world, the physical server, the router. */
import { spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from './context.js';
import { run } from './effects/exec.js';
import { addNamespace, initOf, ipBatch, namespaceExists, removeNamespace, setSysctls } from './effects/host.js';
import { until } from './effects/processes.js';
import { initMarker, type LabNames } from './plan/names.js';
import { LabError, type LabOptions } from './plan/options.js';
import {
  accessPortFilters,
  CABLED,
  OUTSIDE,
  ROUTER_SYSCTLS,
  STATION_ADDRESS,
  STATION_PORTS,
  STATION_SYSCTLS,
  STATIONS,
  type Station,
  stationCables,
  stationLines,
  stationNamespace,
} from './plan/outside.js';
import type { Progress } from './progress.js';

const SWITCH_OBJECT = join(ROOT, 'build', 'lab-switch.bpf.o');

/** Makes what is missing of the stations; the fabric exists. */
export async function makeStations(names: LabNames, options: LabOptions, progress: Progress): Promise<void> {
  if (!(await isCabled(names))) {
    await uncableStations(names);
    await cableStations(names, options);
    progress.say(`stations     outside world ${OUTSIDE.web}, server and router on VLAN 112`);
  }
  await startOutside(names);
}

/** The bridge of the outside bears its mark when everything else is done. */
async function isCabled(names: LabNames): Promise<boolean> {
  return (await run(['ip', '-n', names.fabric, 'link', 'show', 'dev', 'outside']).catch(() => '')).includes(CABLED);
}

/** What an interrupted start has left. */
async function uncableStations(names: LabNames): Promise<void> {
  const ports = [...STATION_PORTS, 'outside'];
  for (const port of ports) await run(['ip', '-n', names.fabric, 'link', 'del', port]).catch(() => undefined);
  for (const station of STATIONS) {
    const namespace = stationNamespace(names, station);
    if (await namespaceExists(namespace)) await removeNamespace(namespace);
  }
}

async function cableStations(names: LabNames, options: LabOptions): Promise<void> {
  await Promise.all(STATIONS.map((station) => addNamespace(stationNamespace(names, station))));
  await ipBatch(stationCables(names, options), names.fabric);
  await Promise.all([
    run(['tc', '-n', names.fabric, '-batch', '-'], { input: `${accessPortFilters(SWITCH_OBJECT).join('\n')}\n` }),
    ...STATIONS.map(async (station) => {
      const namespace = stationNamespace(names, station);
      await setSysctls(namespace, station === 'router' ? ROUTER_SYSCTLS : STATION_SYSCTLS);
      await ipBatch(stationLines(station), namespace);
    }),
  ]);
  await run(['ip', '-n', names.fabric, 'link', 'set', 'outside', 'alias', CABLED]);
}

/** Starts the outside world's servers unless they run, and waits until they serve. */
async function startOutside(names: LabNames): Promise<void> {
  if ((await initOf(names.lab, 'world')) !== undefined) return;
  const log = await open(join(names.dir, 'world.log'), 'a');
  const argv = [`--net=/run/netns/${stationNamespace(names, 'world')}`, 'unshare', '--pid', '--fork', '--mount-proc', 'tini', '--'].concat([
    process.execPath,
    join(ROOT, 'build', 'lab.cjs'),
    'outside',
    initMarker(names.lab, 'world'),
  ]);
  const child = spawn('nsenter', argv, { detached: true, stdio: ['ignore', log.fd, log.fd], cwd: '/' });
  const ended = new Promise<boolean>((resolve) => {
    child.once('exit', () => resolve(true));
    child.once('error', () => resolve(true));
  });
  let failed = false;
  void ended.then((yes) => {
    failed = yes;
  });
  child.unref();
  await log.close();
  const ready = await until(async () => failed || (await outsideServes(names)), 60_000, 30);
  if (failed || !ready) throw new LabError(`the outside world's servers do not start; see ${join(names.dir, 'world.log')}`);
}

/** As the kernel shows it: from the namespace this runs in the outside cannot, and must not, be reached. DNS over IPv6 is the last socket opened. */
async function outsideServes(names: LabNames): Promise<boolean> {
  const init = await initOf(names.lab, 'world');
  if (init === undefined) return false;
  const sockets = await readFile(`/proc/${init}/net/udp6`, 'utf8').catch(() => '');
  return sockets.includes(':0035 ');
}

export interface StationStatus {
  readonly name: Station;
  readonly address: string;
  readonly namespace: string;
  readonly state: 'up' | 'down';
}

export async function stationStatus(names: LabNames): Promise<StationStatus[]> {
  return Promise.all(
    STATIONS.map(async (name) => {
      const namespace = stationNamespace(names, name);
      const up = (await namespaceExists(namespace)) && (name !== 'world' || (await outsideServes(names)));
      return { name, address: STATION_ADDRESS[name], namespace, state: up ? 'up' : 'down' };
    }),
  );
}
