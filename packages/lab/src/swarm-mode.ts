/** Joins the engines by Docker's own swarm mode: the first host manages, the others work. What is joined stays as it is. */
import { CommandError } from './effects/exec.js';
import { initOf, runInside } from './effects/host.js';
import type { HostPlan } from './plan/hosts.js';
import type { LabNames } from './plan/names.js';
import { LabError } from './plan/options.js';
import type { Progress } from './progress.js';

const MANAGER_PORT = 2377;

export async function joinSwarm(names: LabNames, hosts: readonly HostPlan[], progress: Progress): Promise<void> {
  const docker = async (host: HostPlan, ...argv: string[]): Promise<string> => {
    const init = await initOf(names.lab, host.name);
    if (init === undefined) throw new LabError(`host ${host.name} does not run`);
    try {
      return (await runInside(init, host, ['docker', ...argv], { timeoutMs: 60_000 })).trim();
    } catch (error) {
      throw error instanceof CommandError ? new LabError(`${host.name}: docker ${argv.join(' ')}: ${error.stderr.trim()}`) : error;
    }
  };
  const joined = async (host: HostPlan) => (await docker(host, 'info', '--format', '{{.Swarm.LocalNodeState}}')) === 'active';
  const [manager, ...workers] = hosts;
  if (manager?.index !== 0) return;
  if (!(await joined(manager))) {
    await docker(manager, 'swarm', 'init', '--advertise-addr', manager.ip);
    progress.say(`swarm mode   ${manager.name} manages`);
  }
  const token = await docker(manager, 'swarm', 'join-token', '-q', 'worker');
  for (const worker of workers) {
    if (await joined(worker)) continue;
    await docker(worker, 'swarm', 'join', '--advertise-addr', worker.ip, '--token', token, `${manager.ip}:${MANAGER_PORT}`);
    progress.say(`swarm mode   ${worker.name} joined`);
  }
}
