/** What runs where, as the kernel and the services themselves say. */
import { hostCalled, requireLab } from './context.js';
import { initOf, namespaceExists } from './effects/host.js';
import { serves } from './effects/probe.js';
import { pidsInside, startTime } from './effects/processes.js';
import { ServiceControl } from './host-service.js';
import type { HostPlan } from './plan/hosts.js';
import type { LabNames } from './plan/names.js';
import type { LabOptions } from './plan/options.js';
import { type StationStatus, stationStatus } from './stations.js';

export interface ServiceStatus {
  readonly name: string;
  readonly state: 'serving' | 'running' | 'stopped';
  /** Process number on this machine, not the host's own. */
  readonly pid?: number;
  readonly log: string;
}

export interface HostStatus {
  readonly name: string;
  readonly address: string;
  readonly namespace: string;
  readonly engine: string;
  readonly state: 'up' | 'down' | 'destroyed';
  /** First process; `nsenter -t PID -m -u -n -p` enters the host. */
  readonly init?: number;
  readonly services: readonly ServiceStatus[];
}

export interface LabStatus {
  readonly lab: string;
  readonly options: LabOptions;
  readonly fabric: string;
  readonly uplink: string;
  readonly hosts: readonly HostStatus[];
  /** What is there besides the hosts. */
  readonly stations: readonly StationStatus[];
}

export async function labStatus(names: LabNames): Promise<LabStatus> {
  const lab = await requireLab(names);
  const hosts = await Promise.all(lab.hosts.map((host) => hostStatus(names, host, lab.state.destroyed.includes(host.name))));
  const stations = await stationStatus(names);
  return { lab: names.lab, options: lab.state.options, fabric: names.fabric, uplink: names.uplink, hosts, stations };
}

/** Processes and files of a host, told without asking any service. */
export interface HostProcesses {
  readonly name: string;
  /** Everything of it on disk. */
  readonly dir: string;
  /** First process; none when the host does not run. */
  readonly init?: number;
  /** Process numbers on this machine, of the services that run. */
  readonly services: ReadonlyMap<string, number>;
}

/** Throws a {@link LabError} when there is no such lab or host. */
export async function hostProcesses(names: LabNames, called: string): Promise<HostProcesses> {
  const { name, dir } = hostCalled(await requireLab(names), called);
  const init = await initOf(names.lab, name);
  const inside = init === undefined ? new Map<number, number>() : await pidsInside(init);
  const control = new ServiceControl(dir);
  const found = await Promise.all(
    (await control.names()).map(async (service) => [service, await processOf(control, inside, service)] as const),
  );
  const services = new Map(found.flatMap(([service, pid]) => (pid === undefined ? [] : [[service, pid] as const])));
  return { name, dir, ...(init === undefined ? {} : { init }), services };
}

async function processOf(control: ServiceControl, inside: ReadonlyMap<number, number>, service: string): Promise<number | undefined> {
  const recorded = await control.recorded(service);
  const pid = recorded && inside.get(recorded.pid);
  return pid !== undefined && (await startTime(pid)) === recorded?.startTime ? pid : undefined;
}

async function hostStatus(names: LabNames, host: HostPlan, destroyed: boolean): Promise<HostStatus> {
  const init = await initOf(names.lab, host.name);
  const up = init !== undefined && (await namespaceExists(host.namespace));
  const inside = init === undefined ? new Map<number, number>() : await pidsInside(init);
  const control = new ServiceControl(host.dir);
  const services = await Promise.all((await control.names()).map((name) => serviceStatus(control, init, inside, name)));
  return {
    name: host.name,
    address: host.ip,
    namespace: host.namespace,
    engine: host.engine,
    state: up ? 'up' : destroyed ? 'destroyed' : 'down',
    ...(init === undefined ? {} : { init }),
    services,
  };
}

async function serviceStatus(
  control: ServiceControl,
  init: number | undefined,
  inside: ReadonlyMap<number, number>,
  name: string,
): Promise<ServiceStatus> {
  const log = control.logFile(name);
  const pid = await processOf(control, inside, name);
  if (pid === undefined || init === undefined) return { name, state: 'stopped', log };
  const { ready } = await control.load(name);
  const reached = ready.kind === 'socket' ? { ...ready, path: `/proc/${init}/root${ready.path.replace(/^\/var\/run/, '/run')}` } : ready;
  return { name, state: (await serves(reached)) ? 'serving' : 'running', pid, log };
}

/** Table for people; stays within 80 columns. */
export function showStatus(status: LabStatus): string {
  const { options } = status;
  const count = status.hosts.length;
  const lines = [
    `lab ${status.lab}: ${count} ${count === 1 ? 'host' : 'hosts'}, engine ${options.engine}, store ${options.store}${options.bare ? ', bare' : ''}`,
    '',
    `${'HOST'.padEnd(22)}${'ADDRESS'.padEnd(16)}${'SERVICE'.padEnd(12)}${'STATE'.padEnd(10)}PID`,
  ];
  for (const host of status.hosts) {
    const rows = host.services.length > 0 && host.state === 'up' ? host.services : [{ name: '-', state: host.state, pid: undefined }];
    rows.forEach((service, i) => {
      const left = i === 0 ? `${host.name.padEnd(22)}${host.address.padEnd(16)}` : ' '.repeat(38);
      lines.push(`${left}${service.name.padEnd(12)}${service.state.padEnd(10)}${service.pid ?? '-'}`);
    });
  }
  for (const { name, address, state } of status.stations)
    lines.push(`${name.padEnd(22)}${address.padEnd(16)}${'-'.padEnd(12)}${state.padEnd(10)}-`);
  return `${lines.join('\n')}\n`;
}
