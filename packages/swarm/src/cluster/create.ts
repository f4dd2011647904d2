import { bindingsOf, sharesFromCpus } from '../engine/view.js';
import { ApiError } from '../errors.js';
import { isObject, type Json, numberAt, objectAt, stringAt, stringMapAt, stringsAt } from '../json.js';
import { moveRequirements, requirements, reschedulePolicyError } from '../scheduler/labels.js';
import type { ContainerView, Demand } from '../scheduler/types.js';

/** Bodies of `POST /containers/create`: opaque but for what scheduling needs. Pure. */

/** Moves scheduling entries of the environment into labels; refuses impossible policies. @throws ApiError */
export function normaliseCreate(body: unknown): Json {
  if (!isObject(body)) throw new ApiError(400, 'invalid JSON: an object describing the container is expected');
  const moved = moveRequirements(stringsAt(body, 'Env'), stringMapAt(body, 'Labels'));
  const refused = reschedulePolicyError(moved.labels);
  if (refused !== undefined) throw new ApiError(500, refused);
  const host = { ...objectAt(body, 'HostConfig') };
  for (const [old, current] of [
    ['Memory', 'Memory'],
    ['MemorySwap', 'MemorySwap'],
    ['CpuShares', 'CpuShares'],
    ['Cpuset', 'CpusetCpus'],
  ] as const) {
    if (body[old] !== undefined && body[old] !== 0 && body[old] !== '') host[current] = body[old];
  }
  return { ...body, ...(body.Env === undefined ? {} : { Env: moved.env }), Labels: moved.labels, HostConfig: host };
}

export function demandOf(body: Json, name: string): Demand {
  const host = objectAt(body, 'HostConfig');
  const labels = stringMapAt(body, 'Labels');
  const networkMode = stringAt(host, 'NetworkMode');
  const dependencies = [
    ...stringsAt(host, 'VolumesFrom').map((text) => ({ flag: '--volumes-from', text, container: beforeColon(text) })),
    ...stringsAt(host, 'Links').map((text) => ({ flag: '--link', text, container: beforeColon(text) })),
    ...shared('--net', networkMode),
    ...shared('--ipc', stringAt(host, 'IpcMode')),
    ...shared('--pid', stringAt(host, 'PidMode')),
  ];
  return {
    name,
    image: stringAt(body, 'Image'),
    memory: numberAt(host, 'Memory'),
    cpus: numberAt(host, 'CpuShares') || numberAt(host, 'NanoCpus') / 1e9,
    networkMode,
    exposedPorts: Object.keys(objectAt(body, 'ExposedPorts')),
    portBindings: bindingsOf(portMap(objectAt(host, 'PortBindings'))),
    replaces: replacedBy(labels, name),
    dependencies,
    constraints: requirements(labels, 'constraint'),
    affinities: requirements(labels, 'affinity'),
    whitelists: requirements(labels, 'whitelist'),
  };
}

/** Compose makes the new container first and removes the old one before it starts it: says which by its label, or by the name meanwhile. */
function replacedBy(labels: Readonly<Record<string, string>>, name: string): string {
  const label = labels['com.docker.compose.replace'];
  if (label === undefined) return '';
  return /^[0-9a-f]{12,64}$/.test(label) ? label : (/^([0-9a-f]{12})_/.exec(name)?.[1] ?? '');
}

/** A container that is being created, as other decisions must see it. */
export function pendingView(demand: Demand, labels: Readonly<Record<string, string>>): ContainerView {
  return {
    id: '',
    names: demand.name === '' ? [] : [`/${demand.name}`],
    image: demand.image,
    labels,
    networkMode: demand.networkMode,
    exposedPorts: demand.exposedPorts,
    portBindings: demand.portBindings,
    memory: demand.memory,
    cpus: demand.cpus,
  };
}

/** The body for one engine: CPU shares in its own units. */
export function bodyForEngine(body: Json, cpusOfEngine: number): Json {
  const host = objectAt(body, 'HostConfig');
  const cpus = numberAt(host, 'CpuShares');
  return cpus > 0 ? { ...body, HostConfig: { ...host, CpuShares: sharesFromCpus(cpus, cpusOfEngine) } } : body;
}

export interface NetworkNames {
  /** The name an engine understands, and the node the network lives on if it is local to one. Undefined for names we do not know. */
  resolve(name: string): { readonly name: string; readonly node?: string } | undefined;
}

/** Rewrites network references to names every engine understands, and binds the container to the node of a local network. */
export function placeNetworks(body: Json, names: NetworkNames): Json {
  const host = objectAt(body, 'HostConfig');
  const nodes = new Set<string>();
  const rename = (name: string): string => {
    const found = names.resolve(name);
    if (found?.node !== undefined) nodes.add(found.node);
    return found?.name ?? name;
  };
  const mode = stringAt(host, 'NetworkMode');
  const plain = mode === '' || mode === 'default' || mode === 'none' || mode.startsWith('container:');
  const newMode = plain ? mode : rename(mode);
  const networking = objectAt(body, 'NetworkingConfig');
  const endpoints = Object.fromEntries(Object.entries(objectAt(networking, 'EndpointsConfig')).map(([key, value]) => [rename(key), value]));
  if (nodes.size > 1) throw new ApiError(400, `networks on different nodes (${[...nodes].join(', ')}) cannot be joined by one container`);
  const [node] = nodes;
  const labels = stringMapAt(body, 'Labels');
  const constraints = requirements(labels, 'constraint');
  const pinned = node === undefined || constraints.some((text) => text.startsWith('node=='));
  return {
    ...body,
    ...(pinned ? {} : { Labels: moveRequirements([`constraint:node==${node}`], labels).labels }),
    HostConfig: { ...host, ...(mode === '' ? {} : { NetworkMode: newMode }) },
    ...(isObject(body.NetworkingConfig) ? { NetworkingConfig: { ...networking, EndpointsConfig: endpoints } } : {}),
  };
}

/** Takes `NODE/` off references to containers: the CLI and compose show names with it and give them back. */
export function unprefixReferences(body: Json, isNode: (name: string) => boolean): Json {
  const host = objectAt(body, 'HostConfig');
  const strip = (text: string): string => {
    const match = /^(\/?)([^/:]+)\/(.+)$/.exec(text);
    return match?.[2] !== undefined && isNode(match[2]) ? `${match[1]}${match[3]}` : text;
  };
  const mode = (key: string) => {
    const value = stringAt(host, key);
    return value.startsWith('container:') ? { [key]: `container:${strip(value.slice(10))}` } : {};
  };
  const list = (key: string) => (Array.isArray(host[key]) ? { [key]: stringsAt(host, key).map(strip) } : {});
  return {
    ...body,
    HostConfig: { ...host, ...list('Links'), ...list('VolumesFrom'), ...mode('NetworkMode'), ...mode('IpcMode'), ...mode('PidMode') },
  };
}

const beforeColon = (text: string): string => text.split(':')[0] ?? text;
const shared = (flag: string, mode: string) =>
  mode.startsWith('container:') ? [{ flag, text: mode, container: mode.slice('container:'.length) }] : [];

function portMap(map: Json): Record<string, { HostIp: string; HostPort: string }[]> {
  return Object.fromEntries(
    Object.entries(map).map(([key, list]) => [
      key,
      (Array.isArray(list) ? list : [])
        .filter(isObject)
        .map((item) => ({ HostIp: stringAt(item, 'HostIp'), HostPort: stringAt(item, 'HostPort') })),
    ]),
  );
}
