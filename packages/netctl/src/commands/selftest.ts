/** `netctl selftest`: throw-away containers on every host, who reaches whom, and nothing left behind. */
import { randomBytes } from 'node:crypto';
import type { RestClient } from '@contiv/client';
import type { HostInfo } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { type Failure, type Report, reportText } from '../output/selftest.js';
import { printable } from '../output/table.js';
import { awaitKnown, awaitNetworks, awaitReady, makeObjects, startBoxes } from '../selftest/build.js';
import { openPlaces, type Places, requireImage } from '../selftest/places.js';
import { type Plan, planOf, runName } from '../selftest/plan.js';
import { probesOf } from '../selftest/probes.js';
import { sendProbes, traceOf } from '../selftest/run.js';
import { sweep } from '../selftest/sweep.js';
import { CommandError, EXIT, type Session } from '../session.js';

/** Failures that are traced and shown; where much fails, the first ones tell why. */
const SHOWN = 8;
const MAX_VLAN = 4_094;

export const selftest: Run = async (session) => {
  const client = await session.client();
  const hosts = await client.hosts();
  const places = await openPlaces(session.flags.text('docker'), session.io, hosts);
  try {
    if (session.flags.on('clean')) await clean(session, client, places);
    else await test(session, client, places, hosts);
  } finally {
    for (const engine of places.engines) engine.close();
  }
};

async function clean(session: Session, client: RestClient, { engines, faults }: Places): Promise<void> {
  const { removed, left } = await sweep(client, engines);
  const remaining = [...left, ...faults];
  await session.show({ removed, left: remaining }, () =>
    [...removed.map((what) => `removed ${what}\n`), ...(removed.length + remaining.length === 0 ? ['Nothing was left behind\n'] : [])].join(
      '',
    ),
  );
  sayLeft(session, remaining);
}

/** What is left is a failure, with a way out. */
function sayLeft(session: Session, left: readonly string[]): void {
  for (const what of left) session.io.err(`${printable(`left behind: ${what}`)}\n`);
  if (left.length === 0) return;
  session.io.err('when that is mended: netctl selftest --clean\n');
  session.exit = EXIT.usage;
}

async function test(session: Session, client: RestClient, places: Places, hosts: readonly HostInfo[]): Promise<void> {
  const { flags, io } = session;
  const vlan = flags.number('vlan') === 0 ? undefined : flags.number('vlan');
  refuseVlan(vlan, hosts);
  const image = flags.text('image');
  await requireImage(image, places);
  const plan = planOf(runName(randomBytes(4).toString('hex')), { places: places.places.length, vlan, ipv6: !flags.on('no-ipv6') });
  const signal = io.interrupted?.() ?? new AbortController().signal;
  const say = (text: string) => {
    if (io.errTerminal) io.err(`${text}\n`);
  };
  let report: Report | undefined;
  let fault: unknown;
  say(`${plan.run}: ${plan.boxes.length} containers in 2 tenants`);
  try {
    report = await measure(client, plan, { places, hosts, image, signal, say });
  } catch (error) {
    fault = error;
  }
  say('removing what was made');
  const { left } = await sweep(client, places.engines, plan.run);
  // Nothing is printed before all is removed: whoever stops reading does not stop that.
  if (report !== undefined) {
    const done = report;
    await session.show(documentOf(done), () => reportText(done, io.columns ?? 80));
    if (!done.passed) session.exit = EXIT.usage;
  }
  sayLeft(session, left);
  if (signal.aborted) throw new CommandError(`stopped by ${String(signal.reason)}`, { exit: signal.reason === 'SIGINT' ? 130 : 143 });
  if (fault !== undefined) throw fault;
}

function refuseVlan(vlan: number | undefined, hosts: readonly HostInfo[]): void {
  if (vlan === undefined) return;
  if (vlan < 1 || vlan > MAX_VLAN) throw new CommandError(`Invalid VLAN ${vlan} - Enter 1 to ${MAX_VLAN}`);
  const lacking = hosts.filter(({ alive, uplinkMtu }) => alive && uplinkMtu === undefined).map(({ name }) => name);
  if (lacking.length > 0)
    throw new CommandError(`no VLANs on ${lacking.join(', ')}: netplugin has no uplink there`, {
      hint: 'start it with --vlan-uplinks, or leave out --vlan',
    });
}

interface Surroundings {
  readonly places: Places;
  readonly hosts: readonly HostInfo[];
  readonly image: string;
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

async function measure(client: RestClient, plan: Plan, { places, hosts, image, signal, say }: Surroundings): Promise<Report> {
  await makeObjects(client, plan);
  await awaitNetworks(client, plan, signal);
  const { started, faults } = await startBoxes(plan, places.places, image, signal);
  const running = await awaitKnown(
    client,
    plan,
    started.map(({ box }) => box),
    signal,
  );
  await awaitReady(started, image, signal);
  const [global, ...inspected] = await Promise.all([
    client.globals.get('global'),
    ...plan.networks.slice(0, 2).map(({ tenant, network }) => client.networks.inspect(`${tenant}:${network}`)),
  ]);
  const mtu = new Map(inspected.flatMap(({ Config, Oper }) => (Oper.mtu === undefined ? [] : [[Config.networkName, Oper.mtu] as const])));
  const probes = probesOf(plan, running, { mtu, routing: global.fwdMode === 'routing' });
  say(`${probes.length} probes`);
  const results = await sendProbes(probes, started, running, signal);
  const failed = results.filter(({ passed }) => !passed);
  const failures = await Promise.all(
    failed.slice(0, SHOWN).map(async (result): Promise<Failure> => ({ result, trace: await traceOf(client, result.probe) })),
  );
  const tested = [...new Set(running.map(({ host }) => host))].toSorted();
  const unheard = started.filter(({ box }) => !running.some((r) => r.box === box));
  const faulty = new Set([...faults.keys()].map((place) => places.places[place]?.name));
  const untested = [
    ...[...faults].map(([place, fault]) => `host ${places.places[place]?.name ?? ''}: ${fault}`),
    ...unheard.map(({ box }) => `${box.name}: netmaster has not heard of it; look at netplugin status on its host`),
    ...hosts.filter(({ name }) => !tested.includes(name) && !faulty.has(name)).map((host) => untestedText(host, places.faults)),
  ];
  return {
    run: plan.run,
    image,
    hosts: tested,
    containers: running.length,
    results,
    failures,
    more: failed.length - failures.length,
    untested,
    passed: failed.length === 0 && untested.length === 0,
  };
}

function untestedText({ name, alive }: HostInfo, faults: readonly string[]): string {
  if (!alive) return `host ${name}: its agent is not connected; start netplugin there, or: netctl host rm ${name}`;
  return `host ${name}: ${faults.length === 0 ? 'its engine is none of --docker' : faults.join('; ')}`;
}

function documentOf({ run, image, hosts, passed, untested, results, failures }: Report) {
  const traces = new Map(failures.map(({ result, trace }) => [result, trace]));
  return {
    run,
    passed,
    image,
    hosts,
    untested,
    probes: results.map((result) => {
      const { probe, fromHost, toHost, seen, tries, ms } = result;
      const end = ({ name, tenant, network, ip }: typeof probe.from, host: string) => ({ name, host, tenant, network, ip });
      return {
        network: probe.check.network,
        what: probe.check.what,
        shouldBe: probe.check.answer ? 'answered' : 'silent',
        from: end(probe.from, fromHost),
        to: end(probe.to, toHost),
        passed: result.passed,
        seen,
        tries,
        ...(ms === undefined ? {} : { ms }),
        ...(traces.get(result) === undefined ? {} : { trace: traces.get(result) }),
      };
    }),
  };
}
