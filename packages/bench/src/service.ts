import { readdir } from 'node:fs/promises';
import { BpfMap } from '@contiv/datapath';
import { lab } from './lab.js';

/** Process id of a service of a host, from `lab status --json`. */
export async function servicePid(host: string, service: string): Promise<number> {
  const status: unknown = JSON.parse(await lab('status', '--json'));
  const found = findPid(status, host, service);
  if (found === undefined) throw new Error(`lab status names no process of ${service} on ${host}`);
  return found;
}

function findPid(status: unknown, host: string, service: string): number | undefined {
  const hosts = get(status, 'hosts');
  const entry = Array.isArray(hosts) ? hosts.find((h: unknown) => get(h, 'name') === host) : get(hosts, host);
  const services = get(entry, 'services');
  const found = Array.isArray(services) ? services.find((s: unknown) => get(s, 'name') === service) : get(services, service);
  const pid = get(found, 'pid');
  return typeof pid === 'number' ? pid : undefined;
}

const get = (value: unknown, name: string): unknown => (typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined);

/** A table of a host's data path, in the file system of its own mount namespace. */
export async function tableOf(host: string, name: string): Promise<BpfMap> {
  const pid = await servicePid(host, 'netplugin');
  const dir = `/proc/${pid}/root/sys/fs/bpf/contiv`;
  for (const instance of await readdir(dir)) {
    const map = BpfMap.pinned(`${dir}/${instance}/maps/${name}`);
    if (map) return map;
  }
  throw new Error(`no table ${name} below ${dir}`);
}
