/** A data path inside a host of `hosts.ts`: one process in that host's namespaces, asked over the channel to its parent. */
import { createSocket } from 'node:dgram';
import type { Ipv4, Ipv6, Vni } from '@contiv/model';
import {
  type ApplyReport,
  type Arrival,
  type Concern,
  type Datapath,
  type DatapathEndpoint,
  type DatapathOptions,
  type DatapathPort,
  type DesiredDatapath,
  DNS_SERVICE_IP,
  findRemains,
  openDatapath,
  type PortCounters,
  type PublishedPort,
  removeDatapath,
  type TrialOutcome,
} from '../index.js';

export interface Calls {
  open(options: DatapathOptions): Promise<number>;
  apply(desired: DesiredDatapath): Promise<ApplyReport>;
  addPort(port: DatapathPort, peerName: string): Promise<void>;
  removePort(name: string): Promise<void>;
  upsertEndpoint(endpoint: DatapathEndpoint): void;
  removeEndpoint(vni: Vni, ip: Ipv4, ip6?: Ipv6): void;
  listPorts(): Promise<readonly string[]>;
  listPublished(): Promise<readonly PublishedPort[]>;
  counters(): ReadonlyMap<string, PortCounters>;
  drops(): Readonly<Record<string, bigint>>;
  /** Frames of one trial, one after the other. */
  try(frames: readonly (readonly [arrival: Arrival, frame: Uint8Array])[]): TrialOutcome[];
  audit(desired: DesiredDatapath, concern: Concern): Promise<readonly string[]>;
  /** Answers every datagram to the DNS service with the name of the port that asked. */
  serveDns(): Promise<void>;
  teardown(): Promise<void>;
  /** Without opening anything. */
  findPorts(instance: string): readonly string[];
  removeDatapath(instance: string): Promise<void>;
}
export interface Request {
  readonly id: number;
  readonly call: keyof Calls;
  readonly args: readonly unknown[];
}
export type Response = { readonly id: number } & (
  | { readonly value: unknown }
  | { readonly error: { readonly name: string; readonly message: string } }
);

let opened: Datapath | undefined;
const datapath = (): Datapath => {
  if (!opened) throw new Error('not open');
  return opened;
};

const calls: Calls = {
  open: async (options) => {
    opened = await openDatapath(options);
    return opened.containerMtu;
  },
  apply: (desired) => datapath().apply(desired),
  addPort: (port, peerName) => datapath().addPort(port, peerName),
  removePort: (name) => datapath().removePort(name),
  upsertEndpoint: (endpoint) => datapath().upsertEndpoint(endpoint),
  removeEndpoint: (vni, ip, ip6) => datapath().removeEndpoint(vni, ip, ip6),
  listPorts: () => datapath().listPorts(),
  listPublished: () => datapath().listPublished(),
  counters: () => datapath().counters(),
  drops: () => datapath().drops(),
  try: (frames) => {
    const trial = datapath().trial();
    try {
      return frames.map(([arrival, frame]) => trial.run(arrival, frame));
    } finally {
      trial.close();
    }
  },
  audit: (desired, concern) => datapath().audit(desired, concern),
  serveDns: () =>
    new Promise((resolve, reject) => {
      const socket = createSocket('udp4');
      socket.on('message', (_, { address, port }) =>
        socket.send(datapath().portOfDnsClient(address) ?? `unknown ${address}`, port, address),
      );
      socket.on('error', reject);
      socket.bind(53, DNS_SERVICE_IP, resolve);
    }),
  teardown: () => datapath().teardown(),
  findPorts: (instance) => findRemains(instance).ports,
  removeDatapath,
};

async function answer({ id, call, args }: Request): Promise<Response> {
  try {
    const handler: (...args: never[]) => unknown = calls[call];
    return { id, value: await handler(...(args as never[])) };
  } catch (error) {
    return { id, error: error instanceof Error ? { name: error.name, message: error.message } : { name: '', message: String(error) } };
  }
}

process.on('message', (request: Request) => void answer(request).then((response) => process.send?.(response)));
process.on('disconnect', () => process.exit(0));
