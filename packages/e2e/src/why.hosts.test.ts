/** The commands that say whether it works, who talks to whom, why not, and what a change would do: on two real hosts, as an operator types them. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ADDRESS, MASTER, NETMASTER, Rig, ROOT, WORKER } from './rig/rig.js';
import { eventually, type Result, succeed } from './rig/run.js';
import { atRest, settled } from './rig/settled.js';
import { width } from './rig/tables.js';

const rig = new Rig('why');
const HOSTS = [MASTER, WORKER] as const;
const ENGINES = HOSTS.map((host) => rig.engine(host)).join(',');
const netctl = (...args: readonly string[]) => rig.netctl(...args);
const tryNetctl = (...args: readonly string[]) => rig.tryNetctl(...args);
/** Sentences as one line, however wide the terminal. */
const flat = (text: string): string => text.replaceAll(/\s+/g, ' ');
/** A file given on standard input. */
const withFile = (text: string, ...args: readonly string[]): Promise<Result> =>
  rig.inside([`${ROOT}bin/netctl`, '--netmaster', NETMASTER, ...args, '-f', '-'], { input: text });
const given = (text: string, ...args: readonly string[]) => succeed(`netctl ${args.join(' ')}`, withFile(text, ...args));

/** Client on the first host, server on the second; whatever no rule of the tenant allows is denied. */
const CLIENT = { name: 'client1', host: MASTER, group: 'client', ip: '10.1.2.11' };
const SERVER = { name: 'web1', host: WORKER, group: 'web', ip: '10.1.2.12' };
const intent = (...rules: readonly string[]) => `
apiVersion: contiv/v1
tenants:
  - tenantName: default
  - tenantName: shop
    posture: deny
    networks:
      - {networkName: shop-net, encap: vxlan, subnet: 10.1.2.0/24, gateway: 10.1.2.254}
    policies:
      - policyName: calls
        rules:
          - {ruleId: any, direction: out, action: allow}
      - policyName: web
        rules:
          - {ruleId: http, direction: in, protocol: tcp, port: 8000, action: allow}
          - {ruleId: no-ssh, direction: in, protocol: tcp, port: 22, action: deny, priority: 10}
${rules.map((rule) => `          - {${rule}}`).join('\n')}
    endpointGroups:
      - {groupName: client, networkName: shop-net, policies: [calls]}
      - {groupName: web, networkName: shop-net, policies: [web]}
`;
const STREAM = 'ruleId: stream, direction: in, protocol: tcp, port: 9000, action: allow';
/** Two rules of the kind that mistakes are made of. */
const OTHER = 'ruleId: open, direction: in, action: allow';

beforeAll(() => rig.up('--engine', 'modern'));
afterAll(() => rig.down());

describe('selftest', () => {
  /** On a busy machine it takes its time. */
  const selftest = (docker: string, ...args: readonly string[]) =>
    rig.inside([`${ROOT}bin/netctl`, '--netmaster', NETMASTER, 'selftest', '--docker', docker, ...args], { timeoutMs: 300_000 });
  /** The switch between the hosts, made to take less than their links say. */
  const NARROW = `table bridge narrow {
  chain through {
    type filter hook forward priority 0
    udp dport 8472 udp length > 1400 drop
  }
}
`;
  const fabric = async (rules: string) =>
    succeed('nft', rig.inside(['nsenter', `--net=/run/netns/${(await rig.status()).fabric}`, 'nft', '-f', '-'], { input: rules }));
  let before: readonly string[] = [];

  beforeAll(async () => {
    before = await atRest(rig);
  });

  test('passes on every host, in a table of 80 columns, and leaves nothing', async () => {
    const { code, stdout, stderr } = await selftest(ENGINES);
    expect([stderr, code]).toEqual(['', 0]);
    expect(width(stdout)).toBeLessThanOrEqual(80);
    for (const line of [
      /^vxlan +ping +answered +2\/2 +2\/2$/m,
      /^vxlan +ping of 1450 bytes, in one piece +answered +2\/2 +2\/2$/m,
      /^vxlan +name +answered +2\/2 +2\/2$/m,
      /^vxlan +ping, denied by policy +silent +2\/2 +4\/4$/m,
      /^vxlan +ping, IPv6 +answered +2\/2 +2\/2$/m,
      /^vxlan +tcp\/8000, allowed by policy +answered +2\/2 +4\/4$/m,
      /^vxlan +tcp\/8001, denied by policy +silent +2\/2 +4\/4$/m,
      /^twin +tcp\/8000 to the other tenant's +silent +2\/2 +2\/2$/m,
      /^66 probes between 8 containers on 2 hosts: all passed$/m,
    ])
      expect(stdout).toMatch(line);
    await settled(rig, before);
  });

  test('by swarm, over an underlay that takes less than it says: large packets are the failures, and traced', async () => {
    await fabric(NARROW);
    const { code, stdout } = await selftest(`tcp://${ADDRESS[MASTER]}:2375`);
    await fabric('delete table bridge narrow\n');
    expect(code, stdout).toBe(1);
    expect(stdout).toMatch(/^vxlan +ping +answered +2\/2 +2\/2$/m);
    expect(stdout).toMatch(/^vxlan +ping of 1450 bytes, in one piece +answered +2\/2 +✗ 0\/2$/m);
    expect(stdout).toMatch(/^✗ vxlan: ping of 1450 bytes, in one piece: selftest-[0-9a-f]{8}-1-open on$/m);
    expect(stdout).toMatch(/^ {4} +✓ source /m);
    expect(stdout).toMatch(/^66 probes .*: 4 FAILED$/m);
  });

  test('a host whose engine is not given is said not to be tested', async () => {
    const { code, stdout } = await selftest(rig.engine(WORKER), '--no-ipv6', '-o', 'json');
    const answer = JSON.parse(stdout) as { hosts: string[]; untested: string[]; passed: boolean; probes: { passed: boolean }[] };
    expect(answer).toMatchObject({ hosts: [WORKER], untested: [`host ${MASTER}: its engine is none of --docker`], passed: false });
    expect(answer.probes.every(({ passed }) => passed)).toBe(true);
    expect(code).toBe(1);
  });

  const begun = async (...signals: readonly NodeJS.Signals[]) => {
    const child = rig.spawn([`${ROOT}bin/netctl`, '--netmaster', NETMASTER, 'selftest', '--docker', ENGINES]);
    const ended = once(child, 'exit');
    await eventually('containers', async () => expect(await rig.docker(MASTER, 'ps', '-q')).not.toBe(''));
    for (const signal of signals) {
      child.kill(signal);
      await sleep(50);
    }
    return ended;
  };

  test('ended by a signal in the middle, it leaves nothing', async () => {
    // Twice, as timeout(1) and npm tell it.
    expect(await begun('SIGTERM', 'SIGTERM')).toEqual([143, null]);
    await settled(rig, before);
  });

  test('what a killed one leaves, --clean removes, and nothing else', async () => {
    await netctl('tenant', 'create', 'selftest-office');
    expect(await begun('SIGKILL')).toEqual([null, 'SIGKILL']);
    // An engine goes on with what it was asked for last.
    await atRest(rig);
    expect(await netctl('selftest', '--docker', ENGINES, '--clean')).toMatch(/^removed tenant selftest-[0-9a-f]{8}-twin$/m);
    expect(await netctl('tenant', 'ls', '-q')).toBe('default\nselftest-office');
    await netctl('tenant', 'rm', 'selftest-office');
    expect(await netctl('selftest', '--docker', ENGINES, '--clean')).toBe('Nothing was left behind');
    await settled(rig, before);
  });
});

describe('everything in one file', () => {
  test('a dry run says what would be and does nothing; apply does it, and again has nothing to do', async () => {
    const dry = await given(intent(STREAM), 'apply', '--dry-run');
    expect(dry).toMatch(/^\+ rule shop:web:stream +.*port=9000/m);
    expect(dry).toMatch(/^\d+ to create$/m);
    expect(await netctl('tenant', 'ls', '-q')).toBe('default');
    expect((await withFile(intent(STREAM), 'diff')).code).toBe(1);
    expect(await given(intent(STREAM), 'apply')).toMatch(/^\d+ created$/m);
    expect(await given(intent(STREAM), 'apply')).toBe('Nothing to do');
    expect((await withFile(intent(STREAM), 'diff')).code).toBe(0);
  });

  test('what was exported before a mistake takes it back; a file with a fault changes nothing', async () => {
    const good = await netctl('export');
    const faulty = await withFile(intent(STREAM, OTHER, 'ruleId: bad, direction: sideways, action: allow'), 'apply');
    expect(faulty.code).toBe(3);
    expect(faulty.stderr).toMatch(/stdin:\d+.*direction/);
    expect((await withFile(good, 'diff', '--prune')).stdout).toBe('');
    expect(await given(intent(OTHER), 'apply', '--prune', '--yes')).toMatch(/^1 created, 1 deleted$/m);
    expect(await given(good, 'apply', '--prune', '--yes')).toMatch(/^1 created, 1 deleted$/m);
    expect((await withFile(good, 'diff', '--prune')).code).toBe(0);
    const history = (await netctl('history', 'web')).split('\n');
    const changes = (pattern: RegExp) =>
      history.filter((line) => pattern.test(line) && line.includes('(stdin)')).map((line) => line.slice(0, 20));
    expect(history.filter((line) => /[+-] rule shop:web:open\b/.test(line)).map((line) => /[+-](?= rule)/.exec(line)?.[0])).toEqual([
      '+',
      '-',
    ]);
    expect(changes(/[+-] rule shop:web:stream\b/)).toHaveLength(3);
  });
});

describe('a connection and its reasons', () => {
  /** A host that is too busy to answer in time is asked again. */
  const trace = (...args: readonly string[]) =>
    eventually('hosts answer', async () => {
      const result = await tryNetctl('trace', '-t', 'shop', ...args);
      expect(result.text).not.toMatch(/^ +\? /m);
      return result;
    });

  /** Bytes the server has got. */
  const got = async (): Promise<number> => Number(await rig.docker(SERVER.host, 'exec', SERVER.name, 'sh', '-c', 'wc -c </tmp/got'));
  const flows = async (): Promise<void> => {
    const first = await got();
    await eventually('it flows', async () => expect(await got()).toBeGreaterThan(first));
  };

  beforeAll(async () => {
    for (const { host, group } of [CLIENT, SERVER])
      await eventually('networks', () => rig.docker(host, 'network', 'inspect', `${group}/shop`));
    const start = ({ name, host, group, ip }: typeof CLIENT, command: string) =>
      rig.docker(host, 'run', '-d', '--name', name, '--net', `${group}/shop`, '--ip', ip, 'alpine', 'sh', '-c', command);
    const ticks = `while sleep 0.02; do echo tick; done | nc ${SERVER.ip} 9000`;
    await start(SERVER, 'echo ok >/tmp/ok; httpd -p 8000 -h /tmp; sleep 1d | nc -l -p 9000 >/tmp/got; exec sleep 1d');
    // 9000, as the kernel writes it.
    const listening = ['sh', '-c', 'cat /proc/net/tcp /proc/net/tcp6 | grep -q ":2328 .* 0A "'];
    await eventually('it listens', () => rig.docker(SERVER.host, 'exec', SERVER.name, ...listening));
    // Its host hears of the server a moment after its start.
    const answers = `until timeout 5 wget -qO- http://${SERVER.ip}:8000/ok; do sleep 0.2; done`;
    await start(CLIENT, `${answers}; ${ticks}; exec sleep 1d`);
    await flows();
  });

  test('trace: an allowed connection, by either name or address', async () => {
    for (const to of [SERVER.name, SERVER.ip]) {
      const { code, stdout } = await trace(CLIENT.name, to, 'tcp/8000');
      expect(code, stdout).toBe(0);
      expect(flat(stdout)).toMatch(/✓ policy \S+master leaving client: rule any of policy calls .* entering web: rule http of policy web/);
      expect(stdout).toMatch(/✓ tunnel/);
      expect(stdout).toMatch(/^reachable$/m);
      expect(stdout).not.toMatch(/[✗!?] /);
      expect(width(stdout)).toBeLessThanOrEqual(80);
    }
  });

  test.each([
    ['a rule, named with its policy', SERVER.name, 'tcp/22', /✗ policy \S+worker0 entering web: rule no-ssh of policy web/],
    [
      "the tenant's default",
      SERVER.name,
      'tcp/8080',
      /✗ policy \S+worker0 entering web: no rule matches, and tenant shop denies by default/,
    ],
    ['nobody having the address', '10.1.2.99', 'tcp/80', /✗ address \S+master nobody in shop\/shop-net has 10\.1\.2\.99/],
  ])('trace: denied by %s', async (_what, to, service, says) => {
    const { code, stdout } = await trace(CLIENT.name, to, service);
    expect(flat(stdout)).toMatch(says);
    expect(stdout).toMatch(/^NOT reachable$/m);
    // The tables at work say the same.
    expect(stdout).not.toMatch(/^ +(but|!|\?) /m);
    expect(code).toBe(1);
  });

  test('trace: a table of a host that lacks an entry is found, and what is named mends it', async () => {
    const bytes = SERVER.ip.split('.').map((octet) => `0x${Number(octet).toString(16).padStart(2, '0')}`);
    // As one would break it: the first entry of that address on the client's host.
    const breakIt = `
      pin=$(ls -d /sys/fs/bpf/contiv/*/maps/endpoints)
      key=$(bpftool -j map dump pinned $pin | jq -r '.[].key | join(" ")' | grep '${bytes.join(' ')}' | head -1)
      bpftool map delete pinned $pin key hex $(echo $key | sed 's/0x//g')`;
    // The agent compares its tables every 30 s and might be faster than we are.
    await eventually('it is found and mended', async () => {
      await rig.on(CLIENT.host, 'sh', '-c', breakIt);
      const { code, stdout } = await trace(CLIENT.name, SERVER.name, 'tcp/8000');
      expect(stdout).toMatch(/^NOT reachable$/m);
      expect(stdout).toMatch(/^ {2}! the tables of legacy-swarm-master differ from what is configured:\n {6}.*10\.1\.2\.12/m);
      expect(code).toBe(1);
      const command = /^ {4}mend: netctl (.*)$/m.exec(stdout)?.[1] ?? '';
      expect(command).toBe(`host repair ${CLIENT.host}`);
      expect(await netctl(...command.split(' '))).toMatch(/10\.1\.2\.12/);
    });
    expect((await trace(CLIENT.name, SERVER.name, 'tcp/8000')).code).toBe(0);
    expect(await rig.docker(CLIENT.host, 'exec', CLIENT.name, 'timeout', '10', 'wget', '-qO-', `http://${SERVER.ip}:8000/ok`)).toBe('ok');
  });

  test('flows: connections of both hosts with names and verdicts, one line each, the denied among them', async () => {
    await rig.tryDocker(CLIENT.host, ['exec', CLIENT.name, 'nc', '-w', '1', SERVER.ip, '22']);
    const line = (state: string, service: string, rule: string) =>
      new RegExp(`^[\\d:]{8} +${state} +${CLIENT.name} +${SERVER.name} +${service} +${rule}$`, 'm');
    const shown = await eventually('all are there', async () => {
      const text = await netctl('flows', '-t', 'shop');
      expect(text).toMatch(line('open', 'tcp/9000', 'web:stream'));
      expect(text).toMatch(line('closed', 'tcp/8000', 'web:http'));
      expect(text).toMatch(line('denied', 'tcp/22', 'web:no-ssh'));
      return text;
    });
    expect(width(shown)).toBeLessThanOrEqual(80);
    expect(shown.match(/ tcp\/9000 /g)).toHaveLength(1);
    const denied = (await netctl('flows', '-t', 'shop', '--verdict', 'deny', '--since', '5m', '-o', 'json')).split('\n');
    const records = denied.map((text) => JSON.parse(text) as { verdict: string; src: object; dst: object; hosts: string[] });
    expect(records[0]).toMatchObject({
      verdict: 'deny',
      policy: 'web',
      rule: 'no-ssh',
      src: { container: CLIENT.name, group: 'client', host: CLIENT.host, ip: CLIENT.ip },
      dst: { container: SERVER.name, group: 'web', host: SERVER.host, port: 22 },
    });
    expect(records.every(({ verdict }) => verdict === 'deny')).toBe(true);
    const [open] = (await netctl('flows', '-t', 'shop', '--service', 'tcp/9000', '-o', 'json')).split('\n');
    expect((JSON.parse(open ?? '') as { hosts: string[] }).hosts.toSorted()).toEqual(HOSTS.toSorted());
  });

  test('top: what is busiest now', async () => {
    // On a busy machine nothing may flow for a second, or a host answer too late.
    await eventually('it is seen', async () => {
      const [connections, groups] = await Promise.all([
        netctl('top', '-t', 'shop', '--interval', '1'),
        netctl('top', '-t', 'shop', '--interval', '1', '--by', 'group'),
      ]);
      expect(connections).toMatch(/^[\d.]+k? +[1-9]\d* +shop +client1 +web1 +tcp\/9000$/m);
      expect(groups).toMatch(/^[\d.]+k? +[1-9]\d* +shop +client +web +1$/m);
      expect(width(connections)).toBeLessThanOrEqual(80);
    });
  });

  const stageDenial = async () => {
    await netctl('policy', 'stage', '-t', 'shop', 'web');
    await netctl(...'policy rule-add --staged -t shop -d in -l tcp -P 9000 -p 20 -j deny web stop'.split(' '));
  };

  test('a staged policy: diff names the live connection it would cut, and nothing is cut', async () => {
    await stageDenial();
    const { code, stdout } = await tryNetctl('policy', 'diff', '-t', 'shop', 'web');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^\+ rule shop:web:stop /m);
    expect(stdout).toContain(
      `Would be cut:\n  tcp ${CLIENT.name} (${CLIENT.ip}, group client) -> ${SERVER.name} (${SERVER.ip}, group web) port 9000, 1 connection, by rule web:stop\n`,
    );
    await flows();
    await netctl('policy', 'discard', '-t', 'shop', 'web');
    await flows();
    expect((await tryNetctl('policy', 'commit', '-t', 'shop', 'web')).stderr).toMatch(/stage/);
  });

  test('… and committed, it is cut within a second, and the history says so', async () => {
    await stageDenial();
    await flows();
    await netctl('policy', 'commit', '-t', 'shop', 'web');
    await new Promise((wake) => setTimeout(wake, 1_000));
    const last = await got();
    await new Promise((wake) => setTimeout(wake, 500));
    expect(await got()).toBe(last);
    const { stdout } = await trace(CLIENT.name, SERVER.name, 'tcp/9000');
    expect(flat(stdout)).toContain('rule stop of policy web');
    expect(await netctl('history', '--since', '5m', 'web')).toMatch(/\+ rule shop:web:stop /);
  });
});

describe('doctor', () => {
  test('one page with every host; a host whose agent is dead is named, with what to do', async () => {
    const page = await eventually('nothing is wrong', () => netctl('doctor'));
    expect(width(page)).toBeLessThanOrEqual(80);
    for (const host of HOSTS) expect(page).toMatch(new RegExp(`^${host} +connected .* 1/1$`, 'm'));
    expect(page).toMatch(/^Nothing is wrong$/m);
    await rig.service(WORKER, 'netplugin', 'stop');
    const sick = await eventually('it is noticed', async () => {
      const { code, stdout } = await tryNetctl('doctor');
      expect([code, stdout]).toEqual([1, expect.stringMatching(new RegExp(`^${WORKER} +silent`, 'm'))]);
      return stdout;
    });
    expect(flat(sick)).toMatch(/✗ host \S+worker0: its agent is not connected since \S+; its endpoint is kept → start netplugin there/);
    expect(sick).toMatch(new RegExp(`^${MASTER} +connected `, 'm'));
    await rig.service(WORKER, 'netplugin', 'start');
    expect(await eventually('it is well again', () => netctl('doctor'))).toMatch(new RegExp(`^${WORKER} +connected .* 1/1$`, 'm'));
  });
});
