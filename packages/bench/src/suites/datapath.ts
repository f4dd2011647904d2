import { failOver } from '../failover.js';
import { ADDRESS, addressOf, eventually, MASTER, onHost, sleeper, WORKER } from '../lab.js';
import { BRIDGE, ensureNetworks, OURS, OVERLAY, VLAN } from '../networks.js';
import { compare, inContainer, type Path, SHORT, serve, serveHost } from '../paths.js';
import { floodPing, stream, tcpRoundTrip } from '../probes.js';
import type { Result } from '../result.js';
import { medians, perRound } from '../stats.js';

/** In a round of a path. */
const PINGS = 7_000;

async function containers(network: string): Promise<{ across: Path; within: Path }> {
  await sleeper(MASTER, `${network}-a`, network);
  await sleeper(MASTER, `${network}-b`, network);
  await sleeper(WORKER, `${network}-c`, network);
  await serve(MASTER, `${network}-b`);
  await serve(WORKER, `${network}-c`);
  const from = inContainer(MASTER, `${network}-a`);
  const [near, far] = [await addressOf(MASTER, `${network}-b`, network), await addressOf(WORKER, `${network}-c`, network)];
  for (const to of [near, far]) await eventually(`ping ${to}`, () => from('ping', '-c1', '-W1', to));
  return { across: { from, to: far }, within: { from, to: near } };
}

/** RTT and TCP streams: ours, Docker's overlay and bridge, and host to host, interleaved. */
export async function datapathSuite(rounds: number): Promise<Result[]> {
  await ensureNetworks();
  const ours = await containers(OURS);
  const vlan = await containers(VLAN);
  const overlay = await containers(OVERLAY);
  await sleeper(MASTER, 'bench-bridge-a', BRIDGE);
  await sleeper(MASTER, 'bench-bridge-b', BRIDGE);
  await serve(MASTER, 'bench-bridge-b');
  const bridge: Path = {
    from: inContainer(MASTER, 'bench-bridge-a'),
    to: await addressOf(MASTER, 'bench-bridge-b', BRIDGE),
  };
  await serveHost(WORKER);
  const host: Path = { from: (...command) => onHost(MASTER, ...command), to: ADDRESS[WORKER] ?? '' };

  const ping = (p: Path) => floodPing(p.from, p.to, PINGS);
  const one = (p: Path) => stream(p.from, p.to, 1, 1);
  const across = { host, overlay: overlay.across, ours: ours.across };
  const physical = { ...across, vlan: vlan.across };
  const within = { bridge, ours: ours.within };
  const pings = await compare(rounds * SHORT.trip, physical, ping);
  const rr = await compare(rounds * SHORT.trip, across, (p) => tcpRoundTrip(p.from, p.to, 1));
  const single = await compare(rounds * SHORT.stream, physical, one);
  const eight = await compare(rounds * SHORT.stream, across, (p) => stream(p.from, p.to, 1, 8));
  const nearPings = await compare(rounds * SHORT.trip, within, ping);
  const nearStream = await compare(rounds * SHORT.stream, within, one);
  const gaps = await failOver(vlan.across, Math.max(2, rounds));

  type Times = { readonly host: number; readonly overlay: number };
  const overhead = (of: number, { host, overlay }: Times): number => (of - host) / (overlay - host);
  const { vlan: vlanPing, ...tunnelPing } = medians(pings);
  const { vlan: vlanStream, ...tunnelStream } = medians(single);
  const suite = 'datapath';
  return [
    {
      suite,
      what: 'RTT, two hosts, `ping -f`',
      figures: tunnelPing,
      unit: 'µs',
      value: perRound(pings, (f) => overhead(f.ours, f)),
      valueName: 'overhead ours ÷ overlay',
      target: { op: '<=', limit: 0.75 },
    },
    {
      suite,
      what: 'RTT, two hosts, TCP request/response',
      figures: medians(rr),
      unit: 'µs',
      value: perRound(rr, (f) => overhead(f.ours, f)),
      valueName: 'overhead ours ÷ overlay',
      target: { op: '<=', limit: 0.75 },
    },
    {
      suite,
      what: 'TCP, one stream, two hosts',
      figures: tunnelStream,
      unit: 'Gbit/s',
      value: perRound(single, (f) => f.ours / f.overlay),
      valueName: 'ours ÷ overlay',
      target: { op: '>=', limit: 1.05 },
    },
    {
      suite,
      what: 'TCP, eight streams, two hosts',
      figures: medians(eight),
      unit: 'Gbit/s',
      value: perRound(eight, (f) => f.ours / f.overlay),
      valueName: 'ours ÷ overlay',
      target: { op: '>=', limit: 1.05 },
    },
    {
      suite,
      what: 'VLAN: RTT, two hosts, `ping -f`',
      figures: { host: tunnelPing.host, overlay: tunnelPing.overlay, vlan: vlanPing },
      unit: 'µs',
      value: perRound(pings, (f) => overhead(f.vlan, f)),
      valueName: 'overhead VLAN ÷ overlay',
      target: { op: '<=', limit: 0.6 },
    },
    {
      suite,
      what: 'VLAN: TCP, one stream, two hosts',
      figures: { host: tunnelStream.host, vlan: vlanStream },
      unit: 'Gbit/s',
      value: perRound(single, (f) => f.vlan / f.host),
      valueName: 'VLAN ÷ host to host',
      target: { op: '>=', limit: 0.95 },
    },
    {
      suite,
      what: 'VLAN: the uplink in use loses its cable, without an answer until the other one carries',
      figures: { ...medians(gaps), worst: Math.max(...gaps.cut, ...gaps.back) },
      unit: 'ms',
      value: Math.max(...gaps.cut, ...gaps.back),
      valueName: 'worst',
      target: { op: '<=', limit: 1_000, unit: 'ms' },
    },
    {
      suite,
      what: 'RTT, same host, `ping -f`',
      figures: medians(nearPings),
      unit: 'µs',
      value: perRound(nearPings, (f) => f.ours / f.bridge),
      valueName: 'ours ÷ bridge',
      target: { op: '<=', limit: 0.9 },
    },
    {
      suite,
      what: 'TCP, one stream, same host',
      figures: medians(nearStream),
      unit: 'Gbit/s',
      value: perRound(nearStream, (f) => f.ours / f.bridge),
      valueName: 'ours ÷ bridge',
      target: { op: '>=', limit: 1.1 },
    },
  ];
}
