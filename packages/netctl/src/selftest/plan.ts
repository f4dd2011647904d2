/** What a run makes: tenants, networks, containers. Pure. */
import { dockerNetworkName, ipv4FromNumber, ipv4ToNumber } from '@contiv/model';

/** Label of the containers; its value is the run. */
export const LABEL = 'io.contiv.selftest';
export const ALLOWED_PORT = 8000;
export const DENIED_PORT = 8001;
export const POLICY = 'only-8000';
const GUARDED = 'guarded';
/** Eight hex digits, so that nobody's own tenant is taken for ours. */
const RUN = /^selftest-[0-9a-f]{8}$/;
const TWIN = '-twin';

/** `random`: eight hex digits. */
export const runName = (random: string): string => `selftest-${random}`;
/** The run a tenant belongs to; `undefined` for tenants of other people's. */
export function runOf(tenant: string): string | undefined {
  const run = tenant.endsWith(TWIN) ? tenant.slice(0, -TWIN.length) : tenant;
  return RUN.test(run) ? run : undefined;
}

/** Per host: `open` and `guarded` (in the group with the policy) on the first network, `other` on the second, `twin` in the other tenant. */
export type Role = 'open' | 'guarded' | 'other' | 'twin';

export interface Box {
  /** Container's name, unique in the cluster. */
  readonly name: string;
  readonly role: Role;
  /** Number of its place among those that may be used. */
  readonly place: number;
  readonly tenant: string;
  readonly network: string;
  readonly ip: string;
}

export interface NetworkPlan {
  readonly tenant: string;
  readonly network: string;
  readonly encap: 'vxlan' | 'vlan';
  /** 0: netmaster chooses. */
  readonly tag: number;
  readonly subnet: string;
  readonly gateway: string;
  readonly subnet6: string;
}

export interface Plan {
  readonly run: string;
  readonly tenant: string;
  readonly twin: string;
  readonly group: string;
  readonly networks: readonly NetworkPlan[];
  readonly boxes: readonly Box[];
}

export interface PlanOptions {
  readonly places: number;
  /** VLAN of the second network, which is a VXLAN without it. */
  readonly vlan?: number | undefined;
  readonly ipv6: boolean;
}

/** Addresses for tests of network devices (RFC 2544, RFC 5180): nobody's network has them. */
const FIRST = { subnet: '198.18.0.0/16', base: '198.18.1.0', gateway: '198.18.255.254', subnet6: '2001:2:0:18::/64' };
const SECOND = { subnet: '198.19.0.0/16', base: '198.19.1.0', gateway: '198.19.255.254', subnet6: '' };
const PER_PLACE = 4;

function address(base: string, place: number, offset: number): string {
  return ipv4FromNumber((ipv4ToNumber(base) ?? 0) + place * PER_PLACE + offset);
}

/**
 * Every network has a gateway: engines give containers of networks without one a bridge of Docker's own, which would stay. A twin has the address
 * of the next place's open container, so equal addresses meet between hosts, and has nobody in its tenant at the guarded ones' addresses.
 */
export function planOf(run: string, { places, vlan, ipv6 }: PlanOptions): Plan {
  const tenant = run;
  const twin = `${run}${TWIN}`;
  const vxlan = { network: 'vxlan', encap: 'vxlan', tag: 0, ...pick(FIRST, ipv6) } as const;
  const other =
    vlan === undefined
      ? ({ network: 'vxlan2', encap: 'vxlan', tag: 0, ...pick(SECOND, false) } as const)
      : ({ network: 'vlan', encap: 'vlan', tag: vlan, ...pick(SECOND, false) } as const);
  const boxes = Array.from({ length: places }, (_, place): Box[] => {
    const box = (role: Role, of: { tenant: string; network: string }, ip: string): Box => ({
      name: `${run}-${place + 1}-${role}`,
      role,
      place,
      ...of,
      ip,
    });
    return [
      box('open', { tenant, network: vxlan.network }, address(FIRST.base, place, 1)),
      box('guarded', { tenant, network: vxlan.network }, address(FIRST.base, place, 2)),
      box('other', { tenant, network: other.network }, address(SECOND.base, place, 1)),
      box('twin', { tenant: twin, network: vxlan.network }, address(FIRST.base, (place + 1) % places, 1)),
    ];
  });
  const networks = [
    { tenant, ...vxlan },
    { tenant, ...other },
    { tenant: twin, ...vxlan },
  ];
  return { run, tenant, twin, group: GUARDED, networks, boxes: boxes.flat() };
}

const pick = ({ subnet, gateway, subnet6 }: typeof FIRST, ipv6: boolean) => ({ subnet, gateway, subnet6: ipv6 ? subnet6 : '' });

export const dockerNetworkOf = ({ tenant, network }: { readonly tenant: string; readonly network: string }): string =>
  dockerNetworkName(tenant, network);
