/** Staged policies: `policy stage`, `diff`, `commit` and `discard`. */
import { type AffectedConnection, ruleIntents, type StagedEffect } from '@contiv/model';
import type { Run } from '../cli/command.js';
import { readDocument } from '../intent/file.js';
import { changeLines, summaryOf } from '../output/changes.js';
import { printable } from '../output/table.js';
import { EXIT } from '../session.js';
import { fileOf } from './intent.js';
import { keyOf } from './policy.js';

export const stage: Run = async (session) => {
  const key = keyOf(session);
  const file = session.flags.text('file') === '' ? undefined : await fileOf(session);
  const rules = file && readDocument(ruleIntents, file.text, file.name).value;
  const staged = await (await session.client()).stage(key, rules);
  await session.show(
    staged,
    () =>
      `Policy ${key} is staged: ${staged.changes.length === 0 ? 'no rule differs yet' : summaryOf(staged.changes, false)}\n${changeLines(staged.changes)}`,
  );
};

export const diff: Run = async (session) => {
  const effect = await (await session.client()).stagedEffect(keyOf(session));
  session.exit = effect.changes.length === 0 ? EXIT.ok : EXIT.differs;
  await session.show(effect, () => effectText(effect));
};

export const commit: Run = async (session) => {
  const key = keyOf(session);
  const staged = await (await session.client()).commitStaged(key);
  await session.show(staged, () => `${changeLines(staged.changes)}Policy ${key}: ${summaryOf(staged.changes, true)}\n`);
};

export const discard: Run = async (session) => {
  const key = keyOf(session);
  await (await session.client()).discardStaged(key);
  if (session.structured) return session.document({ discarded: key });
  session.line(`What was staged of policy ${key} is dropped`);
};

const PROTOCOLS: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6' };

function effectText(effect: StagedEffect): string {
  const part = (title: string, meant: (connection: AffectedConnection) => boolean) => {
    const list = effect.connections.filter(meant);
    const none = effect.leftOut === undefined ? 'none' : 'none of those that are shown';
    return list.length === 0
      ? `${title}: ${none}\n`
      : `${title}:\n${list.map((connection) => `${printable(connectionText(connection))}\n`).join('')}`;
  };
  return [
    effect.changes.length === 0 ? 'No rule differs\n' : changeLines(effect.changes),
    effect.stale ? 'The policy has changed since: it cannot be committed. Discard it and stage it again\n' : '',
    part('Would be cut', (c) => c.effect === 'cut' && c.live),
    part('Recorded, would have been denied', (c) => c.effect === 'cut' && !c.live),
    part('Denied, would be allowed', (c) => c.effect === 'open'),
    effect.leftOut === undefined ? '' : `… and ${effect.leftOut} more that are not shown\n`,
    `${effect.examined === 1 ? '1 connection' : `${effect.examined} connections`} looked at`,
    effect.unexamined === undefined ? '\n' : `; ${effect.unexamined} more were not, which would take too long\n`,
    ...effect.missing.map(({ host, reason }) => `${printable(`Not everything is known of host ${host}: ${reason}`)}\n`),
  ].join('');
}

/** `  tcp web1 (10.1.1.1, group web) -> db1 (10.1.1.2, group db) port 5432, 3 connections, by rule db:1` */
function connectionText({ protocol, from, to, count, rule }: AffectedConnection): string {
  const end = ({ ip, container, group }: AffectedConnection['from']) =>
    container === undefined ? ip : `${container} (${ip}${group === undefined ? '' : `, group ${group}`})`;
  const port = protocol === 1 || protocol === 58 ? '' : ` port ${to.port}`;
  const by = rule === undefined ? "by the tenant's default" : `by rule ${rule}`;
  return `  ${PROTOCOLS[protocol] ?? `protocol ${protocol}`} ${end(from)} -> ${end(to)}${port}, ${count === 1 ? '1 connection' : `${count} connections`}, ${by}`;
}
