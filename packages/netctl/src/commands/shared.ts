/** What the commands on objects have in common. */
import { ApiError } from '@contiv/client';
import type { Session } from '../session.js';

/** Ascending by the texts, one after the other; the tenant `default` comes before the others. */
export function sorted<T>(rows: readonly T[], tenant: (row: T) => string, ...then: readonly ((row: T) => string)[]): T[] {
  const first = (row: T): string => (tenant(row) === 'default' ? '' : tenant(row));
  const by = [first, ...then];
  return rows.toSorted((a, b) => {
    for (const text of by) {
      if (text(a) !== text(b)) return text(a) < text(b) ? -1 : 1;
    }
    return 0;
  });
}

/** Those of the tenant `-t` names, or all with `-a`. Fails when there is no such tenant, as Contiv does. */
export async function ofTenant<T extends { tenantName: string }>(session: Session, list: () => Promise<T[]>): Promise<T[]> {
  const tenant = session.flags.text('tenant');
  await (await session.client()).tenants.get(tenant);
  const all = await list();
  return session.flags.on('all') ? all : all.filter((object) => object.tenantName === tenant);
}

/** A list: JSON or YAML before names only, names only before the table (spec/contiv §3.1). */
export async function showList<T>(
  session: Session,
  rows: readonly T[],
  name: (row: T) => string,
  text: (wide: boolean) => string | Promise<string>,
): Promise<void> {
  const quiet = session.flags.on('quiet') && !session.structured;
  await session.show(rows, quiet ? () => rows.map((row) => `${name(row)}\n`).join('') : text);
}

/** At most eight at a time, results in order. What is deleted while we ask is left out. */
export async function inspectAll<T, R>(items: readonly T[], inspect: (item: T) => Promise<R>): Promise<R[]> {
  const found = new Map<number, R>();
  const queue = [...items.entries()].toReversed();
  const worker = async () => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const [index, item] = next;
      try {
        found.set(index, await inspect(item));
      } catch (error) {
        if (!(error instanceof ApiError && error.code === 'not-found')) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(8, items.length) }, worker));
  return [...found].toSorted(([a], [b]) => a - b).map(([, result]) => result);
}

/** The members that are neither empty nor zero, as netmaster keeps them. */
export function withoutZeros<T extends object>(object: T): Partial<T> {
  const kept = Object.entries(object).filter(([, v]) => v !== '' && v !== 0 && v !== false && !(Array.isArray(v) && v.length === 0));
  return Object.fromEntries(kept) as Partial<T>;
}
