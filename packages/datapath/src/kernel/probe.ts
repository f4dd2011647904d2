/** What this host must have before anything is made; each absence is one sentence. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { isErrno, mount, probeLibbpf, unmount } from '@contiv/syscall';
import { DatapathError, reasonOf } from '../errors.js';
import { BPFFS } from './names.js';

const BPF_FS_MAGIC = 0xcafe4a11;
/** Told by the source of a bpffs that we mounted, in /proc/mounts. */
const OUR_MOUNT = 'contiv';

/** `5.15.0-91-generic` → [5, 15]. */
export function kernelVersion(text: string): readonly [number, number] {
  const match = /^(\d+)\.(\d+)/.exec(text);
  return [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
}

export function isAtLeast(text: string, major: number, minor: number): boolean {
  const [a, b] = kernelVersion(text);
  return a > major || (a === major && b >= minor);
}

export function probeHost(): void {
  if (process.getuid?.() !== 0) throw new DatapathError('netplugin has to run as root: it makes network interfaces and loads BPF programs');
  if (!isAtLeast(release(), 5, 15)) throw new DatapathError(`kernel ${release()} is too old; the data path needs 5.15 or newer`);
  try {
    probeLibbpf();
  } catch (error) {
    throw new DatapathError(`libbpf.so.1 cannot be loaded (${reasonOf(error)}); install the package libbpf1`);
  }
  ensureBpffs();
}

function ensureBpffs(): void {
  try {
    mkdirSync(BPFFS, { recursive: true });
    if (statfsSync(BPFFS).type === BPF_FS_MAGIC) return;
    mount(OUR_MOUNT, BPFFS, 'bpf');
  } catch (error) {
    throw new DatapathError(`the BPF filesystem cannot be mounted on ${BPFFS} (${reasonOf(error)}); mount it: mount -t bpf bpf ${BPFFS}`);
  }
}

/** Unmounts a BPF filesystem that we mounted, once nothing is pinned in it. */
export function releaseBpffs(): void {
  try {
    const ours = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .some((line) => line.startsWith(`${OUR_MOUNT} ${BPFFS} bpf `));
    // Names with a dot are the kernel's own: nobody else can make them.
    if (ours && readdirSync(BPFFS).every((name) => name.includes('.'))) unmount(BPFFS);
  } catch (error) {
    if (!isErrno(error, 'EBUSY', 'EINVAL', 'EPERM')) throw error;
  }
}

/** `CONTIV_BPF_OBJECT`, else the file beside the running bundle, else the one `make build` left in the repository. */
export function findObject(env: NodeJS.ProcessEnv = process.env): string {
  const given = env.CONTIV_BPF_OBJECT;
  const here = import.meta.dirname;
  const candidates = given ? [given] : [join(here, 'contiv.bpf.o'), join(here, '../../../../build/contiv.bpf.o')];
  const found = candidates.find((path) => existsSync(path));
  if (found === undefined) {
    throw new DatapathError(
      given
        ? `CONTIV_BPF_OBJECT names ${given}, which does not exist`
        : 'the BPF program contiv.bpf.o is not beside netplugin; build it with make build, or name it in CONTIV_BPF_OBJECT',
    );
  }
  return found;
}

/** The object for trials lies beside the programs'. */
export const trialObject = (): string => findObject().replace(/\.bpf\.o$/, '-trial.bpf.o');
