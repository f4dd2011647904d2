import { ADDRESS, addressOf, eventually, MASTER, onHost, sleeper, WORKER } from '../lab.js';
import { BRIDGE, ensureNetworks, OURS, OVERLAY, VLAN } from '../networks.js';
import { compare, inContainer, type Path, serve } from '../paths.js';
import { floodPing, stream, tcpRoundTrip } from '../probes.js';
import type { Result } from '../result.js';

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
  await onHost(WORKER, 'sh', '-c', 'iperf3 -s -D >/dev/null; sockperf server --tcp -p 11111 >/dev/null 2>&1 &');
  const host: Path = { from: (...command) => onHost(MASTER, ...command), to: ADDRESS[WORKER] ?? '' };
  await new Promise((wake) => setTimeout(wake, 1000));

  const measure = <K extends string>(paths: Record<K, Path>, probe: (path: Path) => Promise<number>) => compare(rounds, paths, probe);
  const across = { host, overlay: overlay.across, ours: ours.across };
  const physical = { ...across, vlan: vlan.across };
  const within = { bridge, ours: ours.within };
  const ping = await measure(physical, (p) => floodPing(p.from, p.to, 20_000));
  const rr = await measure(across, (p) => tcpRoundTrip(p.from, p.to, 2));
  const single = await measure(physical, (p) => stream(p.from, p.to, 3, 1));
  const eight = await measure(across, (p) => stream(p.from, p.to, 3, 8));
  const nearPing = await measure(within, (p) => floodPing(p.from, p.to, 20_000));
  const nearStream = await measure(within, (p) => stream(p.from, p.to, 3, 1));

  const overhead = (f: { host: number; overlay: number; ours: number }): number => (f.ours - f.host) / (f.overlay - f.host);
  const { vlan: vlanPing, ...tunnelPing } = ping;
  const { vlan: vlanStream, ...tunnelStream } = single;
  const suite = 'datapath';
  return [
    {
      suite,
      what: 'RTT, two hosts, `ping -f`',
      figures: tunnelPing,
      unit: 'µs',
      value: overhead(ping),
      valueName: 'overhead ours ÷ overlay',
      target: { op: '<=', limit: 0.75 },
    },
    {
      suite,
      what: 'RTT, two hosts, TCP request/response',
      figures: rr,
      unit: 'µs',
      value: overhead(rr),
      valueName: 'overhead ours ÷ overlay',
      target: { op: '<=', limit: 0.75 },
    },
    {
      suite,
      what: 'TCP, one stream, two hosts',
      figures: tunnelStream,
      unit: 'Gbit/s',
      value: single.ours / single.overlay,
      valueName: 'ours ÷ overlay',
      target: { op: '>=', limit: 1.05 },
    },
    {
      suite,
      what: 'TCP, eight streams, two hosts',
      figures: eight,
      unit: 'Gbit/s',
      value: eight.ours / eight.overlay,
      valueName: 'ours ÷ overlay',
      target: { op: '>=', limit: 1.05 },
    },
    {
      suite,
      what: 'VLAN: RTT, two hosts, `ping -f`',
      figures: { host: ping.host, overlay: ping.overlay, vlan: vlanPing },
      unit: 'µs',
      value: overhead({ ...ping, ours: vlanPing }),
      valueName: 'overhead VLAN ÷ overlay',
      target: { op: '<=', limit: 0.6 },
    },
    {
      suite,
      what: 'VLAN: TCP, one stream, two hosts',
      figures: { host: single.host, vlan: vlanStream },
      unit: 'Gbit/s',
      value: vlanStream / single.host,
      valueName: 'VLAN ÷ host to host',
      target: { op: '>=', limit: 0.95 },
    },
    {
      suite,
      what: 'RTT, same host, `ping -f`',
      figures: nearPing,
      unit: 'µs',
      value: nearPing.ours / nearPing.bridge,
      valueName: 'ours ÷ bridge',
      target: { op: '<=', limit: 0.9 },
    },
    {
      suite,
      what: 'TCP, one stream, same host',
      figures: nearStream,
      unit: 'Gbit/s',
      value: nearStream.ours / nearStream.bridge,
      valueName: 'ours ÷ bridge',
      target: { op: '>=', limit: 1.1 },
    },
  ];
}
