import type { EndpointOper } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { column, table } from '../output/table.js';
import type { Session } from '../session.js';
import { inspectAll, showList, sorted } from './shared.js';

export const inspect: Run = async (session) => session.document(await (await session.client()).inspectEndpoint(session.arg(0)));

/** An endpoint and the tenant it was found in. */
export interface Found {
  readonly tenant: string;
  readonly endpoint: EndpointOper;
}

/** `net.tenant` without the tenant; both may have dots of their own. */
const networkOf = ({ tenant, endpoint: { network = '' } }: Found): string =>
  network.endsWith(`.${tenant}`) ? network.slice(0, -tenant.length - 1) : network;
/** People know a container by its name; before its start was reported there is only the endpoint. */
const nameOf = ({ endpoint }: Found): string => endpoint.containerName ?? endpoint.endpointID?.slice(0, 12) ?? '';

export async function endpointsOf(session: Session, tenants: readonly string[]): Promise<Found[]> {
  const client = await session.client();
  const perTenant = await inspectAll(tenants, async (tenant) =>
    ((await client.tenants.inspect(tenant)).Oper.endpoints ?? []).map((endpoint) => ({ tenant, endpoint })),
  );
  return sorted(
    perTenant.flat(),
    (found) => found.tenant,
    networkOf,
    nameOf,
    (found) => found.endpoint.endpointID ?? '',
  );
}

export function endpointTable(rows: readonly Found[], wide: boolean): string {
  const columns = [
    column('Tenant', (f: Found) => f.tenant),
    column('Network', networkOf),
    column('Group', ({ endpoint }: Found) => endpoint.serviceName ?? ''),
    column('Container', nameOf),
    column('Host', ({ endpoint }: Found) => endpoint.homingHost ?? ''),
    column('IPv4', ({ endpoint }: Found) => endpoint.ipAddress?.[0] ?? ''),
    column('IPv6', ({ endpoint }: Found) => endpoint.ipAddress?.[1] ?? ''),
  ];
  const more = [
    column('MAC', ({ endpoint }: Found) => endpoint.macAddress ?? ''),
    column('VTEP', ({ endpoint }: Found) => endpoint.vtepIP ?? ''),
    column('Endpoint ID', ({ endpoint }: Found) => endpoint.endpointID ?? ''),
  ];
  return table(wide ? [...columns, ...more] : columns, rows);
}

export const list: Run = async (session) => {
  const { tenants } = await session.client();
  const tenant = session.flags.text('tenant');
  await tenants.get(tenant);
  const names = session.flags.on('all') ? (await tenants.list()).map((t) => t.tenantName) : [tenant];
  const rows = await endpointsOf(session, names);
  if (session.structured) return session.document(rows.map(({ endpoint }) => endpoint));
  await showList(session, rows, nameOf, (wide) => endpointTable(rows, wide));
};

export const relabel: Run = async (session) => {
  const [endpoint, group] = [session.arg(0), session.arg(1)];
  const { flags } = session;
  const tenantName = flags.text('tenant');
  const networkName = flags.text('network');
  const client = await session.client();
  await client.relabelEndpoint(endpoint, { group, tenantName, ...(networkName === '' ? {} : { networkName }) });
  if (session.structured) return session.document({ endpoint, group });
  session.line(
    group === ''
      ? `Moving endpoint ${endpoint} out of its EndpointGroup`
      : `Moving endpoint ${endpoint} to EndpointGroup ${tenantName}:${group}`,
  );
};
