import { type Bgp, ipv4ToNumber, parsePrefix4 } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { type Column, table } from '../output/table.js';
import { CommandError } from '../session.js';
import { showList } from './shared.js';

export const create: Run = async (session) => {
  const { flags } = session;
  const hostname = session.arg(0);
  const asked = {
    routerip: flags.text('router-ip'),
    as: flags.text('as'),
    'neighbor-as': flags.text('neighbor-as'),
    neighbor: flags.text('neighbor'),
  };
  if (asked.routerip !== '' && parsePrefix4(asked.routerip) === undefined)
    throw new CommandError('Wrong CIDR format. Enter in x.x.x.x/len format');
  if (asked.neighbor !== '' && ipv4ToNumber(asked.neighbor) === undefined)
    throw new CommandError('Wrong IP format. Enter in x.x.x.x format');
  const lacking = ['router-ip', 'as', 'neighbor-as', 'neighbor'].filter((name) => flags.text(name) === '');
  if (lacking.length > 0)
    throw new CommandError('Missing attributes', { hint: `give ${lacking.map((name) => `--${name}`).join(', ')} as well` });
  const { bgps } = await session.client();
  await bgps.put(hostname, { hostname, ...asked });
  if (session.structured) await session.document(await bgps.get(hostname));
};

export const remove: Run = async (session) => {
  const hostname = session.arg(0);
  if (!session.structured) session.line(`Deleting Bgp router config: ${hostname}`);
  await (await session.client()).bgps.remove(hostname);
  if (session.structured) await session.document({ deleted: hostname });
};

export const inspect: Run = async (session) => session.document(await (await session.client()).bgps.inspect(session.arg(0)));

const columns: readonly Column<Bgp>[] = [
  { head: 'HostName', dashes: '---------', cell: (b) => b.hostname },
  { head: 'RouterIP', dashes: '--------', cell: (b) => b.routerip },
  { head: 'AS', dashes: '-------', cell: (b) => b.as ?? '' },
  { head: 'Neighbor', dashes: '--------', cell: (b) => b.neighbor ?? '' },
  { head: 'NeighborAS', dashes: '-------', cell: (b) => b['neighbor-as'] ?? '' },
];

export const list: Run = async (session) => {
  const rows = (await (await session.client()).bgps.list()).toSorted((a, b) => (a.hostname < b.hostname ? -1 : 1));
  await showList(
    session,
    rows,
    (b) => b.hostname,
    () => table(columns, rows),
  );
};
