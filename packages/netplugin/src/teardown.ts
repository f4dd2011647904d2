/** `netplugin teardown`: says what will be cut, then removes every kernel object of this host's data path. */
import { dataPaths, findRemains, removeDatapath } from '@contiv/datapath';
import type { CommonConfig } from './config.js';
import { dismissDoorkeeper } from './doorkeeper.js';
import { holderOf, StateLock } from './lock.js';
import { openLocalState } from './state/records.js';

const complain = (sentence: string): void => void process.stderr.write(`netplugin: ${sentence}\n`);

export async function tearDown(config: CommonConfig, yes: boolean): Promise<number> {
  const { instance, stateDir } = config;
  if (process.getuid?.() !== 0) {
    complain('taking the data path down takes root; say sudo netplugin teardown');
    return 1;
  }
  const holder = await holderOf(stateDir);
  if (holder !== undefined) {
    complain(`the agent still runs (pid ${holder}) and would build everything again; stop it first`);
    return 1;
  }
  const all = dataPaths();
  if (!all.includes(instance)) {
    if (all.length === 0) {
      process.stdout.write('There is no data path on this host.\n');
      return 0;
    }
    complain(`there is no data path "${instance}" on this host, but ${all.map((name) => `"${name}"`).join(', ')}; name it with --instance`);
    return 1;
  }
  const { ports, devices } = findRemains(instance);
  process.stdout.write(`${announcement(instance, ports, devices)}\n`);
  const known = new Map(
    openLocalState(stateDir, complain)
      .endpoints.values()
      .map((record) => [record.port, record]),
  );
  for (const port of ports) {
    const record = known.get(port);
    const what = record ? `${record.ip} in ${record.ref.network} of tenant ${record.ref.tenant}` : 'of no known endpoint';
    process.stdout.write(`  ${port}  ${what}\n`);
  }
  if (!yes) {
    const back = ports.length === 0 ? '' : ' Containers cut off have a network again once restarted with netplugin running.';
    process.stdout.write(`Nothing was removed.${back} To do it: netplugin teardown --yes\n`);
    return ports.length === 0 ? 0 : 1;
  }
  // An agent that starts in the middle of this would find half a data path.
  const lock = await StateLock.take(stateDir).catch((error: unknown) => complain(error instanceof Error ? error.message : String(error)));
  if (lock === undefined) return 1;
  await dismissDoorkeeper(stateDir);
  await removeDatapath(instance);
  await lock.release();
  process.stdout.write('Removed.\n');
  return 0;
}

function announcement(instance: string, ports: readonly string[], devices: readonly string[]): string {
  const what = `the data path "${instance}" of this host: ${[...devices, 'programs', 'tables', 'firewall rules'].join(', ')}`;
  if (ports.length === 0) return `This removes ${what}. No container uses it.`;
  return `This removes ${what}, and cuts off ${ports.length === 1 ? 'one interface of a container' : `${ports.length} interfaces of containers`}:`;
}
