/** netplugin's command line. */
import { DatapathError } from '@contiv/datapath';
import { createLogger, runMain } from '@contiv/observe';
import { Command } from 'commander';
import { setUpAgent } from './agent.js';
import { addAgentOptions, addCommonOptions, CONFIG_EXIT, ConfigError, readCommon, readConfig } from './config.js';
import { showStatus } from './rest/command.js';
import { tearDown } from './teardown.js';
import { portWarnings } from './tunnel.js';
import { VERSION } from './version.js';

/** A wrong configuration ends the program with one line and code 22. */
async function configured<T>(read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`netplugin: ${error.message}\n`);
    process.exit(CONFIG_EXIT);
  }
}

async function run(_options: unknown, command: Command): Promise<void> {
  const config = await configured(readConfig(command.opts()));
  const log = createLogger({ name: 'netplugin', level: config.logLevel, ...(config.jsonLog ? { format: 'json' } : {}) }).child({
    host: config.host,
  });
  if (process.getuid?.() !== 0) {
    log.fatal('netplugin has to run as root: it programs the kernel and makes interfaces; start it with sudo');
    process.exit(1);
  }
  if (config.mode !== 'docker' && config.mode !== 'test')
    log.warn({ mode: config.mode }, 'only the Docker drivers are served in this mode');
  for (const warning of portWarnings(config.vxlanPort)) log.warn(warning);
  await runMain({ logger: log }, (lifecycle) => setUpAgent(config, log, lifecycle));
  log.info({ vtepIp: config.vtepIp, masters: config.masters, version: VERSION }, 'netplugin is running');
}

export async function main(): Promise<void> {
  const program = new Command('netplugin')
    .description('The agent of one host: Docker network and IPAM driver, data path, DNS')
    .version(VERSION)
    .enablePositionalOptions()
    .showHelpAfterError('(netplugin --help shows the flags)')
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : CONFIG_EXIT))
    .addHelpText(
      'after',
      `
Every flag may also be given as CONTIV_NETPLUGIN_…, e.g. CONTIV_NETPLUGIN_VTEP_IP.

Examples:
  netplugin --mode docker --netmode vxlan --fwdmode bridge --netmaster http://192.168.2.50:9999 --ctrl-ip 192.168.2.51 --vtep-ip 192.168.2.51
  netplugin status
  netplugin teardown --yes`,
    );

  addAgentOptions(program).action(run);

  addCommonOptions(program.command('status').description('what the agent of this host does: peers, revision, maps, last error'))
    .option('--json', 'the same as JSON')
    .action(async (options: { json?: boolean }, command: Command) => {
      const config = await configured(readCommon(command.opts()));
      process.exitCode = await showStatus(config, options.json === true);
    });

  addCommonOptions(program.command('teardown').description('remove the data path of this host; says first what will be cut'))
    .option('--yes', 'do it')
    .action(async (options: { yes?: boolean }, command: Command) => {
      const config = await configured(readCommon(command.opts()));
      process.exitCode = await tearDown(config, options.yes === true);
    });

  try {
    await program.parseAsync();
  } catch (error) {
    // What the data path cannot do on this host is for its operator to read, not a fault in the program.
    if (!(error instanceof DatapathError)) throw error;
    process.stderr.write(`netplugin: ${error.message}\n`);
    process.exitCode = 1;
  }
}
