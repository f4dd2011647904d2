/** Policies of any size, by `netctl apply`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repository, run } from './lab.js';

/** A rule nobody meets: of addresses that do not exist here, so that a connection is looked up among all of them in vain. */
export const rule = (i: number) => ({
  ruleId: String(i + 1),
  priority: 1 + (i % 100),
  direction: 'in',
  action: i % 2 === 0 ? 'deny' : 'allow',
  protocol: 'tcp',
  port: 1 + (i % 5_000),
  fromIpAddress: `172.${16 + (i >> 8)}.${i & 255}.0/24`,
});

/** Makes policies of so many rules in the default tenant; answers the seconds that takes. */
export async function applyRules(netmaster: string, sizes: Readonly<Record<string, number>>): Promise<number> {
  const policies = Object.entries(sizes).map(([policyName, count]) => ({
    policyName,
    rules: Array.from({ length: count }, (_, i) => rule(i)),
  }));
  const dir = await mkdtemp(join(tmpdir(), 'contiv-bench-'));
  try {
    // JSON is YAML.
    const file = join(dir, 'rules.yaml');
    await writeFile(file, JSON.stringify({ apiVersion: 'contiv/v1', tenants: [{ tenantName: 'default', policies }] }));
    const start = performance.now();
    await run(`${repository}/bin/netctl`, ['--netmaster', netmaster, 'apply', '-f', file]);
    return (performance.now() - start) / 1000;
  } finally {
    await rm(dir, { recursive: true });
  }
}
