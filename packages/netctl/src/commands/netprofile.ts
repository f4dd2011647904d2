import type { Netprofile } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { type Column, table } from '../output/table.js';
import type { Session } from '../session.js';
import { ofTenant, showList, sorted, withoutZeros } from './shared.js';

const keyOf = (session: Session): string => `${session.flags.text('tenant')}:${session.arg(0)}`;

export const create: Run = async (session) => {
  const { flags } = session;
  const key = keyOf(session);
  const { netprofiles } = await session.client();
  await netprofiles.put(key, {
    tenantName: flags.text('tenant'),
    profileName: session.arg(0),
    ...withoutZeros({ bandwidth: flags.text('bandwidth'), DSCP: flags.number('dscp'), burst: flags.number('burst') }),
  });
  if (session.structured) return session.document(await netprofiles.get(key));
  session.line(`Creating netprofile ${key}`);
};

export const remove: Run = async (session) => {
  const key = keyOf(session);
  await (await session.client()).netprofiles.remove(key);
  if (session.structured) await session.document({ deleted: key });
};

export const inspect: Run = async (session) => session.document(await (await session.client()).netprofiles.inspect(keyOf(session)));

/** The number with its unit spelt out. */
export function rate(text: string): string {
  const unit = /[gmk]/i.exec(text)?.[0]?.toUpperCase();
  return unit === undefined ? text : `${Number.parseInt(text, 10)}${unit}bps`;
}

const columns: readonly Column<Netprofile>[] = [
  { head: 'Name', dashes: '------', cell: (p) => p.profileName },
  { head: 'Tenant', dashes: '------', cell: (p) => p.tenantName },
  { head: 'Bandwidth', dashes: '---------', cell: (p) => rate(p.bandwidth ?? '') },
  { head: 'DSCP', dashes: '--------', cell: (p) => String(p.DSCP ?? 0) },
  { head: 'burst size', dashes: '----------', cell: (p) => String(p.burst ?? 0) },
];

export const list: Run = async (session) => {
  const { netprofiles } = await session.client();
  const rows = sorted(
    await ofTenant(session, () => netprofiles.list()),
    (p) => p.tenantName,
    (p) => p.profileName,
  );
  await showList(
    session,
    rows,
    (p) => p.profileName,
    () => table(columns, rows),
  );
};
