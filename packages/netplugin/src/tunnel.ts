/** What can be wrong with the tunnel's UDP port, in sentences. Pure. */
import type { HostState } from '@contiv/model';

/** Port of Docker's own overlay networks. */
const OVERLAY_PORT = 4789;

/** Hosts whose tunnels end at another port than this one's: nothing gets through between them. */
export const portProblems = (own: number, others: readonly Pick<HostState, 'name' | 'vxlanPort'>[]): string[] =>
  others
    .filter(({ vxlanPort }) => vxlanPort !== own)
    .map(
      ({ name, vxlanPort }) =>
        `VXLAN goes to UDP port ${vxlanPort} on ${name} and to ${own} here, so they do not reach each other; start netplugin with one --vxlan-port on all hosts`,
    );

/** Not wrong, but whoever uses overlay networks will wonder: Docker says no more than "address already in use". */
export const portWarnings = (own: number): string[] =>
  own === OVERLAY_PORT
    ? [
        `UDP port ${OVERLAY_PORT} is the one of Docker's own overlay networks; containers in those cannot start on this host (address already in use), unless netplugin takes another --vxlan-port`,
      ]
    : [];
