/** What became of the probes. Pure. */
import type { Check, Probe } from './probes.js';

export interface Verdict {
  readonly passed: boolean;
  /** What was seen, a few words; empty where there is nothing to add. */
  readonly seen: string;
  /** Milliseconds there and back. */
  readonly ms?: number;
}

export interface Result extends Verdict {
  readonly probe: Probe;
  readonly fromHost: string;
  readonly toHost: string;
  /** 1, or more where only a repetition succeeded. */
  readonly tries: number;
}

/** `said`: what the probe's command printed, `undefined` when nothing came of it. */
export function judge({ check, to, sent }: Probe, said: string | undefined): Verdict {
  if (said === undefined) return { passed: false, seen: 'it was not sent: the container gave no answer' };
  switch (sent.kind) {
    case 'ping': {
      const received = / (\d+) (?:packets )?received/.exec(said)?.[1];
      if (received === undefined) return { passed: false, seen: said === '' ? 'ping said nothing' : said };
      const answered = received !== '0';
      const ms = Number(/time=([\d.]+) ms/.exec(said)?.[1]);
      return {
        passed: answered === check.answer,
        seen: answered ? (check.answer ? 'an answer' : said) : 'no answer',
        ...(answered && ms > 0 ? { ms } : {}),
      };
    }
    case 'tcp': {
      if (said === to.name) return { passed: check.answer, seen: 'an answer' };
      if (said.startsWith('selftest-')) return { passed: false, seen: `${said} answers` };
      return { passed: !check.answer, seen: said === '' ? 'no answer' : `no answer (${said})` };
    }
    case 'name': {
      const address = /^PING \S+? ?\(([\da-f.:]+)\)/i.exec(said)?.[1];
      if (address === undefined) return { passed: !check.answer, seen: 'no address' };
      return { passed: check.answer && address === to.ip, seen: address };
    }
  }
}

export interface Row {
  readonly check: Check;
  readonly sameHost: Count;
  readonly betweenHosts: Count;
}
interface Count {
  readonly passed: number;
  readonly all: number;
}

/** One for each check, in the order they came. */
export function rowsOf(results: readonly Result[]): Row[] {
  const groups = new Map<string, Result[]>();
  for (const result of results) {
    const { network, what } = result.probe.check;
    const key = `${network} ${what}`;
    const group = groups.get(key);
    if (group) group.push(result);
    else groups.set(key, [result]);
  }
  const count = (group: readonly Result[], same: boolean): Count => {
    const those = group.filter(({ fromHost, toHost }) => (fromHost === toHost) === same);
    return { passed: those.filter(({ passed }) => passed).length, all: those.length };
  };
  return [...groups.values()].flatMap((group) => {
    const check = group[0]?.probe.check;
    return check === undefined ? [] : [{ check, sameHost: count(group, true), betweenHosts: count(group, false) }];
  });
}
