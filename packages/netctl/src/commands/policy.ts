import type { Policy } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { type Column, column, table } from '../output/table.js';
import type { Session } from '../session.js';
import { ofTenant, showList, sorted } from './shared.js';

export const keyOf = (session: Session): string => `${session.flags.text('tenant')}:${session.arg(0)}`;

export const create: Run = async (session) => {
  const key = keyOf(session);
  const { policies } = await session.client();
  await policies.put(key, {
    tenantName: session.flags.text('tenant'),
    policyName: session.arg(0),
    ...(session.flags.on('admin') ? { admin: true } : {}),
  });
  if (session.structured) return session.document(await policies.get(key));
  session.line(`Creating policy ${key}`);
};

export const remove: Run = async (session) => {
  const key = keyOf(session);
  if (!session.structured) session.line(`Deleting policy ${key}`);
  await (await session.client()).policies.remove(key);
  if (session.structured) await session.document({ deleted: key });
};

export const inspect: Run = async (session) => session.document(await (await session.client()).policies.inspect(keyOf(session)));

const columns: readonly Column<Policy>[] = [
  { head: 'Tenant', dashes: '------', cell: (p) => p.tenantName },
  { head: 'Policy', dashes: '------', cell: (p) => p.policyName },
];
const names = (links: object | undefined): string[] => Object.keys(links ?? {}).map((key) => key.slice(key.indexOf(':') + 1));
const wideColumns: readonly Column<Policy>[] = [
  ...columns,
  column('Admin', (p) => (p.admin ? 'yes' : 'no')),
  column('Rules', (p) => String(names(p['link-sets'].Rules).length)),
  column('Groups', (p) => names(p['link-sets'].EndpointGroups).toSorted().join(',')),
];

export const policyTable = (rows: readonly Policy[], wide: boolean): string => table(wide ? wideColumns : columns, rows);

export const sortPolicies = (rows: readonly Policy[]): Policy[] =>
  sorted(
    rows,
    (p) => p.tenantName,
    (p) => p.policyName,
  );

export const list: Run = async (session) => {
  const { policies } = await session.client();
  const rows = sortPolicies(await ofTenant(session, () => policies.list()));
  await showList(
    session,
    rows,
    (p) => p.policyName,
    (wide) => policyTable(rows, wide),
  );
};
