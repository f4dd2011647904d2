import { Command } from 'commander';
import { afterEach, describe, expect, it } from 'vitest';
import { addAgentOptions, ConfigError, readConfig } from './config.js';

const BASE = ['--mode', 'docker', '--netmode', 'vxlan', '--fwdmode', 'bridge', '--vtep-ip', '192.0.2.1', '--ctrl-ip', '192.0.2.1'];
const read = (...args: string[]) => readConfig(addAgentOptions(new Command().exitOverride()).parse(args, { from: 'user' }).opts());
const refusal = async (...args: string[]) => {
  const error: unknown = await read(...args).catch((e: unknown) => e);
  return error instanceof ConfigError ? error.message : `no refusal: ${JSON.stringify(error)}`;
};

afterEach(() => {
  for (const key of Object.keys(process.env)) if (key.startsWith('CONTIV_NETPLUGIN_')) delete process.env[key];
});

describe('configuration', () => {
  it('has the defaults of the book', async () => {
    expect(await read(...BASE)).toMatchObject({
      vxlanPort: 8472,
      masters: ['http://127.0.0.1:9999'],
      dockerScope: 'local',
      dockerHost: 'unix:///var/run/docker.sock',
      pluginName: 'netplugin',
      listenIp: '192.0.2.1',
      logLevel: 'info',
    });
  });

  it('takes aliases and repeated masters', async () => {
    const modes = '--plugin-mode Docker --network-mode vxlan --forward-mode bridge --host-label n1 --vtep-ip 192.0.2.1 --ctrl-ip ::1';
    const rest = '--netmaster http://a:1 --netmaster http://b:2,http://c:3 --json-log --vlan-if eth2,eth3';
    const config = await read(...`${modes} ${rest}`.split(' '));
    expect(config).toMatchObject({
      mode: 'docker',
      host: 'n1',
      masters: ['http://a:1', 'http://b:2', 'http://c:3'],
      jsonLog: true,
      vlanUplinks: ['eth2', 'eth3'],
    });
  });

  it('lets a flag beat its variable and a variable the default', async () => {
    process.env.CONTIV_NETPLUGIN_VXLAN_PORT = '4790';
    process.env.CONTIV_NETPLUGIN_NETMASTER = 'http://a:1,http://b:2';
    process.env.CONTIV_NETPLUGIN_MODE = 'swarm-mode';
    expect(await read(...BASE)).toMatchObject({ vxlanPort: 4790, mode: 'docker', masters: ['http://a:1', 'http://b:2'] });
    expect(await read(...BASE, '--vxlan-port', '5000')).toMatchObject({ vxlanPort: 5000 });
  });

  it('refuses with Contiv’s texts', async () => {
    expect(await refusal()).toBe('netplugin mode is not set');
    expect(await refusal('--mode', 'x')).toBe('unknown netplugin mode: x');
    expect(await refusal('--mode', 'docker')).toBe('netplugin network mode is not set');
    expect(await refusal('--mode', 'docker', '--netmode', 'gre')).toBe('unknown netplugin network mode: gre');
    expect(await refusal('--mode', 'docker', '--netmode', 'vlan', '--fwdmode', 'bridge')).toBe(
      'vlan-uplinks must be set when using VLAN mode',
    );
    expect(await refusal(...BASE, '--vxlan-port', '70000')).toBe('vxlan port is an integer between 1-65535, got 70000');
    expect(await refusal(...BASE, '--flow-log-size', '1G')).toBe('--flow-log-size is a number of megabytes between 0-999999, got 1G');
    expect(await refusal(...BASE, '--netmaster', 'a:1')).toMatch(/is not of the form http:/);
    expect(await refusal(...BASE, '--vtep-ip', '1.2.3')).toBe('--vtep-ip is not an IP address: 1.2.3');
    expect(await refusal(...BASE, '--instance', '../x')).toMatch(/--instance may consist of/);
  });
});
