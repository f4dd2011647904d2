import { type ChildProcess, spawn } from 'node:child_process';
import http, { Agent, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { eventually, repository } from '../lab.js';
import type { Result } from '../result.js';
import { interleave, median, percentile } from '../stats.js';
import { idle } from '../usage.js';

const ENGINES = 1000;
const CONTAINERS = 30;
const FIRST_PORT = 20_000;
const MANAGER_PORT = 19_992;
const LISTS = 60;
const CREATES = 200;
const INSPECTS = 500;
const STREAM_BYTES = 1 << 30;

/** A swarm manager over simulated engines: lists, placement, idle cost, and what it takes from streams and calls it hands on. */
export async function swarmSuite(rounds: number): Promise<Result[]> {
  const children: ChildProcess[] = [];
  const start = (program: string, ...args: string[]): ChildProcess => {
    const child = spawn(process.execPath, [`${repository}/build/${program}.cjs`, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout?.resume();
    children.push(child);
    return child;
  };
  try {
    const engines = start('bench', 'engines', String(ENGINES), String(CONTAINERS), String(FIRST_PORT));
    await new Promise((ready) => engines.stdout?.once('data', ready));
    const last = FIRST_PORT + ENGINES - 1;
    const manager = start('swarm', 'manage', '-H', `127.0.0.1:${MANAGER_PORT}`, `nodes://127.0.0.1:[${FIRST_PORT}:${last}]`);
    const via = new Endpoint(MANAGER_PORT);
    const direct = new Endpoint(FIRST_PORT);
    await eventually(
      `${ENGINES} healthy engines`,
      async () => {
        const healthy = (await via.call('GET', '/info')).match(/"Healthy"/g)?.length ?? 0;
        if (healthy !== ENGINES) throw new Error(`${healthy} of ${ENGINES}`);
      },
      180_000,
    );
    const results = [
      ...(await idleCost(manager.pid ?? 0)),
      ...(await lists(via)),
      await placement(via, direct),
      await inspects(via, direct),
      ...(await streams(via, direct, rounds)),
    ];
    via.close();
    direct.close();
    return results;
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}

async function idleCost(pid: number): Promise<Result[]> {
  // The garbage of the first look at everything goes, and refreshes spread out.
  await new Promise((wake) => setTimeout(wake, 70_000));
  const { memory, cpu } = await idle(pid, 60);
  const what = `${ENGINES.toLocaleString('en-US')} engines × ${CONTAINERS} containers, idle`;
  const suite = 'swarm';
  return [
    {
      suite,
      what: `memory of swarm, ${what}`,
      figures: { resident: memory },
      unit: 'MB',
      value: memory,
      valueName: 'resident',
      target: { op: '<=', limit: 400, unit: 'MB' },
    },
    {
      suite,
      what: `CPU of swarm, ${what}`,
      figures: { idle: cpu },
      unit: '% of a core',
      value: cpu,
      valueName: 'idle',
      target: { op: '<=', limit: 10, unit: '%' },
    },
  ];
}

async function lists(via: Endpoint): Promise<Result[]> {
  const results: Result[] = [];
  for (const [what, path] of [
    ['docker ps', '/containers/json'],
    ['docker info', '/info'],
  ] as const) {
    const samples = await series(LISTS, () => via.call('GET', path, undefined, false));
    const p99 = percentile(samples, 99);
    results.push({
      suite: 'swarm',
      what: `\`${what}\`, ${ENGINES.toLocaleString('en-US')} engines × ${CONTAINERS} containers`,
      figures: { p50: percentile(samples, 50), p90: percentile(samples, 90), p99 },
      unit: 'ms',
      value: p99,
      valueName: 'p99',
      target: { op: '<=', limit: 150, unit: 'ms' },
    });
  }
  return results;
}

async function placement(via: Endpoint, direct: Endpoint): Promise<Result> {
  const run = async (endpoint: Endpoint, name: string): Promise<void> => {
    const body = { Image: 'alpine', Cmd: ['sleep', '3600'], Env: ['constraint:zone==a'], HostConfig: { Memory: 64 << 20 } };
    const made = JSON.parse(await endpoint.call('POST', `/containers/create?name=${name}`, body)) as { Id: string };
    await endpoint.call('POST', `/containers/${made.Id}/start`);
  };
  let i = 0;
  const alone = await series(CREATES, () => run(direct, `direct-${i++}`));
  const placed = await series(CREATES, () => run(via, `placed-${i++}`));
  const added = percentile(placed, 99) - median(alone);
  return {
    suite: 'swarm',
    what: 'create and start through the scheduler at that size',
    figures: { direct: median(alone), p50: percentile(placed, 50), p90: percentile(placed, 90), p99: percentile(placed, 99) },
    unit: 'ms',
    value: added,
    valueName: 'p99 above direct',
    target: { op: '<=', limit: 100, unit: 'ms' },
  };
}

async function inspects(via: Endpoint, direct: Endpoint): Promise<Result> {
  const rows = JSON.parse(await direct.call('GET', '/containers/json')) as { Id: string }[];
  const path = `/containers/${rows[0]?.Id ?? ''}/json`;
  const samples = await interleave(INSPECTS, {
    direct: async () => (await series(1, () => direct.call('GET', path)))[0] ?? 0,
    swarm: async () => (await series(1, () => via.call('GET', path)))[0] ?? 0,
  });
  const figures = { direct: median(samples.direct), swarm: median(samples.swarm) };
  return {
    suite: 'swarm',
    what: 'a container inspected through swarm at that size',
    figures,
    unit: 'ms',
    value: figures.swarm - figures.direct,
    valueName: 'added',
    target: { op: '<=', limit: 2, unit: 'ms' },
  };
}

async function streams(via: Endpoint, direct: Endpoint, rounds: number): Promise<Result[]> {
  const rows = JSON.parse(await direct.call('GET', '/containers/json')) as { Id: string }[];
  const id = rows[0]?.Id ?? '';
  const results: Result[] = [];
  for (const [what, run] of [
    ['attach', (endpoint: Endpoint) => endpoint.attach(id, STREAM_BYTES)],
    ['cp', (endpoint: Endpoint) => endpoint.archive(id, STREAM_BYTES)],
  ] as const) {
    const samples = await interleave(rounds, { direct: () => run(direct), swarm: () => run(via) });
    const figures = { direct: median(samples.direct), swarm: median(samples.swarm) };
    results.push({
      suite: 'swarm',
      what: `bytes through \`docker ${what}\``,
      figures,
      unit: 'MB/s',
      value: figures.swarm / figures.direct,
      valueName: 'swarm ÷ direct',
      target: { op: '>=', limit: 0.7 },
    });
  }
  return results;
}

/** Milliseconds each run took. */
async function series(count: number, run: () => Promise<unknown>): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < count; i++) {
    const begun = performance.now();
    await run();
    samples.push(performance.now() - begun);
  }
  return samples;
}

/** The Docker API on a port of loopback. */
class Endpoint {
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });

  constructor(port: number) {
    this.#port = port;
  }
  close(): void {
    this.#agent.destroy();
  }

  /** The answer's text; with `keep` false only its length is looked at. */
  async call(method: string, path: string, body?: unknown, keep = true): Promise<string> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = text === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) };
    const answer = await this.#request(method, path, headers, text);
    const chunks: Buffer[] = [];
    for await (const chunk of answer) if (keep) chunks.push(chunk as Buffer);
    const said = Buffer.concat(chunks).toString();
    if ((answer.statusCode ?? 500) >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${said.slice(0, 200)}`);
    return said;
  }

  #request(method: string, path: string, headers: http.OutgoingHttpHeaders, body?: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = http.request({ host: '127.0.0.1', port: this.#port, method, path, headers, agent: this.#agent }, resolve);
      request.on('error', reject);
      request.end(body);
    });
  }

  /** Megabytes a second. */
  async archive(id: string, size: number): Promise<number> {
    const begun = performance.now();
    const answer = await this.#request('GET', `/containers/${id}/archive?path=${size}`, {});
    return rateOf(answer, size, begun);
  }

  async attach(id: string, size: number): Promise<number> {
    const begun = performance.now();
    const socket = await new Promise<Socket>((resolve, reject) => {
      const headers = { Connection: 'Upgrade', Upgrade: 'tcp' };
      const path = `/containers/${id}/attach?stream=1&stdin=1&stdout=1`;
      const request = http.request({ host: '127.0.0.1', port: this.#port, method: 'POST', path, headers, agent: false });
      request.on('upgrade', (_answer, upgraded: Socket) => resolve(upgraded));
      request.on('error', reject);
      request.end();
    });
    socket.write(`${size}\n`);
    return rateOf(socket, size, begun);
  }
}

async function rateOf(stream: AsyncIterable<Buffer>, size: number, begun: number): Promise<number> {
  let read = 0;
  for await (const chunk of stream) read += chunk.length;
  if (read < size) throw new Error(`${read} of ${size} bytes arrived`);
  return read / 1e6 / ((performance.now() - begun) / 1000);
}
