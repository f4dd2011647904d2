import { describe, expect, test } from 'vitest';
import { ConfigError, readSettings } from './options.js';

const GOOD = ['--mode', 'docker', '--netmode', 'vxlan', '--fwdmode', 'bridge'];
const fault = (argv: string[], env: NodeJS.ProcessEnv = {}): { message: string; exitCode: number } => {
  try {
    readSettings(argv, env);
  } catch (error) {
    if (error instanceof ConfigError) return { message: error.message, exitCode: error.exitCode };
    throw error;
  }
  throw new Error('was accepted');
};

describe('settings', () => {
  test('have Contiv’s defaults', () => {
    expect(readSettings(GOOD, {})).toMatchObject({
      mode: 'docker',
      storeUrl: 'etcd://127.0.0.1:2379',
      listen: { host: '0.0.0.0', port: 9999 },
      internal: undefined,
      boot: { fwdMode: 'bridge', vlans: '1-4094', vxlans: '1-10000' },
      hostTimeoutMs: 86_400_000,
    });
  });

  test('aliases, single dashes and = are understood, as in the tutorial', () => {
    const argv = [
      '--cluster-mode=DOCKER',
      '-cluster-store',
      'etcd://10.0.0.1:2379',
      '-network-mode',
      'vlan',
      '--forward-mode=routing',
      '-listen-url=127.0.0.1:8000',
    ];
    expect(readSettings(argv, {})).toMatchObject({
      mode: 'docker',
      storeUrl: 'etcd://10.0.0.1:2379',
      listen: { host: '127.0.0.1', port: 8000 },
      boot: { fwdMode: 'routing' },
    });
  });

  test('a flag beats the environment, the environment the default', () => {
    const env = {
      CONTIV_NETMASTER_MODE: 'swarm-mode',
      CONTIV_NETMASTER_NET_MODE: 'vxlan',
      CONTIV_NETMASTER_FORWARD_MODE: 'bridge',
      CONTIV_NETMASTER_USE_JSON_LOG: 'true',
    };
    expect(readSettings([], env)).toMatchObject({ mode: 'swarm-mode', jsonLog: true });
    expect(readSettings(['--mode', 'docker'], env)).toMatchObject({ mode: 'docker' });
  });

  test.each([
    [[], 'netmaster mode is not set'],
    [['--mode', 'x'], 'unknown netmaster mode: x'],
    [['--mode', 'docker'], 'netmaster network mode is not set'],
    [['--mode', 'docker', '--netmode', 'x'], 'unknown netmaster network mode: x'],
    [['--mode', 'docker', '--netmode', 'vxlan'], 'netmaster forwarding mode is not set'],
    [['--mode', 'docker', '--netmode', 'vxlan', '--fwdmode', 'x'], 'unknown netmaster forwarding mode: x'],
    [[...GOOD, '--infra', 'x'], 'Unknown netmaster infra type: x'],
    [[...GOOD, '--external-address', '1.2.3.4'], "bind address is not in 'ip:port' format, got 1.2.3.4"],
    [[...GOOD, '--external-address', '1.2.3.4:0'], 'bind port is a integer between 1-65535, got 0'],
    [
      [...GOOD, '--etcd', 'http://a:1', '--consul', 'http://b:1'],
      'ambiguous netmaster db endpoints, both etcd and consul specified: etcd: http://a:1, consul: http://b:1',
    ],
    [[...GOOD, '--log-level', 'x'], 'unknown netmaster log level: x; use DEBUG, INFO, WARN or ERROR'],
    [[...GOOD, '--log-level', 'constructor'], 'unknown netmaster log level: constructor; use DEBUG, INFO, WARN or ERROR'],
    [[...GOOD, '--host-timeout', '5'], 'host timeout is a time like 90s, 30m or 24h, got 5'],
    [[...GOOD, '--nonsense'], "unknown option '--nonsense'"],
  ])('%j is refused with status 22', (argv, message) => {
    expect(fault(argv)).toEqual({ message, exitCode: 22 });
  });

  test('consul is refused with what to use instead', () => {
    expect(fault([...GOOD, '--consul', 'http://b:8500']).message).toMatch(/^consul is not supported; use --store etcd:/);
    expect(fault([...GOOD, '--cluster-store', 'consul://b:8500']).message).toMatch(/^consul is not supported/);
  });
});
