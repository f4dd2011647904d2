/** What netmaster's doctor wants to know of this host. */
import { release } from 'node:os';
import type { Checkup, CheckupQuestion } from '@contiv/model';
import { type AgentParts, overhead } from '../agent.js';
import { statusOf } from '../rest/view.js';
import { echoPeers } from './echo.js';

const short = (sentences: readonly string[], most: number): string[] => sentences.slice(0, most).map((s) => s.slice(0, 2_000));

export async function checkup(parts: AgentParts, { peers }: CheckupQuestion, signal: AbortSignal): Promise<Checkup> {
  const { config, datapath } = parts;
  const mtu = datapath.containerMtu + overhead(config.vtepIp);
  // First, so that what is said of clock and revision is as young as the answer.
  const others = peers.filter((peer) => peer.host !== config.host);
  const reached = await echoPeers(config.vtepIp, mtu, others, signal);
  const status = statusOf(parts);
  return {
    version: status.version,
    kernel: release(),
    now: Date.now(),
    startedAt: status.startedAt,
    mtu,
    vxlanPort: status.vxlanPort,
    revision: status.netmaster.revision,
    inSync: status.netmaster.inSync,
    pending: status.netmaster.pending,
    repaired: status.datapath.repaired,
    lastRepairs: short(status.datapath.lastRepairs, 3),
    endpoints: status.endpoints.local,
    docker: status.docker.connected,
    problems: short(status.problems, 100),
    warnings: short([...status.warnings, ...status.vlan.warnings], 100),
    peers: reached,
  };
}
