import { ApiError, type RestClient } from '@contiv/client';
import type { HostInfo } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { table } from '../output/table.js';
import { endpointsOf, endpointTable } from './endpoint.js';
import { globalLines } from './global.js';
import { groupTable, sortGroups } from './group.js';
import { hostTable, sortHosts } from './host.js';
import { networkTable, sortNetworks } from './network.js';
import { policyTable, sortPolicies } from './policy.js';
import { sorted } from './shared.js';

/** Everything there is, in all tenants. */
export const getAll: Run = async (session) => {
  const client = await session.client();
  const [globals, listed, networks, groups, policies, hosts] = await Promise.all([
    client.globals.list(),
    client.tenants.list(),
    client.networks.list().then(sortNetworks),
    client.endpointGroups.list().then(sortGroups),
    client.policies.list().then(sortPolicies),
    hostsOf(client).then(sortHosts),
  ]);
  const tenants = sorted(listed, (t) => t.tenantName);
  const endpoints = await endpointsOf(
    session,
    tenants.map((t) => t.tenantName),
  );
  const everything = {
    global: globals[0],
    tenants,
    networks,
    endpointGroups: groups,
    policies,
    endpoints: endpoints.map((e) => e.endpoint),
    hosts,
  };
  await session.show(everything, async (wide) =>
    [
      section('Settings', globals, () => globals.map(globalLines).join('')),
      section('Tenants', tenants, () => table([{ head: 'Name', dashes: '------', cell: (t) => t.tenantName }], tenants)),
      section('Networks', networks, await networkTable(session, networks, wide)),
      section('Endpoint groups', groups, await groupTable(session, groups, wide)),
      section('Policies', policies, policyTable(policies, wide)),
      section('Endpoints', endpoints, endpointTable(endpoints, wide)),
      section('Hosts', hosts, hostTable(hosts, wide)),
    ].join('\n'),
  );
};

function section(title: string, rows: readonly unknown[], text: string | (() => string)): string {
  const body = typeof text === 'string' ? text : text();
  return `${title}:\n${rows.length === 0 ? '(none)\n' : body}`;
}

/** A netmaster of old knows no hosts. */
async function hostsOf(client: RestClient): Promise<HostInfo[]> {
  try {
    return await client.hosts();
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return [];
    throw error;
  }
}
