/** Layouts as the compiler sees them: the type information of the compiled program, read through bpftool. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { findObject } from '../kernel/probe.js';

export interface Layout {
  readonly size: number;
  /** Byte offset of each member. */
  readonly at: Readonly<Record<string, number>>;
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
const array = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

/** Every named struct of the object, by name. */
export function layouts(object = findObject()): Map<string, Layout> {
  if (!existsSync(object)) throw new Error(`${object} is not built; make build`);
  const dump: unknown = JSON.parse(
    execFileSync('bpftool', ['btf', 'dump', 'file', object, '-j'], { encoding: 'utf8', maxBuffer: 1 << 26 }),
  );
  const found = new Map<string, Layout>();
  for (const type of array(record(dump).types).map(record)) {
    if (type.kind !== 'STRUCT' || typeof type.name !== 'string' || typeof type.size !== 'number') continue;
    const at: Record<string, number> = {};
    for (const member of array(type.members).map(record))
      if (typeof member.name === 'string' && typeof member.bits_offset === 'number') at[member.name] = member.bits_offset / 8;
    found.set(type.name, { size: type.size, at });
  }
  return found;
}
