/** The programs and tables in the kernel: loaded once per instance, pinned, found again after a restart, exchanged without a gap. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { BpfMap, close, type LoadedObject, loadObject, type MapShape, pin, pinned, programId } from '@contiv/syscall';
import { DatapathError, reasonOf } from '../errors.js';

export const PROGRAMS = [
  'from_container',
  'to_container',
  'from_tunnel',
  'from_underlay',
  'from_uplink',
  'from_dns',
  'from_outside',
  'from_shaper',
] as const;
export type ProgramName = (typeof PROGRAMS)[number];

export interface Program {
  readonly fd: number;
  readonly id: number;
}
type ByName = Readonly<Record<ProgramName, Program>>;
const byName = (program: (name: ProgramName) => Program): ByName =>
  Object.fromEntries(PROGRAMS.map((name) => [name, program(name)])) as Record<ProgramName, Program>;

/** Pins of an instance: `maps/NAME`, `maps_next/NAME` while an exchange is under way, and `HASH/PROGRAM`. */
const MAPS = 'maps';
/** Without a dot: the BPF filesystem refuses names with one. */
const NEXT = 'maps_next';

export interface Programs {
  readonly programs: ByName;
  readonly map: (name: string) => BpfMap;
  /** Tables that begin empty although an older set is in use: they have to be filled before the programs are exchanged. */
  readonly fresh: readonly string[];
  /** The table of that name that programs of another version are at work with, where these have one of their own; until `commit`. */
  readonly earlier: (name: string) => BpfMap | undefined;
  /** Makes this set the instance's own once all interfaces run it: the next start adopts it, older programs go. */
  commit(): void;
  close(): void;
}

export const sameShape = (a: MapShape, b: MapShape): boolean =>
  a.type === b.type && a.keySize === b.keySize && a.valueSize === b.valueSize && a.maxEntries === b.maxEntries && a.flags === b.flags;

/** Name of the table whose size is the schema's number (bpf/maps.h). */
const SCHEMA = 'schema';

/** @param dir the instance's directory in the BPF filesystem. */
export function openPrograms(objectPath: string, dir: string): Programs {
  const hash = createHash('sha256').update(readFileSync(objectPath)).digest('hex').slice(0, 12);
  mkdirSync(join(dir, MAPS), { recursive: true });
  removeDir(join(dir, NEXT));
  return adopt(dir, hash) ?? load(objectPath, dir, hash);
}

/** Everything is pinned as this very object left it. */
function adopt(dir: string, hash: string): Programs | undefined {
  const fds = PROGRAMS.map((name) => pinned(join(dir, hash, name)));
  const maps = new Map<string, BpfMap>();
  const complete = fds.every((fd) => fd !== undefined);
  if (complete) for (const name of list(join(dir, MAPS))) openInto(maps, join(dir, MAPS, name), name);
  if (!complete || !maps.has(SCHEMA)) {
    for (const fd of fds) if (fd !== undefined) close(fd);
    for (const map of maps.values()) map.close();
    return undefined;
  }
  const program = (fd: number): Program => ({ fd, id: programId(fd) });
  return {
    programs: byName((name) => program(fds[PROGRAMS.indexOf(name)] ?? -1)),
    map: (name) => need(maps, name),
    fresh: [],
    earlier: () => undefined,
    commit: () => forgetOthers(dir, hash),
    close: () => {
      for (const fd of fds) if (fd !== undefined) close(fd);
      for (const map of maps.values()) map.close();
    },
  };
}

function openInto(maps: Map<string, BpfMap>, path: string, name: string): void {
  const map = BpfMap.pinned(path);
  if (map) maps.set(name, map);
}

function load(objectPath: string, dir: string, hash: string): Programs {
  const old = new Map<string, BpfMap>();
  for (const name of list(join(dir, MAPS))) openInto(old, join(dir, MAPS, name), name);
  const fresh: string[] = [];
  let schemaAgrees: boolean | undefined;
  let object: LoadedObject;
  try {
    object = loadObject(objectPath, {
      reuse: (shape) => {
        // The first table of the file is the schema's.
        schemaAgrees ??= shape.name === SCHEMA && sameShape(shape, old.get(SCHEMA)?.shape ?? shape);
        const held = old.get(shape.name);
        if (held && schemaAgrees && sameShape(held.shape, shape)) return held.fd;
        fresh.push(shape.name);
        return undefined;
      },
    });
  } catch (error) {
    for (const map of old.values()) map.close();
    throw new DatapathError(`the BPF programs cannot be loaded: ${reasonOf(error)}`);
  }
  const letGo = (which: (name: string) => boolean): void => {
    for (const [name, map] of [...old].filter(([key]) => which(key))) {
      old.delete(name);
      map.close();
    }
  };
  letGo((name) => !fresh.includes(name));
  const program = (name: ProgramName): Program => {
    const fd = object.programs.get(name);
    if (fd === undefined) throw new DatapathError(`${objectPath} has no program ${name}; it belongs to another version`);
    return { fd, id: programId(fd) };
  };
  return {
    programs: byName(program),
    map: (name) => need(object.maps, name),
    fresh,
    earlier: (name) => old.get(name),
    commit: () => {
      letGo(() => true);
      // Tables first: programs are adopted only together with the tables they use.
      removeDir(join(dir, NEXT));
      mkdirSync(join(dir, NEXT));
      for (const [name, map] of object.maps) if (fresh.includes(name)) map.pin(join(dir, NEXT, name));
      forgetOthers(dir, '');
      for (const name of list(join(dir, NEXT))) renameSync(join(dir, NEXT, name), join(dir, MAPS, name));
      removeDir(join(dir, NEXT));
      for (const name of list(join(dir, MAPS))) if (!object.maps.has(name)) unlinkSync(join(dir, MAPS, name));
      mkdirSync(join(dir, hash), { recursive: true });
      for (const name of PROGRAMS) pin(program(name).fd, join(dir, hash, name));
    },
    close: () => {
      letGo(() => true);
      object.close();
    },
  };
}

function need(maps: ReadonlyMap<string, BpfMap>, name: string): BpfMap {
  const map = maps.get(name);
  if (!map) throw new DatapathError(`the BPF object has no table ${name}; it belongs to another version`);
  return map;
}

function forgetOthers(dir: string, hash: string): void {
  for (const name of list(dir)) if (name !== MAPS && name !== NEXT && name !== hash) removeDir(join(dir, name));
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir).sort();
  } catch {
    return [];
  }
}

/** The BPF filesystem knows only files in directories, two levels deep here. */
function removeDir(dir: string): void {
  for (const name of list(dir)) rmSync(join(dir, name), { force: true });
  try {
    rmdirSync(dir);
  } catch {
    // It was not there.
  }
}

/** Removes every pin of the instance; objects that nothing uses any more go with them. */
export function removePins(dir: string): void {
  for (const name of list(dir)) removeDir(join(dir, name));
  removeDir(dir);
  try {
    rmdirSync(join(dir, '..'));
  } catch {
    // Other instances still have theirs.
  }
}
