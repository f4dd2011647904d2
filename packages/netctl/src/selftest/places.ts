/** Where containers can be started: engines, or the nodes behind a swarm. */
import { join } from 'node:path';
import { Engine, EngineError, type EngineTls, parseEngineAddress } from '@contiv/docker';
import type { HostInfo } from '@contiv/model';
import type { Io } from '../io.js';
import { CommandError, EXIT } from '../session.js';

export interface Place {
  readonly engine: Engine;
  /** What its engine calls itself; netmaster's name for it shows when a container runs there. */
  readonly name: string;
  /** Its containers have to be sent there, for the endpoint has several nodes. */
  readonly behindSwarm: boolean;
}

export interface Places {
  readonly engines: readonly Engine[];
  readonly places: readonly Place[];
  /** Endpoints that cannot be used, as sentences. */
  readonly faults: readonly string[];
}

const LOCAL = 'unix:///var/run/docker.sock';
/** Requests that an engine, or a swarm in front of many, is asked at once: every container has one open while its probes run. */
export const REQUESTS = 64;

/** Addresses of `--docker`, else `DOCKER_HOST`, else the engine of this machine. */
export function addressesOf(flag: string, env: Io['env']): string[] {
  const text = flag !== '' ? flag : (env.DOCKER_HOST ?? '');
  const addresses = [...new Set(text.split(',').map((part) => part.trim()))].filter((part) => part !== '');
  for (const address of addresses) parseEngineAddress(address);
  return addresses.length === 0 ? [LOCAL] : addresses;
}

/** As the `docker` command has it: `DOCKER_TLS_VERIFY`, with the files in `DOCKER_CERT_PATH` or `~/.docker`. */
async function tlsOf({ env, home, read }: Io): Promise<EngineTls | undefined> {
  if ((env.DOCKER_TLS_VERIFY ?? '') === '') return undefined;
  const directory = env.DOCKER_CERT_PATH === undefined || env.DOCKER_CERT_PATH === '' ? join(home, '.docker') : env.DOCKER_CERT_PATH;
  const [ca = '', cert = '', key = ''] = await Promise.all(['ca.pem', 'cert.pem', 'key.pem'].map((file) => read(join(directory, file))));
  return { ca, cert, key };
}

/** Asks all endpoints what they are. Throws when none can be used. */
export async function openPlaces(flag: string, io: Io, hosts: readonly HostInfo[]): Promise<Places> {
  const addresses = addressesOf(flag, io.env);
  const tls = await tlsOf(io);
  const engines: Engine[] = [];
  const places: Place[] = [];
  const faults: string[] = [];
  const seen = new Set<string>();
  for (const { engine, info, fault } of await Promise.all(addresses.map((address) => ask(address, tls)))) {
    if (info === undefined) {
      engine.close();
      faults.push(fault);
      continue;
    }
    if (seen.has(info.ID)) continue;
    seen.add(info.ID);
    engines.push(engine);
    if (!info.ServerVersion.startsWith('swarm/')) places.push({ engine, name: info.Name, behindSwarm: false });
    // Its nodes are called like our hosts, both after the machine; one that is not a node is refused when its containers are made.
    else for (const { name, alive } of hosts) if (alive) places.push({ engine, name, behindSwarm: true });
  }
  if (places.length === 0)
    throw new CommandError(faults[0] ?? 'no host is connected to netmaster', {
      exit: EXIT.io,
      hint: 'give the engines, or a swarm in front of them, with --docker or DOCKER_HOST: --docker tcp://HOST1:2385,tcp://HOST2:2385',
    });
  return { engines, places, faults };
}

async function ask(address: string, tls: EngineTls | undefined) {
  const engine = new Engine(address, { maxSockets: REQUESTS, ...(tls === undefined ? {} : { tls }) });
  try {
    return { engine, info: await engine.info(), fault: '' };
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return { engine, info: undefined, fault: error.message };
  }
}

/** Throws a sentence when an endpoint does not have the image. A swarm is asked whether any of its nodes has it. */
export async function requireImage(image: string, { places }: Places): Promise<void> {
  const engines = new Map(places.map((place) => [place.engine, place]));
  for (const [engine, { name, behindSwarm }] of engines) {
    if (await engine.hasImage(image)) continue;
    throw new CommandError(`there is no image ${image} on ${behindSwarm ? 'the nodes of the swarm' : name}`, {
      exit: EXIT.io,
      hint: `pull it on every host (docker pull ${image}), or name another one with --image; it needs sh, ping, nc and timeout, as busybox has them`,
    });
  }
}
