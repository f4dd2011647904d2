/** A netmaster small enough to be scripted: allocation without rules, calls recorded, a stream that is fed by hand. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { NetworkState } from '@contiv/model';

export interface Call {
  readonly path: string;
  readonly body: Record<string, unknown>;
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

export class FakeMaster {
  readonly calls: Call[] = [];
  readonly networks = new Map<string, NetworkState>();
  readonly #streams = new Set<http.ServerResponse>();
  readonly #server: http.Server;
  /** Sentence to refuse the next calls of a path with. */
  readonly refuse = new Map<string, string>();
  /** The same for some calls only. */
  refuseIf: (path: string, body: Record<string, unknown>) => string | undefined = () => undefined;
  /** What calls of a path wait for before anything comes of them. */
  readonly hold = new Map<string, Promise<unknown>>();
  #rev = 10;
  #next = 1;
  #tag = 1;

  constructor() {
    this.#server = http.createServer((req, res) => {
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', () => this.#answer(req.method ?? '', decodeURIComponent(req.url ?? ''), Buffer.concat(chunks).toString(), res));
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  addNetwork(tenant: string, network: string, base: string, extra: Partial<NetworkState> = {}): void {
    const key = `${tenant}:${network}`;
    const state: NetworkState = {
      key,
      tenant,
      network,
      nwType: 'data',
      encap: 'vxlan',
      tag: this.#tag++,
      subnet: { address: base, length: 24 },
      ...extra,
    };
    this.networks.set(key, state);
    this.send({ type: 'put', rev: ++this.#rev, kind: 'network', key, value: state });
  }

  send(line: object): void {
    for (const stream of this.#streams) stream.write(`${JSON.stringify(line)}\n`);
  }

  paths(): string[] {
    return this.calls.map((call) => call.path);
  }

  #answer(method: string, url: string, text: string, res: http.ServerResponse): void {
    const path = url.split('?', 1)[0] ?? '';
    if (path === '/agent/v1/stream') {
      res.writeHead(200);
      const puts = [...this.networks.values()].map((value) => ({ type: 'put', rev: this.#rev, kind: 'network', key: value.key, value }));
      for (const line of [{ type: 'snapshot', rev: this.#rev }, ...puts, { type: 'synced', rev: this.#rev }])
        res.write(`${JSON.stringify(line)}\n`);
      this.#streams.add(res);
      res.on('close', () => this.#streams.delete(res));
      return;
    }
    if (path === '/version') {
      res.end('{"GitCommit":"x","Version":"2.0.0","BuildTime":"x"}');
      return;
    }
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    this.calls.push({ path: `${method} ${path}`, body });
    const held = this.hold.get(path);
    if (held) void held.then(() => this.#finish(method, path, body, res));
    else this.#finish(method, path, body, res);
  }

  #finish(method: string, path: string, body: Record<string, unknown>, res: http.ServerResponse): void {
    const refusal = this.refuse.get(path) ?? this.refuseIf(path, body);
    if (refusal !== undefined) {
      res.writeHead(409, { 'content-type': 'application/problem+json' });
      res.end(JSON.stringify({ type: 'about:blank', title: 'x', status: 409, code: 'conflict', detail: refusal }));
      return;
    }
    res.end(JSON.stringify(this.#result(method, path, body)));
  }

  #result(method: string, path: string, body: Record<string, unknown>): unknown {
    if (path === '/plugin/allocAddress') {
      return { NetworkID: textOf(body.NetworkID), IPv4Address: `${textOf(body.PreferredIPv4Address) || `10.1.2.${this.#next++}`}/24` };
    }
    if (path === '/plugin/createEndpoint') {
      const config = body.ConfigEP as Record<string, string>;
      const [tenant, network, endpointId] = [textOf(body.TenantName), textOf(body.NetworkName), textOf(body.EndpointID)];
      const key = `${network}.${tenant}-${endpointId}`;
      const mac = config.MacAddress ?? '02:02:0a:01:02:01';
      const group = textOf(body.ServiceName);
      const value = { key, tenant, network, ...(group === '' ? {} : { group }), endpointId, host: config.Host, ip: config.IPAddress, mac };
      this.send({ type: 'put', rev: ++this.#rev, kind: 'endpoint', key, value });
      return { EndpointConfig: { ipAddress: config.IPAddress, macAddress: mac, ipv6Address: '' } };
    }
    if (path === '/plugin/reconcileHost') return { Endpoints: [], Addresses: [] };
    if (path.startsWith('/api/v1/networks/')) {
      const key = path.slice('/api/v1/networks/'.length).replace(/\/$/, '');
      if (method === 'DELETE') {
        this.networks.delete(key);
        this.send({ type: 'delete', rev: ++this.#rev, kind: 'network', key });
      } else {
        const [tenant = '', network = ''] = key.split(':');
        const extra = body.dockerName ? { dockerName: textOf(body.dockerName) } : {};
        this.addNetwork(tenant, network, textOf(body.subnet).split('/')[0] ?? '', { origin: textOf(body.origin), ...extra });
      }
    }
    return {};
  }
}
