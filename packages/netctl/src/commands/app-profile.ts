import type { AppProfile } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { type Column, table } from '../output/table.js';
import type { Session } from '../session.js';
import { ofTenant, showList, sorted, withoutZeros } from './shared.js';

const keyOf = (session: Session): string => `${session.flags.text('tenant')}:${session.arg(0)}`;

const put = async (session: Session): Promise<string> => {
  const key = keyOf(session);
  const { appProfiles } = await session.client();
  const endpointGroups = session.flags
    .text('group')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  await appProfiles.put(key, {
    tenantName: session.flags.text('tenant'),
    appProfileName: session.arg(0),
    ...withoutZeros({ endpointGroups }),
  });
  if (session.structured) await session.document(await appProfiles.get(key));
  return key;
};

export const create: Run = async (session) => {
  const key = await put(session);
  if (!session.structured) session.line(`Creating AppProfile ${key}`);
};

export const update: Run = async (session) => {
  await put(session);
};

export const remove: Run = async (session) => {
  const key = keyOf(session);
  await (await session.client()).appProfiles.remove(key);
  if (session.structured) await session.document({ deleted: key });
};

const columns: readonly Column<AppProfile>[] = [
  { head: 'Tenant', dashes: '------', cell: (p) => p.tenantName },
  { head: 'AppProfile', dashes: '----------', cell: (p) => p.appProfileName },
  { head: 'Groups', dashes: '------', cell: (p) => (p.endpointGroups ?? []).join(',') },
];

export const list: Run = async (session) => {
  const { appProfiles } = await session.client();
  const rows = sorted(
    await ofTenant(session, () => appProfiles.list()),
    (p) => p.tenantName,
    (p) => p.appProfileName,
  );
  await showList(
    session,
    rows,
    (p) => p.appProfileName,
    () => table(columns, rows),
  );
};

export const groupList: Run = async (session) => {
  const profile = await (await session.client()).appProfiles.get(keyOf(session));
  const groups = profile.endpointGroups ?? [];
  await session.show(profile, () => (session.flags.on('quiet') ? groups.map((g) => `${g}\n`).join('') : `${groups.join(',')}\n`));
};
