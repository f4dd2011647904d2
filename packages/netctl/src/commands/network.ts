import { dockerNetworkName, ipv4ToNumber, ipv6ToBigInt, type Network, type NetworkOper } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { awaitDocker, nameLacking } from '../docker-places.js';
import { type Column, column, table } from '../output/table.js';
import { CommandError, type Session } from '../session.js';
import { inspectAll, ofTenant, showList, sorted, withoutZeros } from './shared.js';

export const create: Run = async (session) => {
  const { flags } = session;
  const tenantName = flags.text('tenant');
  const networkName = session.arg(0);
  const gateway = flags.text('gateway');
  const ipv6Gateway = flags.text('gatewayv6');
  if (flags.text('subnet') === '') throw new CommandError('Subnet is required', { help: true });
  if (gateway !== '' && ipv4ToNumber(gateway) === undefined) throw new CommandError('Invalid gateway - Enter in A.B.C.D format');
  if (ipv6Gateway !== '' && ipv6ToBigInt(ipv6Gateway) === undefined) throw new CommandError('Invalid IPv6 gateway ');
  const key = `${tenantName}:${networkName}`;
  const { networks } = await session.client();
  await networks.put(key, {
    tenantName,
    networkName,
    ...withoutZeros({
      nwType: flags.text('nw-type'),
      encap: flags.text('encap'),
      pktTag: flags.number('pkt-tag'),
      subnet: flags.text('subnet'),
      gateway,
      ipv6Subnet: flags.text('subnetv6'),
      ipv6Gateway,
      cfgdTag: flags.text('nw-tag'),
    }),
  });
  if (session.structured) await session.document(await networks.get(key));
  else session.line(`Creating network ${key}`);
  if (flags.text('nw-type') !== 'infra') await awaitDocker(session, tenantName, networkName, true);
};

const keyOf = (session: Session): string => `${session.flags.text('tenant')}:${session.arg(0)}`;

export const remove: Run = async (session) => {
  const key = keyOf(session);
  if (!session.structured) session.line(`Deleting network ${key}`);
  await (await session.client()).networks.remove(key);
  if (session.structured) await session.document({ deleted: key });
  await awaitDocker(session, session.flags.text('tenant'), session.arg(0), false);
};

export const inspect: Run = async (session) => {
  const inspection = await (await session.client()).networks.inspect(keyOf(session));
  await session.document(inspection);
  if (inspection.Config.nwType !== 'infra') await nameLacking(session, session.flags.text('tenant'), session.arg(0));
};

/** Heads and dashes as Contiv's, to the letter (spec/contiv §3.3). */
export const columns: readonly Column<Network>[] = [
  { head: 'Tenant', dashes: '------', cell: (n) => n.tenantName },
  { head: 'Network', dashes: '-------', cell: (n) => n.networkName },
  { head: 'Nw Type', dashes: '-------', cell: (n) => n.nwType ?? '' },
  { head: 'Encap type', dashes: '----------', cell: (n) => n.encap },
  { head: 'Packet tag', dashes: '----------', cell: (n) => String(n.pktTag ?? 0) },
  { head: 'Subnet', dashes: '-------', cell: (n) => n.subnet },
  { head: 'Gateway', dashes: '------', cell: (n) => n.gateway ?? '' },
  { head: 'IPv6Subnet', dashes: '----------', cell: (n) => n.ipv6Subnet ?? '' },
  { head: 'IPv6Gateway', dashes: '-----------', cell: (n) => n.ipv6Gateway ?? '' },
  { head: 'Cfgd Tag ', dashes: '---------', cell: (n) => n.cfgdTag ?? '' },
];

interface Row {
  readonly n: Network;
  readonly oper: NetworkOper;
}

export async function networkTable(session: Session, rows: readonly Network[], wide: boolean): Promise<string> {
  if (!wide) return table(columns, rows);
  const { networks } = await session.client();
  const inspected = await inspectAll(rows, async (n): Promise<Row> => ({ n, oper: (await networks.inspect(n.key)).Oper }));
  return table(
    [
      ...columns.map(({ head, dashes, cell }) => ({ head, dashes, cell: ({ n }: Row) => cell(n) })),
      column('Tag in use', ({ oper }: Row) => String(oper.externalPktTag ?? oper.pktTag ?? '')),
      column('Endpoints', ({ oper }: Row) => String(oper.numEndpoints ?? 0)),
      column('Allocated', ({ oper }: Row) => oper.allocatedIPAddresses ?? ''),
      column('Docker network', ({ n }: Row) => n.dockerName ?? dockerNetworkName(n.tenantName, n.networkName)),
    ],
    inspected,
  );
}

export const sortNetworks = (rows: readonly Network[]): Network[] =>
  sorted(
    rows,
    (n) => n.tenantName,
    (n) => n.networkName,
  );

export const list: Run = async (session) => {
  const { networks } = await session.client();
  const rows = sortNetworks(await ofTenant(session, () => networks.list()));
  await showList(
    session,
    rows,
    (n) => n.networkName,
    (wide) => networkTable(session, rows, wide),
  );
};
