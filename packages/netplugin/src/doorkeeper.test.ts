import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Doorkeeper } from './doorkeeper.js';
import { Publication } from './driver/publication.js';
import { holderOf, StateLock } from './lock.js';

let dir: string;
let keeper: Doorkeeper;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'doorkeeper-'));
  keeper = new Doorkeeper({ stateDir: dir, socket: join(dir, 'netplugin.sock'), scope: 'local' });
});
afterEach(() => {
  keeper.stop();
  rmSync(dir, { recursive: true, force: true });
});

function call(path: string, body = '{}'): Promise<{ status: number; text: string; ms: number }> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const req = http.request({ socketPath: join(dir, 'netplugin.sock'), path: `/${path}`, method: 'POST', agent: false }, (res) => {
      let text = '';
      res.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      res.on('end', () => resolve({ status: res.statusCode ?? 0, text, ms: performance.now() - began }));
    });
    req.on('error', reject);
    req.end(body);
  });
}
const settle = (ms = 300) => new Promise((resolve) => setTimeout(resolve, ms));
const DOORKEEPER = /Implements/;
const AGENT = '{"by":"agent"}';
/** Who answers at the socket; an empty text while nobody does. */
const answerer = () =>
  call('Plugin.Activate').then(
    ({ text }) => text,
    () => '',
  );

/** An agent as far as the doorkeeper can see one. */
async function agent() {
  const lock = await StateLock.take(dir);
  const server = http.createServer((_req, res) => res.end('{"by":"agent"}'));
  const publication = new Publication(server, join(dir, 'netplugin.sock'));
  return {
    publish: () => publication.publish(),
    die: async () => {
      publication.stop();
      server.closeAllConnections();
      server.close();
      await lock.release();
    },
  };
}

describe('doorkeeper', () => {
  it('answers for a dead agent: descriptions at once, removals with success, the rest with what to do, all within 5 s', async () => {
    void keeper.run();
    await expect.poll(answerer).toMatch(DOORKEEPER);
    const described = await call('NetworkDriver.GetCapabilities');
    expect(JSON.parse(described.text)).toMatchObject({ Scope: 'local', ConnectivityScope: 'global' });
    // Calls that wait for the agent wait for three.
    expect(described.ms).toBeLessThan(2_500);
    const [asked, removed] = await Promise.all([call('IpamDriver.RequestAddress'), call('NetworkDriver.DeleteEndpoint')]);
    expect([asked.status, JSON.parse(asked.text).Err]).toEqual([500, expect.stringMatching(/not running on this host; start it/)]);
    expect(asked.ms).toBeLessThan(5_000);
    expect([removed.status, removed.text]).toEqual([200, '{}']);
    const ports = (map: unknown) => JSON.stringify({ NetworkID: 'n', EndpointID: 'e', Options: { 'com.docker.network.portmap': map } });
    const program = (map: unknown) => call('NetworkDriver.ProgramExternalConnectivity', ports(map));
    for (const none of [null, []]) expect((await program(none)).status).toBe(200);
    expect((await program([{ Proto: 6, Port: 80, HostPort: 8080 }])).status).toBe(500);
  });

  it('gives held calls to the agent that comes back, and takes its place again when it dies', async () => {
    void keeper.run();
    await expect.poll(answerer).toMatch(DOORKEEPER);
    const held = call('IpamDriver.RequestAddress');
    await settle(200);
    const first = await agent();
    await first.publish();
    expect((await held).text).toBe(AGENT);
    await expect.poll(answerer).toBe(AGENT);
    await first.die();
    await expect.poll(answerer).toMatch(DOORKEEPER);
    const second = await agent();
    await second.publish();
    await expect.poll(answerer).toBe(AGENT);
    await second.die();
  });

  it('has nothing left of agents that die before they have the socket, however many do', async () => {
    void keeper.run();
    await expect.poll(answerer).toMatch(DOORKEEPER);
    const waiting = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = waiting();
    for (let i = 0; i < 8; i++) {
      const one = await agent();
      await settle(200);
      await one.die();
    }
    await settle(200);
    expect(waiting() - before).toBeLessThan(4);
    expect(await answerer()).toMatch(DOORKEEPER);
    const last = await agent();
    await last.publish();
    await expect.poll(answerer).toBe(AGENT);
    await last.die();
  });

  it('leaves no socket behind that nobody answers on, and leaves that of an agent', async () => {
    const there = () => existsSync(join(dir, 'netplugin.sock'));
    void keeper.run();
    await expect.poll(answerer).toMatch(DOORKEEPER);
    const first = await agent();
    await settle();
    await first.publish();
    await expect.poll(answerer).toBe(AGENT);
    keeper.stop();
    expect(there()).toBe(true);
    await first.die();
    keeper = new Doorkeeper({ stateDir: dir, socket: join(dir, 'netplugin.sock'), scope: 'local' });
    void keeper.run();
    await expect.poll(answerer).toMatch(DOORKEEPER);
    keeper.stop();
    expect(there()).toBe(false);
  });

  it('lets one agent hold a state directory, and the next one after its death', async () => {
    const first = await agent();
    await expect(StateLock.take(dir)).rejects.toThrow(/another netplugin \(pid \d+\) runs/);
    await first.die();
    await (await StateLock.take(dir)).release();
  });

  it('lets one of several that start in the same instant hold it', async () => {
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => StateLock.take(dir)));
    const won = tries.filter((one) => one.status === 'fulfilled');
    expect(won).toHaveLength(1);
    for (const one of tries) if (one.status === 'rejected') expect(String(one.reason)).toMatch(/another netplugin .* with state directory/);
    expect(await holderOf(dir)).toBe(process.pid);
    await won[0]?.value.release();
    await (await StateLock.take(dir)).release();
  });
});
