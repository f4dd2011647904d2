/** What selftest refuses before it makes anything; that it works is tested on real hosts. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addressesOf } from '../selftest/places.js';
import { netctl as inProcess, ScriptedServer } from '../test-support.js';

let server: ScriptedServer;
let engine: ScriptedServer;
const host = {
  name: 'node1',
  key: 'node1',
  vtepIp: '10.0.0.11',
  control: '10.0.0.11:9090',
  vxlanPort: 8472,
  mtu: 1500,
  version: '2.0.0',
  alive: true,
};
beforeEach(async () => {
  [server, engine] = [await new ScriptedServer().start(), await new ScriptedServer().start()];
  server.get('/api/v1/hosts/', [host]);
  engine
    .get('/version', { Version: '28.5.2', ApiVersion: '1.51' })
    .get('/v1.51/info', { ID: 'one', Name: 'node1', ServerVersion: '28.5.2' });
});
afterEach(() => Promise.all([server.stop(), engine.stop()]));
const selftest = (...words: string[]) => inProcess(['--netmaster', server.url, 'selftest', ...words]);

test('engines: the flag, else DOCKER_HOST, else this machine; each once', () => {
  expect(addressesOf('tcp://a:1, tcp://b:2,tcp://a:1', { DOCKER_HOST: 'tcp://c:3' })).toEqual(['tcp://a:1', 'tcp://b:2']);
  expect(addressesOf('', { DOCKER_HOST: 'tcp://c:3' })).toEqual(['tcp://c:3']);
  expect(addressesOf('', {})).toEqual(['unix:///var/run/docker.sock']);
  expect(() => addressesOf('ssh://a', {})).toThrow('docker host "ssh://a" is neither unix:///PATH nor tcp://HOST:PORT');
});

test.each([
  [
    'no engine answers',
    ['--docker', 'tcp://127.0.0.1:1'],
    /Docker Engine at tcp:\/\/127.0.0.1:1 does not answer: .*\n.*--docker tcp:\/\/HOST1:2385/,
  ],
  ['the image is not there', ['--image', 'nothing'], /there is no image nothing on node1\n.*docker pull nothing/],
  ['no uplinks', ['--vlan', '112'], /no VLANs on node1: netplugin has no uplink there\n.*--vlan-uplinks/],
  ['no VLAN', ['--vlan', '4095'], /Invalid VLAN 4095 - Enter 1 to 4094/],
])('%s: a sentence, and nothing was made', async (_what, words, said) => {
  const docker = ['--docker', engine.url.replace('http', 'tcp')];
  const { status, err } = await selftest(...docker, ...words);
  expect(err).toMatch(said);
  expect(status).toBeGreaterThan(0);
  expect([...server.changes, ...engine.changes]).toEqual([]);
});
