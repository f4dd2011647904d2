/** The DNS service of this host: answers for containers of the asker's networks, hands everything else to the host's own resolvers. */
import { readFileSync } from 'node:fs';
import { type Datapath, DNS_SERVICE_IP } from '@contiv/datapath';
import { createDnsServer } from '@contiv/dns';
import { parseIpv4, parseIpv6 } from '@contiv/model';
import type { Logger } from '@contiv/observe';
import { viewpoint } from './dns.js';
import { addressOfPtr, type NameIndex } from './names.js';
import type { LocalState } from './state/records.js';
import { Loop } from './sync/loop.js';

const PORT = 53;
const RESOLV_CONF = '/etc/resolv.conf';

/** Resolvers of a resolv.conf, without ourselves: a question must never come back. Pure. */
export function forwardersOf(text: string): string[] {
  const servers = text
    .split('\n')
    .map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? '')
    .filter((server) => isAddress(server) && server !== DNS_SERVICE_IP);
  return [...new Set(servers)].slice(0, 3);
}

/** A router that says by IPv6 that it resolves names is known by a link-local address and the interface it is on: `fe80::1%eth0`. */
function isAddress(server: string): boolean {
  const [address = '', zone, ...more] = server.split('%');
  if (zone === undefined) return (parseIpv4(address) ?? parseIpv6(address)) !== undefined;
  return more.length === 0 && zone !== '' && parseIpv6(address)?.startsWith('fe80:') === true;
}

function hostResolvers(): string[] {
  try {
    return forwardersOf(readFileSync(RESOLV_CONF, 'utf8'));
  } catch {
    return [];
  }
}

type Server = Awaited<ReturnType<typeof createDnsServer>>;

/** Tries to listen until it can: without DNS the host's containers still have their networks. */
export class NameServer {
  readonly #datapath: Datapath;
  readonly #state: LocalState;
  readonly #names: NameIndex;
  readonly #log: Logger;
  readonly #loop: Loop;
  #server: Server | undefined;
  #fault = '';
  readonly #stats = { found: 0, none: 0 };

  constructor(datapath: Datapath, state: LocalState, names: NameIndex, log: Logger) {
    this.#datapath = datapath;
    this.#state = state;
    this.#names = names;
    this.#log = log;
    this.#loop = new Loop(() => this.#listen(), { every: 60_000, retry: { baseMs: 500, maxMs: 15_000 } });
  }

  get listening(): boolean {
    return this.#server !== undefined;
  }

  get fault(): string {
    return this.#fault;
  }

  /** Resolves after the first attempt, so that who finds the agent ready finds its DNS too. */
  async start(): Promise<void> {
    await this.#listen();
    this.#loop.soon(0);
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
    await this.#server?.close();
  }

  inspection(): unknown {
    return { listening: this.listening, forwarders: hostResolvers(), stats: this.#stats };
  }

  async #listen(): Promise<boolean> {
    if (this.#server) return true;
    try {
      this.#server = await createDnsServer({
        address: DNS_SERVICE_IP,
        port: PORT,
        forwarders: hostResolvers,
        resolve: (question, client) => this.#answer(question.name, question.type, client),
      });
      this.#fault = '';
      return true;
    } catch (error) {
      const fault = `cannot listen on ${DNS_SERVICE_IP}:${PORT}: ${error instanceof Error ? error.message : String(error)}`;
      if (fault !== this.#fault) this.#log.warn({ reason: fault }, 'DNS does not serve; trying again');
      this.#fault = fault;
      return false;
    }
  }

  /** Addresses or names; empty when the name is ours but has none of that type; `undefined` when it is not ours. */
  #answer(name: string, type: string, client: string): readonly string[] | undefined {
    const from = viewpoint(this.#datapath, this.#state, client);
    const answer = from.size === 0 ? undefined : this.#look(name, type, from);
    if (answer) this.#stats.found++;
    else this.#stats.none++;
    return answer;
  }

  #look(name: string, type: string, from: ReadonlySet<string>): readonly string[] | undefined {
    if (type === 'PTR') {
      const address = addressOfPtr(name);
      const found = address === undefined ? undefined : this.#names.reverse(address, from);
      return found === undefined ? undefined : [found];
    }
    const found = this.#names.resolve(name, from);
    if (!found) return undefined;
    return type === 'A' ? found.v4 : type === 'AAAA' ? found.v6 : [];
  }
}
