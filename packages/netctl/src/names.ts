/** Names of what there is, for completion and advice. */
import type { RestClient } from '@contiv/client';
import type { ObjectKind } from './cli/command.js';

const MANY = 2_000;

/** Ascending, each once; networks, groups and endpoints of one tenant when one is given. */
export async function namesOfKind(client: RestClient, kind: ObjectKind, tenant?: string): Promise<string[]> {
  return [...new Set(await load(client, kind, tenant))]
    .filter((name) => name !== '')
    .toSorted()
    .slice(0, MANY);
}

async function load(client: RestClient, kind: ObjectKind, tenant: string | undefined): Promise<string[]> {
  const here = (object: { tenantName: string }) => tenant === undefined || object.tenantName === tenant;
  switch (kind) {
    case 'tenant':
      return (await client.tenants.list()).map((t) => t.tenantName);
    case 'network':
      return (await client.networks.list()).filter(here).map((n) => n.networkName);
    case 'group':
      return (await client.endpointGroups.list()).filter(here).map((g) => g.groupName);
    case 'policy':
      return (await client.policies.list()).filter(here).map((p) => p.policyName);
    case 'netprofile':
      return (await client.netprofiles.list()).filter(here).map((p) => p.profileName);
    case 'app-profile':
      return (await client.appProfiles.list()).filter(here).map((p) => p.appProfileName);
    case 'external-contracts':
      return (await client.extContractsGroups.list()).filter(here).map((c) => c.contractsGroupName);
    case 'service':
      return (await client.services.list()).filter(here).map((s) => s.serviceName);
    case 'host':
      return (await client.hosts()).map((h) => h.name);
    case 'endpoint': {
      const tenants = tenant === undefined ? (await client.tenants.list()).map((t) => t.tenantName) : [tenant];
      const inspected = await Promise.all(tenants.slice(0, 50).map((name) => client.tenants.inspect(name)));
      return inspected.flatMap((t) => t.Oper.endpoints ?? []).map((e) => e.containerName ?? e.endpointID ?? '');
    }
  }
}
