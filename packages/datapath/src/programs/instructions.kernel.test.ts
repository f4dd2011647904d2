/** Other compilers and older kernels: the programs do not live by the instructions of one `-mcpu`. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadObject } from '@contiv/syscall';
import { expect, it } from 'vitest';
import { PROGRAMS } from '../kernel/programs.js';

const SOURCE = fileURLToPath(new URL('../../bpf/contiv.bpf.c', import.meta.url));

it('compiled for -mcpu=v2 the verifier takes every program', () => {
  const dir = mkdtempSync(join(tmpdir(), 'contiv-cpu-'));
  try {
    const object = join(dir, 'contiv.bpf.o');
    const arch = execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim();
    execFileSync('clang', ['-O2', '-g', '-target', 'bpf', '-mcpu=v2', `-I/usr/include/${arch}-linux-gnu`, '-c', SOURCE, '-o', object]);
    const loaded = loadObject(object);
    expect([...loaded.programs.keys()].sort()).toEqual([...PROGRAMS].sort());
    loaded.close();
  } finally {
    rmSync(dir, { recursive: true });
  }
});
