/** Sends the probes and asks netmaster about those that fail. */
import { ApiError, type RestClient } from '@contiv/client';
import { EngineError } from '@contiv/docker';
import type { TraceAnswer } from '@contiv/model';
import { inAll, type Started } from './build.js';
import { pause } from './parallel.js';
import type { Probe, Running } from './probes.js';
import { PER_SCRIPT, probeScript, saidOf, scriptLimitMs } from './script.js';
import { judge, type Result, type Verdict } from './verdict.js';

/** What should be answered is asked again after so long; what should be silent must be from the beginning. */
const AGAIN_MS = [1_000, 3_000];

export async function sendProbes(
  probes: readonly Probe[],
  started: readonly Started[],
  running: readonly Running[],
  signal: AbortSignal,
): Promise<Result[]> {
  const hosts = new Map(running.map(({ box, host }) => [box, host]));
  const verdicts = await askAll(probes, started, signal);
  const tries = new Map<Probe, number>();
  for (const ms of AGAIN_MS) {
    const failed = probes.filter((probe) => probe.check.answer && verdicts.get(probe)?.passed !== true);
    if (failed.length === 0) break;
    await pause(ms, signal);
    for (const [probe, verdict] of await askAll(failed, started, signal)) {
      verdicts.set(probe, verdict);
      tries.set(probe, (tries.get(probe) ?? 1) + 1);
    }
  }
  return probes.map((probe) => ({
    probe,
    fromHost: hosts.get(probe.from) ?? '',
    toHost: hosts.get(probe.to) ?? '',
    tries: tries.get(probe) ?? 1,
    ...(verdicts.get(probe) ?? judge(probe, undefined)),
  }));
}

/** All containers at once, as far as engines take it. */
async function askAll(probes: readonly Probe[], started: readonly Started[], signal: AbortSignal): Promise<Map<Probe, Verdict>> {
  const out = new Map<Probe, Verdict>();
  const ask = async ({ box, engine, id }: Started) => {
    const own = probes.filter(({ from }) => from === box);
    for (let at = 0; at < own.length && !signal.aborted; at += PER_SCRIPT) {
      const piece = own.slice(at, at + PER_SCRIPT);
      const output = engine.exec(id, ['sh', '-c', probeScript(piece)], scriptLimitMs(piece.length), signal);
      const said = await output.then(saidOf, (error: unknown) => {
        if (!(error instanceof EngineError)) throw error;
        return new Map<number, string>();
      });
      for (const [i, probe] of piece.entries()) out.set(probe, judge(probe, said.get(i)));
    }
  };
  await inAll(started, ask, signal);
  return out;
}

/** What `netctl trace` would be asked about a probe; `undefined` for names, which no packet of the two decides on. */
export function traceQueryOf({ from, sent }: Probe) {
  if (sent.kind === 'name') return undefined;
  const service = sent.kind === 'tcp' ? `tcp/${sent.port}` : 'icmp';
  return { from: from.name, to: sent.address, service, tenant: from.tenant, network: from.network };
}

/** netmaster's answer, or why there is none. */
export async function traceOf(client: RestClient, probe: Probe): Promise<TraceAnswer | string | undefined> {
  const query = traceQueryOf(probe);
  if (query === undefined) return undefined;
  try {
    return await client.trace(query);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return error.detail;
  }
}
