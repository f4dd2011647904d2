/** Shell scripts that run in the containers, for any image with a shell, `ping`, `nc` and `timeout`. Pure. */
import { ALLOWED_PORT, DENIED_PORT } from './plan.js';
import type { Probe, Sent } from './probes.js';

/** A container ends by itself, should nobody be left to remove it. */
const LIFE_S = 1_800;

/** What a container does: tells its name to whoever connects. Two dialects of busybox's `nc` that go on after a connection. */
export function serveScript(name: string): string {
  const serve = (port: number) =>
    `(while :; do nc -lk -p ${port} -e echo ${name} || nc -ll -p ${port} -e echo ${name}; sleep 1; done) 2>/dev/null &`;
  return `${serve(ALLOWED_PORT)} ${serve(DENIED_PORT)} exec sleep ${LIFE_S}`;
}

export const READY = 'ready';

/** Says `ready` once both ports answer within the container, or after 6 s what `nc` said instead. */
export function readyScript(name: string): string {
  const ask = (port: number) => `$(timeout 2 nc -w 1 127.0.0.1 ${port} </dev/null 2>&1)`;
  return [
    'i=0',
    `until a="${ask(ALLOWED_PORT)}"; b="${ask(DENIED_PORT)}"; [ "$a $b" = "${name} ${name}" ]; do`,
    'i=$((i + 1)); if [ $i -ge 30 ]; then echo "$a $b"; exit; fi; sleep 0.2',
    'done',
    `echo ${READY}`,
  ].join('\n');
}

/** Probes that run at once in one container. */
const AT_ONCE = 32;
/** Longest that one takes: what is silent ends by itself before. */
const PROBE_S = 4;
/** Probes of one script; an argument has at most 128 KiB. */
export const PER_SCRIPT = 512;

/** Longest that the script takes, in milliseconds. */
export const scriptLimitMs = (count: number): number => (Math.ceil(count / AT_ONCE) * (PROBE_S + 2) + 10) * 1_000;

/** Prints a line for each probe: its number, and what was said, in one line. */
export function probeScript(probes: readonly Probe[]): string {
  const lines = ['set -f', `p() { n=$1; shift; r=$(timeout ${PROBE_S} "$@" 2>&1 </dev/null); echo $n $r; }`];
  for (const [i, { sent, check }] of probes.entries()) {
    lines.push(`p ${i} ${command(sent, check.answer)} &`);
    if ((i + 1) % AT_ONCE === 0) lines.push('wait');
  }
  return [...lines, 'wait'].join('\n');
}

/** Bytes of the headers of IPv4 and ICMP. */
const ECHO_HEADERS = 28;

function command(sent: Sent, answer: boolean): string {
  const seconds = answer ? 2 : 1;
  switch (sent.kind) {
    case 'ping':
      return `ping -c 1 -W ${seconds}${sent.size === undefined ? '' : ` -s ${sent.size - ECHO_HEADERS}`} ${sent.address}`;
    case 'tcp':
      return `nc -w ${seconds} ${sent.address} ${sent.port}`;
    case 'name':
      return `ping -4 -c 1 -W 1 ${sent.name}`;
  }
}

/** What was said, by the probe's place in the script. */
export function saidOf(output: string): Map<number, string> {
  const out = new Map<number, string>();
  for (const line of output.split('\n')) {
    const [, number, text = ''] = /^(\d+)(?: (.*))?$/.exec(line.trim()) ?? [];
    if (number !== undefined) out.set(Number(number), text);
  }
  return out;
}
