import { dockerNetworkName, type EndpointGroup, type EndpointGroupOper } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { type Column, column, table } from '../output/table.js';
import type { Session } from '../session.js';
import { inspectAll, ofTenant, showList, sorted, withoutZeros } from './shared.js';

export const create: Run = async (session) => {
  const { flags } = session;
  const tenantName = flags.text('tenant');
  const groupName = session.arg(1);
  const key = `${tenantName}:${groupName}`;
  const { endpointGroups } = await session.client();
  await endpointGroups.put(key, {
    tenantName,
    networkName: session.arg(0),
    groupName,
    ...withoutZeros({
      policies: [...flags.list('policy')],
      netProfile: flags.text('networkprofile'),
      extContractsGrps: [...flags.list('external-contract')],
      ipPool: flags.text('ip-pool'),
      cfgdTag: flags.text('epg-tag'),
    }),
  });
  if (session.structured) return session.document(await endpointGroups.get(key));
  session.line(`Creating EndpointGroup ${key}`);
};

const keyOf = (session: Session): string => `${session.flags.text('tenant')}:${session.arg(0)}`;

export const remove: Run = async (session) => {
  const key = keyOf(session);
  await (await session.client()).endpointGroups.remove(key);
  if (session.structured) await session.document({ deleted: key });
};

export const inspect: Run = async (session) => session.document(await (await session.client()).endpointGroups.inspect(keyOf(session)));

/** Heads and dashes as Contiv's (spec/contiv §3.3). */
const columns: readonly Column<EndpointGroup>[] = [
  { head: 'Tenant', dashes: '------', cell: (g) => g.tenantName },
  { head: 'Group', dashes: '-----', cell: (g) => g.groupName },
  { head: 'Network', dashes: '-------', cell: (g) => g.networkName },
  { head: 'IP Pool', dashes: '-------', cell: (g) => g.ipPool ?? '' },
  { head: 'CfgdTag', dashes: '-------', cell: (g) => g.cfgdTag ?? '' },
  { head: 'Policies', dashes: '--------', cell: (g) => (g.policies ?? []).join(',') },
  { head: 'Network profile', dashes: '---------------', cell: (g) => g.netProfile ?? '' },
];

interface Row {
  readonly g: EndpointGroup;
  readonly oper: EndpointGroupOper;
}

export async function groupTable(session: Session, rows: readonly EndpointGroup[], wide: boolean): Promise<string> {
  if (!wide) return table(columns, rows);
  const { endpointGroups } = await session.client();
  const inspected = await inspectAll(rows, async (g): Promise<Row> => ({ g, oper: (await endpointGroups.inspect(g.key)).Oper }));
  return table(
    [
      ...columns.map(({ head, dashes, cell }) => ({ head, dashes, cell: ({ g }: Row) => cell(g) })),
      column('Endpoints', ({ oper }: Row) => String(oper.numEndpoints ?? 0)),
      column('Allocated', ({ oper }: Row) => oper.allocatedIPAddresses ?? ''),
      column('Docker network', ({ g }: Row) => dockerNetworkName(g.tenantName, g.groupName)),
    ],
    inspected,
  );
}

export const sortGroups = (rows: readonly EndpointGroup[]): EndpointGroup[] =>
  sorted(
    rows,
    (g) => g.tenantName,
    (g) => g.groupName,
  );

export const list: Run = async (session) => {
  const { endpointGroups } = await session.client();
  const rows = sortGroups(await ofTenant(session, () => endpointGroups.list()));
  await showList(
    session,
    rows,
    (g) => g.groupName,
    (wide) => groupTable(session, rows, wide),
  );
};
