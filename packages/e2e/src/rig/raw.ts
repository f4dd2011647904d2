/** Whole frames into and out of containers' networks, with rights no container has. */
import { fileURLToPath } from 'node:url';
import type { Rig } from './rig.js';
import { succeed } from './run.js';

const SCRIPT = fileURLToPath(new URL('raw-frames.pl', import.meta.url));

export interface Place {
  readonly host: string;
  readonly container: string;
}

async function feed(rig: Rig, { host, container }: Place, argv: readonly string[], lines: readonly Buffer[]): Promise<void> {
  const enter = ['nsenter', '-t', await rig.pidOf(host, container), '-n', 'perl', SCRIPT, ...argv];
  const input = lines.map((bytes) => `${bytes.toString('hex')}\n`).join('');
  await succeed(`${container}: ${argv.join(' ')}`, rig.tryLabWith({ input }, 'exec', host, '--', ...enter));
}

/** Sends frames as the container's own kernel would, past all its checks. */
export const sendRaw = (rig: Rig, place: Place, device: string, frames: readonly Buffer[]): Promise<void> =>
  feed(rig, place, ['send', device], frames);

/** Sends UDP payloads by an ordinary socket of the container's network. */
export const sendUdp = (rig: Rig, place: Place, from: number, to: { address: string; port: number }, payloads: readonly Buffer[]) =>
  feed(rig, place, ['udp', String(from), to.address, String(to.port)], payloads);

/** A million frames take seconds, and minutes on a machine that has other things to do. */
const FLOOD_MS = 400_000;

/** SYNs of `count` connections, one after the other as fast as they go, from `sports` ports: a flood, or from one port a scan. */
export async function sendSyns(
  rig: Rig,
  from: Place & { readonly ip: string },
  to: { readonly ip: string },
  count: number,
  sports: number,
): Promise<void> {
  const mac = ['02', '02', ...to.ip.split('.').map((octet) => Number(octet).toString(16).padStart(2, '0'))].join(':');
  const argv = ['syn', 'eth0', from.ip, to.ip, mac, String(count), String(sports)];
  const enter = ['nsenter', '-t', await rig.pidOf(from.host, from.container), '-n', 'perl', SCRIPT, ...argv];
  const sending = rig.tryLabWith({ timeoutMs: FLOOD_MS }, 'exec', from.host, '--', ...enter);
  await succeed(`${from.container}: ${argv.join(' ')}`, sending);
}

export interface Sighting {
  readonly container: string;
  readonly frame: Buffer;
}

/** Nobody watches for longer, in seconds: those who watch end by themselves. */
const WATCH_S = 180;
/** What is on its way is told by then, on a machine under load. */
const TOLD_MS = 60_000;

/**
 * Watches all `places` while `work` runs and for `lingerMs` after it; answers what came with `mark` in it.
 * @param expected so many frames should come, and get the time they need to be told of.
 */
export async function watchRaw(
  rig: Rig,
  places: readonly Place[],
  mark: Buffer,
  work: () => Promise<void>,
  { expected = 0, lingerMs = 1_000 }: { readonly expected?: number; readonly lingerMs?: number } = {},
): Promise<Sighting[]> {
  const seen: Sighting[] = [];
  const watchers = await Promise.all(
    [...new Set(places.map((p) => p.host))].map(async (host) => {
      const here = places.filter((p) => p.host === host);
      const commands = await Promise.all(
        here.map(async ({ container }) => {
          const pid = await rig.pidOf(host, container);
          return `nsenter -t ${pid} -n perl ${SCRIPT} watch eth0 ${mark.toString('hex')} ${WATCH_S} | sed -u 's/^/${container} /' &`;
        }),
      );
      const argv = await rig.entering(host, 'sh', '-c', `${commands.join('\n')}\nwait`);
      return { child: rig.spawn(argv), count: here.length };
    }),
  );
  await Promise.all(
    watchers.map(
      ({ child, count }) =>
        new Promise<void>((resolve, reject) => {
          let ready = 0;
          let rest = '';
          child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
            const lines = (rest + chunk).split('\n');
            rest = lines.pop() ?? '';
            for (const line of lines) {
              const [container = '', text = ''] = line.split(' ');
              if (text !== 'ready') seen.push({ container, frame: Buffer.from(text, 'hex') });
              else if (++ready === count) resolve();
            }
          });
          child.once('exit', () => reject(new Error('a watcher ended early')));
        }),
    ),
  );
  await work();
  const deadline = performance.now() + TOLD_MS;
  while (seen.length < expected && performance.now() < deadline) await new Promise((wake) => setTimeout(wake, 50));
  await new Promise((wake) => setTimeout(wake, lingerMs));
  return seen;
}
