/** Published ports of containers whose gateway is ours: Docker leaves them to the driver then. */
import dgram from 'node:dgram';
import net from 'node:net';
import { DNS_SERVICE_IP } from '@contiv/datapath';
import { libnetwork } from '@contiv/docker';
import { parseIpv4, parseIpv6 } from '@contiv/model';
import { KeyedMutex } from '@contiv/observe';
import { z } from 'zod';
import type { EndpointRecord, PublishedRecord } from '../state/records.js';
import type { DriverContext } from './context.js';
import { DriverRefusal } from './options.js';
import { reserveTcp6 } from './reserve.js';

const PROTOCOLS: Readonly<Record<number, PublishedRecord['protocol']>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };
/** Where a port is looked for when the user named none. */
const DYNAMIC = { first: 32_768, last: 60_999 } as const;
/** Of one container. */
const MAX_PUBLISHED = 1024;
const DNS_PORT = 53;
const ON_ONE = '-p 192.0.2.1:53:53/udp';

const bindings = z
  .array(
    z.object({
      Proto: z.number().int(),
      Port: z.number().int().min(1).max(65535),
      HostIP: z.string().max(64).nullish(),
      HostPort: z.number().int().min(0).max(65535).default(0),
      HostPortEnd: z.number().int().min(0).max(65535).default(0),
    }),
  )
  .max(MAX_PUBLISHED);

/** How often what is held is compared with what containers have. */
const SWEEP_MS = 5_000;

/** What a container asks for, from a driver call's options: `first` to `last` are all the same to it. */
export interface Wish {
  readonly protocol: PublishedRecord['protocol'];
  readonly hostIp: string | undefined;
  readonly first: number;
  readonly last: number;
  readonly containerPort: number;
}

export function parseWishes(options: Readonly<Record<string, unknown>> | null | undefined): Wish[] {
  const given = options?.[libnetwork.netlabel.portMap];
  if (given === undefined || given === null) return [];
  if (Array.isArray(given) && given.length > MAX_PUBLISHED)
    throw new DriverRefusal(
      `the container publishes ${given.length} ports, and ${MAX_PUBLISHED} can be; publish fewer, or put it into a VLAN, where all of its ports are reached`,
    );
  const parsed = bindings.safeParse(given);
  if (!parsed.success) throw new DriverRefusal('the engine names the published ports in a form that is not understood');
  return parsed.data.map(({ Proto, Port, HostIP, HostPort, HostPortEnd }) => {
    const protocol = PROTOCOLS[Proto];
    if (protocol === undefined) throw new DriverRefusal(`port ${Port} has IP protocol ${Proto}; TCP, UDP and SCTP can be published`);
    const hostIp = HostIP === '' || HostIP === null ? undefined : HostIP;
    if (hostIp !== undefined && parseIpv4(hostIp) === undefined && parseIpv6(hostIp) === undefined)
      throw new DriverRefusal(`port ${Port} cannot be published on ${hostIp}; name an IP address of this host`);
    const range = HostPort === 0 ? DYNAMIC : { first: HostPort, last: Math.max(HostPort, HostPortEnd) };
    return { protocol, hostIp, ...range, containerPort: Port };
  });
}

type Taken = Pick<PublishedRecord, 'protocol' | 'hostIp' | 'hostPort'>;
const EVERY4 = '0.0.0.0';
const EVERY6 = '::';
/** What a port without an address is published on. */
const EVERYWHERE = [EVERY4, EVERY6] as const;
const isV6 = (ip: string): boolean => ip.includes(':');

/** Do two ports want one and the same of this host? */
export function clashes(a: Taken, b: Taken): boolean {
  if (a.protocol !== b.protocol || a.hostPort !== b.hostPort) return false;
  if (a.hostIp === undefined || b.hostIp === undefined || a.hostIp === b.hostIp) return true;
  return isV6(a.hostIp) === isV6(b.hostIp) && [a.hostIp, b.hostIp].some((ip) => ip === EVERY4 || ip === EVERY6);
}

/** Taken on every address, it would take questions to the DNS service of this host to a container. */
const isDnsService = ({ protocol, hostIp, hostPort }: Taken): boolean =>
  hostPort === DNS_PORT && protocol !== 'sctp' && (hostIp === undefined || hostIp === EVERY4);

const hasCode = (error: unknown, code: string): boolean => error instanceof Error && 'code' in error && error.code === code;

/** Keeps ports of this host occupied, so that nobody else is given one that would never be reached. */
class Held {
  readonly #sockets = new Map<string, () => void>();
  #ended = false;

  /** Answers false when somebody else has the port. */
  async take(port: Taken): Promise<boolean> {
    if (port.protocol === 'sctp' || this.#ended) return true;
    const taken: string[] = [];
    for (const address of port.hostIp === undefined ? EVERYWHERE : [port.hostIp]) {
      const key = keyOf(port, address);
      if (this.#sockets.has(key)) continue;
      try {
        const close = await (port.protocol === 'tcp' ? takeTcp : bindUdp)(address, port.hostPort);
        if (this.#ended) {
          close();
          return true;
        }
        this.#sockets.set(key, close);
        taken.push(key);
      } catch (error) {
        // Without IPv6 nobody else can take a port of it either.
        if (address === EVERY6 && port.hostIp === undefined && (hasCode(error, 'EAFNOSUPPORT') || hasCode(error, 'EADDRNOTAVAIL')))
          continue;
        for (const held of taken) this.#close(held);
        if (hasCode(error, 'EADDRINUSE')) return false;
        if (hasCode(error, 'EADDRNOTAVAIL'))
          throw new DriverRefusal(`${address} is no address of this host, so nothing can be published on it`);
        throw error;
      }
    }
    return true;
  }

  release(port: Taken): void {
    for (const key of keysOf(port)) this.#close(key);
  }

  /** Lets go of all but these. */
  keepOnly(ports: readonly Taken[]): void {
    const kept = new Set(ports.flatMap(keysOf));
    for (const key of this.#sockets.keys()) if (!kept.has(key)) this.#close(key);
  }

  /** Lets go of all, and of what calls still under way take. */
  end(): void {
    this.#ended = true;
    this.keepOnly([]);
  }

  #close(key: string): void {
    this.#sockets.get(key)?.();
    this.#sockets.delete(key);
  }
}

const keyOf = ({ protocol, hostPort }: Taken, address: string): string => `${protocol} ${address} ${hostPort}`;
const keysOf = (port: Taken): string[] => (port.hostIp === undefined ? EVERYWHERE : [port.hostIp]).map((address) => keyOf(port, address));

/** Where IPv6 leads to no container callers are refused, except while a port's last connections are being forgotten: only a listener gets it then. */
async function takeTcp(address: string, port: number): Promise<() => void> {
  const six = parseIpv6(address);
  try {
    if (six !== undefined) return reserveTcp6(six, port);
  } catch (error) {
    if (!hasCode(error, 'EADDRINUSE')) throw error;
  }
  return listenTcp(address, port);
}

function listenTcp(host: string, port: number): Promise<() => void> {
  const server = net.createServer((connection) => connection.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, exclusive: true, ipv6Only: true }, () => resolve(() => void server.close()));
  });
}

function bindUdp(address: string, port: number): Promise<() => void> {
  const socket = dgram.createSocket(isV6(address) ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' });
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address, port, exclusive: true }, () => resolve(() => void socket.close()));
  });
}

const nameOf = ({ ip, ref }: EndpointRecord): string => `the container with ${ip} in network ${ref.network} of tenant ${ref.tenant}`;

export class PublishedPorts {
  readonly #context: DriverContext;
  readonly #sweepMs: number;
  readonly #held = new Held();
  /** One container after the other: those that start in the same moment must not get the same port. */
  readonly #turns = new KeyedMutex();
  #timer: NodeJS.Timeout | undefined;
  #warnings: readonly string[] = [];

  constructor(context: DriverContext, sweepMs = SWEEP_MS) {
    this.#context = context;
    this.#sweepMs = sweepMs;
  }

  /** Takes the ports of an earlier start again. Traffic to them goes on whether that works or not. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#sweep(), this.#sweepMs);
    await this.#sweep();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#held.end();
  }

  /** One sentence for each port that could not be held. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /**
   * Containers may come and go without a call: while the agent was dead, by the comparison with the engine, after the loss of a disk. A port that
   * somebody else has is asked for again each time.
   */
  #sweep(): Promise<void> {
    return this.#turns.run('', async () => {
      const records = this.#context.state.endpoints.values().filter((record) => record.stage !== 'deleting');
      this.#held.keepOnly(records.flatMap((record) => record.published ?? []));
      const warnings: string[] = [];
      for (const record of records) {
        for (const port of record.published ?? []) {
          const fault = await this.#held.take(port).then(
            (taken) => (taken ? '' : 'another program has taken it, which is not reached there: let it listen elsewhere'),
            (error: unknown) => (error instanceof Error ? error.message : String(error)),
          );
          if (fault === '') continue;
          const which = `port ${port.hostPort}/${port.protocol} of this host`;
          warnings.push(`${which} leads to ${nameOf(record)}, but ${fault}`);
        }
      }
      for (const sentence of warnings) if (!this.#warnings.includes(sentence)) this.#context.log.warn(sentence);
      this.#warnings = warnings;
    });
  }

  /** Publishes what the options ask for, all or nothing. */
  async program(endpointId: string, options: Readonly<Record<string, unknown>> | null | undefined): Promise<void> {
    const wishes = parseWishes(options);
    if (wishes.length > 0) await this.#turns.run('', () => this.#program(endpointId, wishes));
  }

  async #program(endpointId: string, wishes: readonly Wish[]): Promise<void> {
    const record = this.#context.state.endpoints.get(endpointId);
    if (record?.stage !== 'ready') return;
    await this.#revoke(endpointId);
    const got: PublishedRecord[] = [];
    try {
      for (const wish of wishes) got.push(await this.#take(wish, record, got));
      await this.#context.dataplane.publish(endpointId, got);
    } catch (error) {
      for (const port of got) this.#held.release(port);
      throw error;
    }
  }

  async revoke(endpointId: string): Promise<void> {
    if (this.#publishedBy(endpointId).length > 0) await this.#turns.run('', () => this.#revoke(endpointId));
  }

  #publishedBy(endpointId: string): readonly PublishedRecord[] {
    return this.#context.state.endpoints.get(endpointId)?.published ?? [];
  }

  async #revoke(endpointId: string): Promise<void> {
    const published = this.#publishedBy(endpointId);
    if (published.length === 0) return;
    await this.#context.dataplane.publish(endpointId, []);
    for (const port of published) this.#held.release(port);
  }

  async #take(wish: Wish, record: EndpointRecord, more: readonly PublishedRecord[]): Promise<PublishedRecord> {
    const { protocol, hostIp, first, last, containerPort } = wish;
    const others = this.#context.state.endpoints.values().filter((e) => e.endpointId !== record.endpointId && e.stage !== 'deleting');
    let holder = 'another program; publish another one';
    const span = last - first + 1;
    // Not always from the front, where a range was not asked for: a port just left may still be somebody's idea of another service.
    const offset = first === DYNAMIC.first && last === DYNAMIC.last ? Math.floor(Math.random() * span) : 0;
    for (let i = 0; i < span; i++) {
      const hostPort = first + ((offset + i) % span);
      const port = { protocol, hostPort, containerPort, ...(hostIp === undefined ? {} : { hostIp }) };
      if (more.some((m) => clashes(m, port))) continue;
      const owner = others.find((e) => (e.published ?? []).some((p) => clashes(p, port)));
      if (owner) holder = `${nameOf(owner)}; publish another one`;
      else if (isDnsService(port))
        holder = `netplugin's DNS service (${DNS_SERVICE_IP}); publish it on one address of this host, as in ${ON_ONE}`;
      else if (await this.#held.take(port)) return port;
    }
    const which = first === last ? `port ${first}/${protocol}` : `every ${protocol} port from ${first} to ${last}`;
    throw new DriverRefusal(`${which} of this host is taken by ${holder}`);
  }
}
