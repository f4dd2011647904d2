import type { ExtContractsGroup } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { type Column, table } from '../output/table.js';
import { CommandError, type Session } from '../session.js';
import { ofTenant, showList, sorted } from './shared.js';

const keyOf = (session: Session): string => `${session.flags.text('tenant')}:${session.arg(0)}`;

export const create: Run = async (session) => {
  const { flags } = session;
  const consumed = flags.on('consumed');
  const contracts = [...flags.list('contract')];
  if (consumed && flags.on('provided')) throw new CommandError('Cannot use both provided and consumed');
  if (!consumed && !flags.on('provided')) throw new CommandError('Either provided or consumed must be specified');
  if (contracts.length === 0) throw new CommandError('Contracts not provided');
  const key = keyOf(session);
  const { extContractsGroups } = await session.client();
  await extContractsGroups.put(key, {
    tenantName: flags.text('tenant'),
    contractsGroupName: session.arg(0),
    contractsType: consumed ? 'consumed' : 'provided',
    contracts,
  });
  if (session.structured) return session.document(await extContractsGroups.get(key));
  session.line(`Creating ExternalContracts ${key}`);
};

export const remove: Run = async (session) => {
  const key = keyOf(session);
  if (!session.structured) session.line(`Deleting external contracts group ${session.arg(0)} in tenant ${session.flags.text('tenant')}`);
  await (await session.client()).extContractsGroups.remove(key);
  if (session.structured) await session.document({ deleted: key });
};

const gap: Column<ExtContractsGroup> = { head: '', dashes: '', cell: () => '' };
const columns: readonly Column<ExtContractsGroup>[] = [
  { head: 'Tenant', dashes: '------', cell: (c) => c.tenantName },
  { head: 'Name', dashes: '------', cell: (c) => c.contractsGroupName },
  gap,
  { head: 'Type', dashes: '------', cell: (c) => c.contractsType },
  gap,
  { head: 'Contracts', dashes: '-------', cell: (c) => `[${(c.contracts ?? []).join(' ')}]` },
];

export const list: Run = async (session) => {
  const { extContractsGroups } = await session.client();
  const rows = sorted(
    await ofTenant(session, () => extContractsGroups.list()),
    (c) => c.tenantName,
    (c) => c.contractsGroupName,
  );
  await showList(
    session,
    rows,
    (c) => c.contractsGroupName,
    () => table(columns, rows),
  );
};
