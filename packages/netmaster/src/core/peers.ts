/** What is between a host and the others, for the doctor. Pure. */
import type { Checkup, DoctorFinding } from '@contiv/model';

export type Say = (severity: DoctorFinding['severity'], thing: string, reason: string, way: string) => void;

/** How many hosts are named of those that have the same fault. */
const MOST_NAMED = 8;

/** One finding for each fault: what is between a host and the others is mostly one thing. */
export function peerFindings(say: Say, host: string, peers: Checkup['peers']): void {
  const deaf = grouped(
    peers.filter((peer) => !peer.answers),
    (peer) => peer.fault ?? 'no answer to echo requests',
  );
  for (const [why, those] of deaf) {
    const one = those.length === 1;
    const reason = `${hostsText(those)} ${one ? 'is not reached at its VTEP' : 'are not reached at their VTEPs'}: ${why}`;
    say(
      'error',
      `host ${host}`,
      reason,
      `look at the route, the link and the firewall between ${host} and ${one ? those[0]?.host : 'them'}`,
    );
  }
  const narrow = grouped(
    peers.filter((peer) => peer.answers && !peer.fullSize),
    (peer) => peer.size,
  );
  for (const [size, those] of narrow) {
    const reason = `packets of ${size} bytes do not get to ${hostsText(those)} and back, small ones do`;
    const way = 'the network between them takes less than its links say: raise its MTU, or lower that of both links';
    say('error', `host ${host}`, reason, way);
  }
}

function grouped<T, K>(items: readonly T[], of: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(of(item));
    if (group) group.push(item);
    else groups.set(of(item), [item]);
  }
  return groups;
}

function hostsText(peers: Checkup['peers']): string {
  const names = peers.map(({ host }) => host);
  if (names.length === 1) return `host ${names[0]}`;
  const more = names.length - MOST_NAMED;
  return more > 0 ? `hosts ${names.slice(0, MOST_NAMED).join(', ')} and ${more} more` : `hosts ${names.join(', ')}`;
}
