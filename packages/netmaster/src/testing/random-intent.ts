/** Documents that are right in themselves. For tests. */
import { INTENT_VERSION, type IntentDocument } from '@contiv/model';
import fc from 'fast-check';

const TENANTS = ['default', 'blue', 'red'];
const NAMES = ['a', 'b', 'c'];
const ADDRESSES = ['10.9.0.0/16', '10.9.1.7', 'fd09::/64', '10.8.0.1-9'];
const PORTS = ['80', '443', '8000-8099'];

/** A document whose objects do not stand in each other's way. */
export const randomIntent: fc.Arbitrary<IntentDocument> = fc
  .record({
    tenants: fc.subarray(TENANTS),
    vlans: fc.constantFrom('1-4094', '100-200'),
    arpMode: fc.constantFrom('proxy' as const, 'flood' as const),
    seeds: fc.array(fc.nat(1_000_000), { minLength: 3, maxLength: 3 }),
    bgp: fc.boolean(),
  })
  .map(({ tenants, vlans, arpMode, seeds, bgp }) => ({
    apiVersion: INTENT_VERSION,
    global: { vlans, arpMode },
    tenants: tenants.map((name, i) => randomTenant(name, dice(seeds[i] ?? 0))),
    bgps: bgp ? [{ hostname: 'h1', routerip: '50.1.1.1/24', as: 65_000, neighbor: '50.1.1.2' }] : [],
  }));

type Dice = (sides: number) => number;

/** mulberry32 */
function dice(seed: number): Dice {
  let state = seed;
  return (sides) => {
    state = (state + 0x6d2b_79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % sides;
  };
}

type TenantDocument = NonNullable<IntentDocument['tenants']>[number];

function randomTenant(tenantName: string, roll: Dice): TenantDocument {
  const some = <T>(items: readonly T[]): T[] => items.filter(() => roll(2) === 0);
  const pick = <T>(items: readonly T[]): T | undefined => items[roll(Math.max(1, items.length))];
  const networks = some(NAMES).map((name, i) => ({
    networkName: `net-${name}`,
    subnet: `10.${roll(4) * 10 + i}.1.0/24`,
    ...(roll(2) === 0 ? { gateway: `10.${0}.1.254`.replace('10.0', '10.0') } : {}),
    ...(roll(4) === 0 ? { encap: 'vlan' } : {}),
  }));
  for (const network of networks) if (network.gateway !== undefined) network.gateway = network.subnet.replace('.0/24', '.254');
  const policies = some(NAMES).map((name) => `p-${name}`);
  const profiles = some(NAMES).map((name) => `n ${name}`);
  const contracts = some(NAMES).map((name) => `c-${name}`);
  const groups =
    networks.length === 0
      ? []
      : some(NAMES).map((name) => ({
          groupName: `g-${name}`,
          networkName: pick(networks)?.networkName ?? '',
          ...(policies.length > 0 && roll(2) === 0 ? { policies: some(policies) } : {}),
          ...(profiles.length > 0 && roll(3) === 0 ? { netProfile: pick(profiles) ?? '' } : {}),
          ...(contracts.length > 0 && roll(3) === 0 ? { extContractsGrps: some(contracts) } : {}),
        }));
  const peer = (way: 'from' | 'to') => {
    switch (roll(4)) {
      case 0:
        return { [`${way}EndpointGroup`]: some(groups.map((g) => g.groupName)).join(',') };
      case 1:
        return { [`${way}Network`]: some(networks.map((n) => n.networkName)).join(',') };
      case 2:
        return { [`${way}IpAddress`]: some(ADDRESSES).join(',') };
      default:
        return {};
    }
  };
  const rules = () =>
    Array.from({ length: roll(4) }, (_, i) => {
      const direction = roll(2) === 0 ? ('in' as const) : ('out' as const);
      return {
        ruleId: String(i + 1),
        direction,
        action: roll(2) === 0 ? 'allow' : 'deny',
        priority: 1 + roll(100),
        ...(roll(2) === 0 ? { protocol: 'tcp', ...(roll(2) === 0 ? { port: 1 + roll(9_000) } : { ports: some(PORTS).join(',') }) } : {}),
        ...peer(direction === 'in' ? 'from' : 'to'),
      };
    });
  return {
    tenantName,
    ...(roll(2) === 0 ? { posture: 'deny' } : {}),
    networks,
    netprofiles: profiles.map((profileName) => ({ profileName, bandwidth: `${1 + roll(9)}Mbps`, DSCP: roll(64), burst: 2 + roll(10) })),
    extContractsGroups: contracts.map((contractsGroupName) => ({
      contractsGroupName,
      contractsType: 'provided',
      contracts: ['uni/tn-a/brc-b'],
    })),
    policies: policies.map((policyName) => ({ policyName, rules: rules() })),
    endpointGroups: groups,
    appProfiles:
      groups.length === 0
        ? []
        : some(NAMES).map((name) => ({ appProfileName: `app-${name}`, endpointGroups: some(groups.map((g) => g.groupName)) })),
    serviceLBs:
      networks.length === 0
        ? []
        : some(['s']).map((serviceName) => ({
            serviceName,
            networkName: pick(networks)?.networkName ?? '',
            ports: ['80:8080:TCP'],
            selectors: ['app=web'],
          })),
  };
}
