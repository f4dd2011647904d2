import { describe, expect, test } from 'vitest';
import { expandRange, parseDiscovery, parseFile } from '../discovery/entries.js';
import { goDuration } from '../duration.js';
import { parseFlags } from './flags.js';
import { Fatal, manageOptions } from './manage-options.js';
import { MANAGE } from './specs.js';

const manage = (...argv: string[]) => manageOptions(parseFlags(MANAGE, argv, {}), {});

describe('flags', () => {
  test('one dash or two, = or a word, before or after the argument; a list replaces its default', () => {
    const parsed = parseFlags(
      MANAGE,
      ['nodes://a:1', '-replication', '--strategy=binpack', '-H', 'tcp://1.2.3.4:5', '-H=unix:///x', '--cors=false'],
      {},
    );
    expect(parsed.args).toEqual(['nodes://a:1']);
    expect(parsed.bool('replication')).toBe(true);
    expect(parsed.text('strategy')).toBe('binpack');
    expect(parsed.list('host')).toEqual(['tcp://1.2.3.4:5', 'unix:///x']);
    expect(parsed.bool('api-enable-cors')).toBe(false);
  });
  test('environment', () => expect(parseFlags(MANAGE, [], { SWARM_HOST: 'a:1,b:2' }).list('host')).toEqual(['a:1', 'b:2']));
  test.each([
    ['1m30s', 90_000],
    ['500ms', 500],
    ['-1s', -1000],
    ['0', 0],
    ['x', undefined],
    ['5', undefined],
  ])('duration %s', (text, ms) => expect(goDuration(text)).toBe(ms));
  test.each([
    [['--strategy', 'foo', 'a:1'], 'strategy not supported'],
    [['--filter', 'foo', 'a:1'], 'filter not supported'],
    [['-H', 'http://a:1', 'a:1'], 'unsupported protocol: "http"'],
    [['--replication', 'a:1'], '--advertise address must be provided when using --leader-election'],
    [['--replication', '--addr', 'x', 'a:1'], '--advertise should be of the form ip:port or hostname:port'],
    [['--replication', '--addr', 'x:1', '--replication-ttl', '0s', 'a:1'], '--replication-ttl should be a positive number'],
    [['--replication', '--addr', 'x:1', 'a:1'], 'Leader election is only supported with consul, etcd and zookeeper discovery.'],
    [['--engine-refresh-min-interval', 'x', 'a:1'], 'min refresh interval should be a positive number'],
    [['--engine-refresh-max-interval', '1s', 'a:1'], 'max refresh interval cannot be less than min refresh interval'],
    [['--engine-failure-retry', '0', 'a:1'], 'invalid failure retry count'],
    [['--engine-refresh-retry', '5', 'a:1'], '--engine-refresh-retry is deprecated. Use --engine-failure-retry'],
    [['--heartbeat', '10ms', 'a:1'], '--heartbeat should be at least one second'],
    [['--discovery-opt', 'x', 'a:1'], '--discovery-opt must contain key=value strings'],
    [['--cluster-opt', 'swarm.overcommit=-2', 'a:1'], 'swarm.overcommit should be larger than -1, -2.000000 is invalid'],
    [['--cluster-opt', 'swarm.createretry=-1', 'a:1'], 'swarm.createretry can not be negative, -1 is invalid'],
    [['--cluster-driver', 'mesos', 'a:1'], 'unsupported cluster "mesos"'],
    [['--tls', 'a:1'], '--tlscert and --tlskey must be provided when using --tls'],
    [['--tlscacert', 'x', 'a:1'], '--tlscert, --tlskey and --tlscacert require the use of either --tls or --tlsverify'],
    [[], "discovery required to manage a cluster. See 'swarm manage --help'."],
  ])('%j is refused', (argv, message) => expect(() => manage(...argv)).toThrow(new Fatal(message)));
});

describe('discovery', () => {
  test('ranges', () => {
    expect(expandRange('10.0.0.[10:12]:2375')).toEqual(['10.0.0.10:2375', '10.0.0.11:2375', '10.0.0.12:2375']);
    expect(expandRange('10.0.0.[12:10]:2375')).toEqual(['10.0.0.[12:10]:2375']);
  });
  test('URLs', () => {
    expect(parseDiscovery('a:1,b:2')).toEqual({ scheme: 'nodes', addresses: ['a:1', 'b:2'] });
    expect(parseDiscovery('etcd://h:1,i:2/pre')).toEqual({ scheme: 'etcd', endpoints: 'h:1,i:2', prefix: 'pre' });
    expect(() => parseDiscovery('nodes://a')).toThrow('address a: missing port in address');
    expect(() => parseDiscovery('zk://a:1')).toThrow('zk:// is not supported; use etcd://');
    expect(() => parseDiscovery('foo://a:1')).toThrow('discovery service not supported');
  });
  test('files', () => expect(parseFile('a:1\n # no\n b:2 # here\n\n[::1]:3\nbad\n')).toEqual(['a:1', 'b:2', '[::1]:3']));
});
