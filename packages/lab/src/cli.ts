import { readFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { commandIn, currentNames, hostCalled, requireLab } from './context.js';
import { runDemo } from './demo.js';
import { takeDown } from './down.js';
import { CommandError, runAttached } from './effects/exec.js';
import { withLock } from './effects/lock.js';
import { ACTIONS, type Action, hostService, ServiceControl } from './host-service.js';
import { addHost, destroyHost, removeHost, restoreHost, setLink } from './hosts.js';
import { serveOutside } from './outside-server.js';
import { LabError, type LabOptions, MAX_HOSTS } from './plan/options.js';
import { STATIONS } from './plan/outside.js';
import { CABLES } from './plan/topology.js';
import { Progress } from './progress.js';
import { labStatus, showStatus } from './status.js';
import { bringUp } from './up.js';

const wholeNumber = (text: string): number => {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('a whole number is expected.');
  return Number(text);
};

interface UpFlags {
  hosts?: number;
  engine?: LabOptions['engine'];
  store?: LabOptions['store'];
  bare?: boolean;
  swarmMode?: boolean;
  masters?: number;
  mtu?: number;
  ipPrefix?: string;
  underlay?: LabOptions['underlay'];
  vlanUplinks?: LabOptions['vlanUplinks'];
  quiet?: boolean;
}

function addUp(program: Command): void {
  program
    .command('up')
    .description('start the lab, or what is missing of it')
    .addOption(new Option('--hosts <n>', `how many hosts, 1 to ${MAX_HOSTS} (default: 2)`).argParser(wholeNumber))
    .addOption(new Option('--engine <engine>', "Docker Engine: Debian's own, or 28 (default: system)").choices(['system', 'modern']))
    .addOption(new Option('--store <store>', "netmaster's store (default: embedded)").choices(['embedded', 'etcd']))
    .addOption(
      new Option('--masters <n>', 'how many netmasters, 1 to 3; more than one need --store etcd (default: 1)').argParser(wholeNumber),
    )
    .addOption(new Option('--mtu <bytes>', 'MTU of eth1, eth2 and eth3 (default: 1500)').argParser(wholeNumber))
    .addOption(new Option('--underlay <kind>', 'addresses VXLAN goes by (default: ipv4)').choices(['ipv4', 'ipv6']))
    .addOption(new Option('--vlan-uplinks <devices>', "netplugin's uplinks (default: eth2)").choices(['eth2', 'eth2,eth3']))
    .addOption(new Option('--ip-prefix <prefix>', 'first three octets of the underlay (default: 192.168.2.)').env('CONTIV_IP_PREFIX'))
    .option('--swarm-mode', "the engines joined by Docker's own swarm mode")
    .option('--bare', 'engines only, nothing of Contiv')
    .option('-q, --quiet', 'no progress lines')
    .addHelpText(
      'after',
      '\nExamples:\n  sudo bin/lab up\n  sudo bin/lab up --hosts 3 --store etcd --masters 3\n  sudo bin/lab up --engine modern',
    )
    .action(async ({ quiet, ...asked }: UpFlags) => {
      const names = currentNames();
      const progress = new Progress(quiet);
      await withLock(names, () => bringUp(names, asked, progress));
      progress.say('the lab is up; bin/lab status shows it, bin/lab ssh master enters its first host');
    });
}

function addDemo(program: Command): void {
  program
    .command('demo')
    .description('a lab with two tenants of the same addresses, containers on both hosts, and pings between them')
    .addOption(new Option('--engine <engine>', 'as for up').choices(['system', 'modern']))
    .addOption(new Option('--store <store>', 'as for up').choices(['embedded', 'etcd']))
    .action(async (asked: UpFlags) => {
      const names = currentNames();
      await withLock(names, () => runDemo(names, asked, new Progress()));
    });
}

function addHosts(program: Command): void {
  const host = program.command('host').description('hosts that join, leave, are lost and come back');
  const act = (name: string, description: string, work: (name: string, progress: Progress) => Promise<void>) =>
    host
      .command(`${name} <host>`)
      .description(description)
      .action(async (called: string) => withLock(currentNames(), () => work(called, new Progress())));
  host
    .command('add [host]')
    .description('one more host, by default the next worker')
    .action(async (called: string | undefined) => withLock(currentNames(), () => addHost(called, new Progress())));
  act('rm', 'remove a host with all it has stored', removeHost);
  act('destroy', 'lose a host as by power failure: processes and network gone, disk kept', destroyHost);
  act('restore', 'bring a lost host back, with the disk it had', restoreHost);

  program
    .command('link <host> <state>')
    .description("plug or unplug a host's cable")
    .addOption(new Option('--device <device>', 'which one').choices(CABLES.map((c) => c.device)).default('eth1'))
    .action(async (called: string, state: string, { device }: { device: string }) => {
      if (state !== 'up' && state !== 'down') throw new LabError(`a link is set up or down, not ${state}`);
      await setLink(called, device, state);
    });
}

function addEntry(program: Command): void {
  const attach = async (called: string, argv: readonly string[]): Promise<void> => {
    process.exitCode = await runAttached(await commandIn(currentNames(), called, argv));
  };
  program
    .command('exec <host> <command...>')
    .description(`run a command in a host, or in one of ${STATIONS.join(', ')}; its exit code is ours`)
    .passThroughOptions()
    .addHelpText('after', '\nExample:\n  sudo bin/lab exec legacy-swarm-master -- docker ps')
    .action((called: string, argv: string[]) => attach(called, argv[0] === '--' ? argv.slice(1) : argv));
  program
    .command('ssh <host>')
    .description('a shell in a host')
    .action((called: string) => {
      const name = called.includes('-') ? called : `legacy-swarm-${called}`;
      return attach(called, ['env', `PS1=[root@${name} \\W]$ `, 'sh', '-c', 'cd && exec bash --norc --noprofile']);
    });
  program
    .command('service <host> <service> <action>')
    .description(`${ACTIONS.join(', ')} one service of a host; kill is a crash`)
    .action((called: string, service: string, action: string) => attach(called, ['service', service, action]));
  program
    .command('logs <host> <service>')
    .description("print a service's log")
    .action(async (called: string, service: string) => {
      const lab = await requireLab(currentNames());
      const control = new ServiceControl(hostCalled(lab, called).dir);
      process.stdout.write(await readFile(control.logFile((await control.load(service)).name), 'utf8').catch(() => ''));
    });
}

const isAction = (text: string): text is Action => ACTIONS.some((action) => action === text);

export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('lab')
    .description('Hosts with a Docker Engine each, as namespaces of this machine')
    .enablePositionalOptions()
    .showHelpAfterError('(bin/lab --help shows the commands)')
    .addHelpText('after', '\nCONTIV_LAB names a lab; several may run, each started in a network namespace of its own.');
  addUp(program);
  addDemo(program);
  addHosts(program);
  addEntry(program);
  program
    .command('status')
    .description('what runs where')
    .option('--json', 'the same for programs')
    .action(async ({ json }: { json?: boolean }) => {
      const status = await labStatus(currentNames());
      process.stdout.write(json === true ? `${JSON.stringify(status, null, 2)}\n` : showStatus(status));
    });
  program
    .command('down')
    .description('remove the lab and all it has made')
    .option('-q, --quiet', 'no progress lines')
    .action(async ({ quiet }: { quiet?: boolean }) => {
      const names = currentNames();
      const progress = new Progress(quiet);
      const some = await withLock(names, () => takeDown(names, progress));
      progress.say(some ? 'nothing of the lab is left' : 'there was no lab');
    });
  // The marker is for whoever looks at the process list.
  program.command('outside <marker>', { hidden: true }).action(serveOutside);
  program.command('host-service <dir> <name> <action>', { hidden: true }).action(async (dir: string, name: string, action: string) => {
    if (!isAction(action)) throw new LabError(`Usage: service ${name} ${ACTIONS.join('|')}`);
    process.exitCode = await hostService(dir, name, action);
  });

  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof LabError) && !(error instanceof CommandError)) throw error;
    process.stderr.write(`lab: ${error.message}\n`);
    process.exitCode = 1;
  }
}
