import { serveEngines } from './engines/main.js';
import { keep } from './kept.js';
import { removeNetworks } from './networks.js';
import { type Result, toMarkdown } from './result.js';
import { controlSuite } from './suites/control.js';
import { datapathSuite } from './suites/datapath.js';
import { fanoutSuite } from './suites/fanout.js';
import { footprintSuite } from './suites/footprint.js';
import { networksSuite } from './suites/networks.js';
import { policySuite } from './suites/policy.js';
import { routingSuite } from './suites/routing.js';
import { spreadSuite } from './suites/spread.js';
import { startSuite } from './suites/start.js';
import { swarmSuite } from './suites/swarm.js';

/** `bench [--rounds N] [SUITE…]`: needs a lab made with `bin/lab up --store etcd --vlan-uplinks eth2,eth3`; each suite's results replace its last ones in `docs/benchmarks.md` and `docs/benchmarks.json`. */
async function main(): Promise<void> {
  const args = process.argv.slice(2);
  if (args[0] === 'engines') await serveEngines(Number(args[1]), Number(args[2]), Number(args[3]));
  const at = args.indexOf('--rounds');
  const rounds = at < 0 ? 5 : Number(args[at + 1]);
  const chosen = at < 0 ? args : args.toSpliced(at, 2);
  const etcd = 'etcd://192.168.2.50:2379/contiv-bench' as const;

  const suites: Readonly<Record<string, () => Promise<Result[]>>> = {
    footprint: footprintSuite,
    datapath: () => datapathSuite(rounds),
    routing: () => routingSuite(rounds),
    policy: () => policySuite(rounds, etcd),
    start: () => startSuite(rounds),
    networks: networksSuite,
    control: () => controlSuite(etcd),
    fanout: fanoutSuite,
    spread: spreadSuite,
    swarm: () => swarmSuite(rounds),
  };

  const results: Result[] = [];
  const wanted = chosen.length > 0 ? chosen : Object.keys(suites);
  for (const name of wanted) {
    const suite = suites[name];
    if (!suite) throw new Error(`no suite is called ${name}: ${Object.keys(suites).join(', ')}`);
    process.stderr.write(`bench: ${name}\n`);
    try {
      const found = await suite();
      results.push(...found);
      await keep(name, rounds, found);
    } catch (error) {
      // What the other suites find out is worth having all the same.
      process.stderr.write(`bench: ${name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      process.exitCode = 1;
    }
  }
  // The engines of this one only pretend, so it needs no lab.
  if (wanted.some((name) => name !== 'swarm')) await removeNetworks();

  const table = toMarkdown(results);
  process.stdout.write(`${table}\n`);
}

void main();
