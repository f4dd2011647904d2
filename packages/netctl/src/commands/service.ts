import type { Service } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { type Column, table } from '../output/table.js';
import type { Session } from '../session.js';
import { ofTenant, showList, sorted, withoutZeros } from './shared.js';

const tenantOf = (session: Session): string => session.flags.text('tenant') || 'default';
const keyOf = (session: Session): string => `${tenantOf(session)}:${session.arg(0)}`;

export const create: Run = async (session) => {
  const { flags } = session;
  const key = keyOf(session);
  const { services } = await session.client();
  await services.put(key, {
    tenantName: tenantOf(session),
    serviceName: session.arg(0),
    ...withoutZeros({
      networkName: flags.text('network'),
      selectors: [...flags.list('selector')],
      ports: [...flags.list('port')],
      ipAddress: flags.text('preferred-ip'),
    }),
  });
  if (session.structured) return session.document(await services.get(key));
  session.line(`Creating ServiceLB ${key}`);
};

export const remove: Run = async (session) => {
  const key = keyOf(session);
  if (!session.structured) session.line(`Deleting Service  ${session.arg(0)},${tenantOf(session)}`);
  await (await session.client()).services.remove(key);
  if (session.structured) await session.document({ deleted: key });
};

export const inspect: Run = async (session) => session.document(await (await session.client()).services.inspect(keyOf(session)));

const columns: readonly Column<Service>[] = [
  { head: 'ServiceName', dashes: '---------', cell: (s) => s.serviceName },
  { head: 'Tenant', dashes: '--------', cell: (s) => s.tenantName },
  { head: 'Network', dashes: '-------', cell: (s) => s.networkName },
  { head: 'Selectors', dashes: '-------', cell: (s) => `[${(s.selectors ?? []).join(' ')}]` },
];

export const list: Run = async (session) => {
  const { services } = await session.client();
  const rows = sorted(
    await ofTenant(session, () => services.list()),
    (s) => s.tenantName,
    (s) => s.serviceName,
  );
  await showList(
    session,
    rows,
    (s) => s.serviceName,
    () => table(columns, rows),
  );
};
