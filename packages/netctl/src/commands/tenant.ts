import type { TenantInspect } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { column, table } from '../output/table.js';
import { inspectAll, showList, sorted, withoutZeros } from './shared.js';

export const create: Run = async (session) => {
  const tenantName = session.arg(0);
  const { tenants } = await session.client();
  await tenants.put(tenantName, { tenantName, ...withoutZeros({ posture: session.flags.text('posture') }) });
  if (session.structured) return session.document(await tenants.get(tenantName));
  session.line(`Creating tenant: ${tenantName}`);
};

export const remove: Run = async (session) => {
  const tenantName = session.arg(0);
  if (!session.structured) session.line(`Deleting tenant ${tenantName}`);
  await (await session.client()).tenants.remove(tenantName);
  if (session.structured) await session.document({ deleted: tenantName });
};

export const inspect: Run = async (session) => session.document(await (await session.client()).tenants.inspect(session.arg(0)));

export const list: Run = async (session) => {
  const { tenants } = await session.client();
  const rows = sorted(await tenants.list(), (tenant) => tenant.tenantName);
  await showList(
    session,
    rows,
    (tenant) => tenant.tenantName,
    async (wide) => {
      if (!wide) return table([{ head: 'Name', dashes: '------', cell: (tenant) => tenant.tenantName }], rows);
      const inspected = await inspectAll(rows, (tenant) => tenants.inspect(tenant.tenantName));
      return table(
        [
          { head: 'Name', dashes: '------', cell: ({ Config }: TenantInspect) => Config.tenantName },
          column('Networks', ({ Oper }: TenantInspect) => String(Oper.totalNetworks ?? 0)),
          column('Groups', ({ Oper }: TenantInspect) => String(Oper.totalEPGs ?? 0)),
          column('Endpoints', ({ Oper }: TenantInspect) => String(Oper.totalEndpoints ?? 0)),
        ],
        inspected,
      );
    },
  );
};
