/** Other compilers and older kernels: the programs do not live by the instructions of one `-mcpu`, and are loaded in no time. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadObject, verifiedInstructions } from '@contiv/syscall';
import { expect, it } from 'vitest';
import { PROGRAMS } from '../kernel/programs.js';

const SOURCE = fileURLToPath(new URL('../../bpf/contiv.bpf.c', import.meta.url));
/** Twice of what they take; functions that are verified for every state a packet may come in take ten times as many. */
const MOST = 200_000;

it.each(['v2', 'v3'])('compiled for -mcpu=%s the verifier takes every program, and not long', (cpu) => {
  const dir = mkdtempSync(join(tmpdir(), 'contiv-cpu-'));
  try {
    const object = join(dir, 'contiv.bpf.o');
    const arch = execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim();
    execFileSync('clang', ['-O2', '-g', '-target', 'bpf', `-mcpu=${cpu}`, `-I/usr/include/${arch}-linux-gnu`, '-c', SOURCE, '-o', object]);
    const loaded = loadObject(object);
    expect([...loaded.programs.keys()].sort()).toEqual([...PROGRAMS].sort());
    const verified = [...loaded.programs.values()].reduce((sum, fd) => sum + verifiedInstructions(fd), 0);
    expect(verified).toBeGreaterThan(0);
    expect(verified).toBeLessThan(MOST);
    loaded.close();
  } finally {
    rmSync(dir, { recursive: true });
  }
});
