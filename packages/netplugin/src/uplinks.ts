/** What can be wrong with the uplinks of VLANs and with MTUs, in sentences. Pure. */
import type { UplinkStatus } from '@contiv/datapath';
import type { HostState } from '@contiv/model';

/** Why this host can carry no VLAN at all, as the end of a sentence. One that is unplugged may be plugged in again; one that does not exist is a mistake. */
export function lackOfUplinks(uplinks: readonly UplinkStatus[]): string | undefined {
  if (uplinks.length === 0) return 'this host has no uplink for VLANs; start netplugin with --vlan-uplinks, e.g. --vlan-uplinks eth2';
  if (uplinks.some(({ state }) => state !== 'missing')) return undefined;
  return `of its uplinks ${uplinks.map(({ name }) => name).join(', ')} none exists on this host; start netplugin with --vlan-uplinks of those that do`;
}

export function uplinkProblems(uplinks: readonly UplinkStatus[]): string[] {
  const active = uplinks.some(({ state }) => state === 'active');
  return uplinks.flatMap(({ name, state, refused }): string[] => {
    const consequence = active ? '' : '; VLAN networks reach only containers of this host';
    const lines: string[] = [];
    if (state === 'missing')
      lines.push(`uplink ${name} does not exist${consequence}; give --vlan-uplinks the name of an interface (ip link)`);
    if (state === 'down') lines.push(`uplink ${name} is down${consequence}; switch it on: ip link set ${name} up`);
    if (state === 'unplugged') lines.push(`uplink ${name} has no carrier${consequence}; look at its cable and its switch port`);
    if (refused > 0n)
      lines.push(`uplink ${name} brought too many new stations at once, ${refused} were not learned; somebody may be forging addresses`);
    return lines;
  });
}

/** Not wrong, but worth a thought. */
export const uplinkWarnings = (uplinks: readonly UplinkStatus[]): string[] =>
  uplinks
    .filter(({ defaultRoute }) => defaultRoute)
    .map(
      ({ name }) => `uplink ${name} carries this host's default route; it keeps working beside the VLANs, but shares its cable with them`,
    );

interface Mtus {
  readonly mtu: number;
  readonly uplinkMtu?: number | undefined;
}

/** Hosts whose MTUs are not this one's: packets that are large for the narrower side are lost between them. */
export function mtuProblems(own: Mtus, others: readonly (Mtus & Pick<HostState, 'name'>)[]): string[] {
  return others.flatMap(({ name, mtu, uplinkMtu }) => {
    const lines: string[] = [];
    if (mtu !== own.mtu)
      lines.push(
        `the MTU of the VXLAN underlay is ${mtu} on ${name} and ${own.mtu} here; large packets between them are lost: set all hosts to one`,
      );
    if (uplinkMtu !== undefined && own.uplinkMtu !== undefined && uplinkMtu !== own.uplinkMtu)
      lines.push(
        `the MTU of the VLAN uplinks is ${uplinkMtu} on ${name} and ${own.uplinkMtu} here; large packets between them are lost: set all hosts to one`,
      );
    return lines;
  });
}
