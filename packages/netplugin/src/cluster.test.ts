import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openRig } from './testing/rig.js';

test('a snapshot that the disk does not take is a problem until it does, and is written then', async () => {
  const rig = await openRig();
  const file = join(rig.dir, 'snapshot.json');
  try {
    await expect.poll(() => existsSync(file)).toBe(true);
    expect(rig.cluster.unsaved).toBe('');
    rmSync(file);
    mkdirSync(file);
    rig.master.addNetwork('default', 'late', '10.1.9.0');
    await expect.poll(() => rig.cluster.unsaved).toMatch(/snapshot\.json cannot be written: EISDIR.*make room on its disk/);
    rmSync(file, { recursive: true });
    await expect.poll(() => rig.cluster.unsaved).toBe('');
    expect(readFileSync(file, 'utf8')).toContain('default:late');
  } finally {
    await rig.close();
  }
});
