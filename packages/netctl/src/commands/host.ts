import type { HostInfo } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { column, printable, table } from '../output/table.js';
import { CommandError, EXIT } from '../session.js';
import { showList } from './shared.js';

export function hostTable(rows: readonly HostInfo[], wide: boolean): string {
  const columns = [
    column('Host', (h: HostInfo) => h.name),
    column('State', (h: HostInfo) => (h.alive ? 'connected' : 'silent')),
    column('VTEP', (h: HostInfo) => h.vtepIp),
    column('Endpoints', (h: HostInfo) => String(h.numEndpoints ?? 0)),
    column('Silent since', (h: HostInfo) => h.silentSince ?? ''),
  ];
  const more = [
    column('Control', (h: HostInfo) => h.control),
    column('VXLAN port', (h: HostInfo) => String(h.vxlanPort)),
    column('MTU', (h: HostInfo) => String(h.mtu)),
    column('Version', (h: HostInfo) => h.version),
  ];
  return table(wide ? [...columns, ...more] : columns, rows);
}

export const sortHosts = (hosts: readonly HostInfo[]): HostInfo[] => hosts.toSorted((a, b) => (a.name < b.name ? -1 : 1));

export const list: Run = async (session) => {
  const rows = sortHosts(await (await session.client()).hosts());
  await showList(
    session,
    rows,
    (h) => h.name,
    (wide) => hostTable(rows, wide),
  );
};

export const inspect: Run = async (session) => session.document(await (await session.client()).host(session.arg(0)));

export const remove: Run = async (session) => {
  const name = session.arg(0);
  if (!session.structured) session.line(`Deleting host ${name}`);
  await (await session.client()).removeHost(name);
  if (session.structured) await session.document({ deleted: name });
};

export const rules: Run = async (session) => {
  const lines = await (await session.client()).hostRules(session.arg(0));
  if (session.structured) await session.document({ rules: lines });
  else for (const line of lines) session.line(line);
};

export const repair: Run = async (session) => {
  const host = session.arg(0);
  const { repaired, failed } = await (await session.client()).repairHost(host);
  if (session.structured) await session.document({ repaired, failed });
  else {
    for (const sentence of repaired) session.line(printable(`mended on ${host}: ${sentence}`));
    if (repaired.length === 0) session.line(`nothing differed on ${host}`);
  }
  if (failed.length > 0) throw new CommandError(`not everything could be mended on ${host}: ${failed.join('; ')}`, { exit: EXIT.api });
};
