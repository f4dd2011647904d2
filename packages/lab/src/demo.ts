/** What the project is about, on one screen: two tenants with the same addresses on two hosts. Run again, it starts from what is there. */
import { hostCalled, type Lab, requireInit, requireLab } from './context.js';
import { CommandError } from './effects/exec.js';
import { runInside } from './effects/host.js';
import { until } from './effects/processes.js';
import { CONTAINERS, type Container, demoSummary, NETWORKS } from './plan/demo.js';
import type { LabNames } from './plan/names.js';
import { LabError, type LabOptions } from './plan/options.js';
import type { Progress } from './progress.js';
import { labStatus } from './status.js';
import { bringUp } from './up.js';

export async function runDemo(names: LabNames, asked: Partial<LabOptions>, progress: Progress): Promise<void> {
  await bringUp(names, asked, progress);
  const lab = await requireLab(names);
  if (lab.state.options.bare) throw new LabError('this lab is bare, with nothing of Contiv; take it down (bin/lab down) and start again');
  for (const host of new Set(CONTAINERS.map((c) => c.host))) {
    if (!lab.hosts.some(({ name }) => name.endsWith(`-${host}`)))
      throw new LabError(`the demo has containers on ${host}, which this lab does not have; add it with bin/lab host add ${host}`);
    await requireInit(lab, hostCalled(lab, host));
  }
  const status = await labStatus(names);
  for (const service of ['netmaster', 'netplugin'])
    if (!status.hosts.some((h) => h.services.some((s) => s.name === service && s.state !== 'stopped')))
      throw new LabError(
        `${service} does not run in this lab; take it down (bin/lab down), build everything (make build), and start again`,
      );

  await makeNetworks(lab, progress);
  // One after the other within a network: addresses are given in this order.
  for (const { docker } of NETWORKS)
    for (const container of CONTAINERS.filter((c) => c.network === docker)) await startContainer(lab, container, progress);
  const addresses = new Map<string, string>();
  for (const container of CONTAINERS) addresses.set(container.name, await addressOf(lab, container));
  for (const from of CONTAINERS) {
    const peer = CONTAINERS.find((c) => c.network === from.network && c.host !== from.host);
    if (peer) await ping(lab, from, peer.name, progress);
  }
  process.stdout.write(demoSummary(lab.hosts, addresses));
}

const onHost = async (lab: Lab, called: string, argv: readonly string[], timeoutMs = 60_000): Promise<string> => {
  const host = hostCalled(lab, called);
  return runInside(await requireInit(lab, host), host, argv, { timeoutMs });
};

async function makeNetworks(lab: Lab, progress: Progress): Promise<void> {
  const list = async (...argv: string[]) => onHost(lab, 'master', ['netctl', ...argv]);
  const has = (table: string, name: string) => table.split(/\s+/).includes(name);
  for (const { name, tenant, subnet } of NETWORKS) {
    if (tenant !== 'default' && !has(await list('tenant', 'ls'), tenant)) {
      await onHost(lab, 'master', ['netctl', 'tenant', 'create', tenant]);
      progress.say(`tenant       ${tenant}`);
    }
    if (has(await list('net', 'ls', '-t', tenant), name)) continue;
    await onHost(lab, 'master', ['netctl', 'net', 'create', '-t', tenant, `--subnet=${subnet}`, name]);
    progress.say(`network      ${name} of tenant ${tenant}, ${subnet}`);
  }
  for (const { docker } of NETWORKS) {
    for (const host of lab.hosts) {
      const there = () => succeeds(onHost(lab, host.name, ['docker', 'network', 'inspect', docker]));
      if (!(await until(there, 60_000, 200)))
        throw new LabError(`Docker network ${docker} does not appear on ${host.name}; see bin/lab logs ${host.name} netplugin`);
    }
  }
}

async function startContainer(lab: Lab, { name, host, network }: Container, progress: Progress): Promise<void> {
  const running = await onHost(lab, host, ['docker', 'ps', '-q', '--filter', `name=^${name}$`]);
  if (running.trim() !== '') return;
  await onHost(lab, host, ['docker', 'rm', '-f', name]).catch(() => undefined);
  await onHost(lab, host, ['docker', 'run', '-itd', `--name=${name}`, `--net=${network}`, 'alpine', '/bin/sh']);
  progress.say(`container    ${name} on ${hostCalled(lab, host).name}`);
}

async function addressOf(lab: Lab, { name, host }: Container): Promise<string> {
  const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
  return (await onHost(lab, host, ['docker', 'inspect', '--format', format, name])).trim();
}

async function ping(lab: Lab, from: Container, to: string, progress: Progress): Promise<void> {
  let said = '';
  const once = async () => {
    said = await onHost(lab, from.host, ['docker', 'exec', from.name, 'ping', '-c', '3', '-i', '0.2', '-W', '2', to]).catch(
      (error: unknown) => (error instanceof CommandError ? error.message : String(error)),
    );
    return said.includes(' 0% packet loss');
  };
  if (!(await until(once, 60_000, 500))) throw new LabError(`${from.name} does not reach ${to}:\n${said}`);
  const target = /PING \S+ \(([^)]+)\)/.exec(said)?.[1] ?? '?';
  const time = Number(/= [\d.]+\/([\d.]+)\//.exec(said)?.[1]).toFixed(2);
  progress.say(`ping         ${from.name} → ${to} (${target}), 3/3, ${time} ms`);
}

const succeeds = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  );
