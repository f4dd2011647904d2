/** Probes between many containers at once: one process a host, which serves and asks from within their networks (`prober.pl`). */
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Rig } from './rig.js';

const SCRIPT = fileURLToPath(new URL('prober.pl', import.meta.url));
/** A machine under load answers late; what never comes is given up after this. */
const ANSWER_MS = 60_000;

export const KINDS = ['tcp', 'tcp6', 'udp', 'udp6', 'sctp', 'sctp6', '253', '2536', 'ping', 'ping6'] as const;
/** Protocol, over IPv6 with a 6 behind it. `253` has no ports (RFC 3692). */
export type Kind = (typeof KINDS)[number];

export interface Probe {
  /** Container on whose behalf it is sent. */
  readonly from: string;
  readonly kind: Kind;
  readonly address: string;
  /** 0 for what has no ports. */
  readonly port: number;
  /** Should it be answered? Then it gets the time it needs. */
  readonly wanted: boolean;
}

/** What is not wanted is waited for as long as this, or twice as long as all the wanted needed. */
const WAIT_MS = 350;
const LIMIT_MS = 15_000;

export class Prober {
  readonly #child: ChildProcess;
  #rest = '';
  #listener: ((line: string) => void) | undefined;
  #run = 0;
  #said = '';
  #turn: Promise<unknown> = Promise.resolve();

  constructor(rig: Rig, host: string) {
    this.#child = rig.spawn([rig.labProgram, 'exec', host, '--', 'sh', '-c', 'ulimit -n $(ulimit -Hn); exec perl "$0"', SCRIPT], 'pipe');
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.#listener?.(line);
    });
    this.#child.stdin?.on('error', () => undefined);
  }

  /** Serves in the network of a process, as its host numbers it; again after a restart of its container. */
  async enter(name: string, pid: string, number: number): Promise<void> {
    await this.#ask([`enter ${name} ${pid} ${number}`], 'entered');
  }

  /** Who answered which probe, by its place in the list; `-` for an echo. */
  async probe(probes: readonly Probe[]): Promise<ReadonlyMap<number, string>> {
    const run = ++this.#run;
    const asked = probes.map((p, i) => `${i} ${p.from} ${p.kind} ${p.address} ${p.port} ${p.wanted ? 1 : 0}`);
    const lines = await this.#ask([`probe ${run} ${WAIT_MS} ${LIMIT_MS}`, ...asked, 'go'], 'done');
    return new Map(lines.map((line) => line.split(' ')).map(([index, who]) => [Number(index), who ?? '']));
  }

  /** Opens a new connection every millisecond until `stop`. */
  async drip(id: string, probe: Omit<Probe, 'wanted'>): Promise<void> {
    await this.#ask([`drip ${id} ${probe.from} ${probe.kind} ${probe.address} ${probe.port}`], 'dripping');
  }

  async stop(id: string): Promise<{ readonly sent: number; readonly answered: number }> {
    let [sent, answered] = [0, 0];
    await this.#ask([`stop ${id}`], 'dripped', (words) => {
      [sent = 0, answered = 0] = words.slice(1).map(Number);
    });
    return { sent, answered };
  }

  /** Lines until one that begins with `last`. One question after the other: answers do not say what they answer. */
  #ask(lines: readonly string[], last: string, onLast?: (words: readonly string[]) => void): Promise<string[]> {
    const answer = this.#turn.then(() => this.#askNow(lines, last, onLast));
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  #askNow(lines: readonly string[], last: string, onLast: (words: readonly string[]) => void = () => undefined): Promise<string[]> {
    return new Promise((resolve, reject) => {
      const got: string[] = [];
      const fail = (why: string) => reject(new Error(`prober: ${why} ${this.#said}`));
      const timer = setTimeout(() => fail(`no answer to ${lines[0]}`), ANSWER_MS);
      this.#listener = (line) => {
        const [word, ...words] = line.split(' ');
        if (word !== last) return void got.push(line);
        clearTimeout(timer);
        onLast(words);
        resolve(got);
      };
      if (this.#child.exitCode !== null) fail('ended');
      this.#child.stdin?.write(`${lines.join('\n')}\n`);
    });
  }
}
