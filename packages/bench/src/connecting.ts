/** New TCP connections per second between two containers, by connections.pl in their networks. */
import { docker, eventually, onHost, repository } from './lab.js';

const SCRIPT = `${repository}/packages/bench/src/connections.pl`;
const PORT = '20000';

export interface Spot {
  readonly host: string;
  readonly container: string;
}

const enter = async ({ host, container }: Spot): Promise<string[]> => {
  const pid = (await docker(host, 'inspect', '--format', '{{.State.Pid}}', container)).trim();
  return ['nsenter', '-t', pid, '-n', 'perl', SCRIPT];
};

/** Accepts connections until the function it answers is called. */
export async function accept(spot: Spot): Promise<() => Promise<unknown>> {
  const command = [...(await enter(spot)), 'serve', PORT, '2'].join(' ');
  const group = (await onHost(spot.host, 'sh', '-c', `setsid ${command} </dev/null >/dev/null 2>&1 & echo $!`)).trim();
  return () => onHost(spot.host, 'sh', '-c', `kill -- -${group}`);
}

/** @param perSecond not more than that. @returns how many were opened in a second. */
export async function connect(spot: Spot, to: string, clients: number, seconds: number, perSecond?: number): Promise<number> {
  const pace = perSecond === undefined ? [] : [String(perSecond)];
  const command = [...(await enter(spot)), 'open', to, PORT, String(clients), String(seconds), ...pace];
  return Number(await eventually(`connections to ${to}`, () => onHost(spot.host, ...command), 5_000));
}
