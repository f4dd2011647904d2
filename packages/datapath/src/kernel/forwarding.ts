/**
 * Docker sets the policy of iptables' FORWARD chain to DROP, and with IPv6 networks that of ip6tables', and what another table accepts is dropped there all the same. One chain of
 * ours, asked after everybody else's rules and only where those said nothing.
 */
import { execFile } from 'node:child_process';
import { OUTSIDE_DEVICE } from './names.js';

const CHAIN = 'CONTIV-FORWARD';
const RULES = [
  `-A ${CHAIN} -i ${OUTSIDE_DEVICE} -j ACCEPT`,
  `-A ${CHAIN} -o ${OUTSIDE_DEVICE} -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT`,
];
const JUMP = `-A FORWARD -j ${CHAIN}`;

/** The command of each family. */
const PROGRAMS = ['iptables', 'ip6tables'] as const;
export type IptablesProgram = (typeof PROGRAMS)[number];

interface Listing {
  readonly rules: readonly string[];
  readonly jumps: number;
}

/** `undefined`: there is no iptables here, and so nobody who drops by it. */
async function listing(program: IptablesProgram): Promise<Listing | undefined> {
  const all = await iptables(program, ['-w', '5', '-S']).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (all === undefined) return undefined;
  const lines = all.split('\n');
  return { rules: lines.filter((line) => line.startsWith(`-A ${CHAIN} `)), jumps: lines.filter((line) => line === JUMP).length };
}

/** Answers whether anything had to be written. */
export async function ensureForwarding(program: IptablesProgram): Promise<boolean> {
  const held = await listing(program);
  if (!held || (held.rules.join() === RULES.join() && held.jumps === 1)) return false;
  const text = ['*filter', `:${CHAIN} - [0:0]`, ...RULES, ...(held.jumps === 0 ? [JUMP] : []), 'COMMIT', ''].join('\n');
  await iptables(`${program}-restore`, ['-w', '5', '--noflush'], text);
  for (let extra = held.jumps; extra > 1; extra--) await iptables(program, ['-w', '5', '-D', 'FORWARD', '-j', CHAIN]);
  return true;
}

export async function removeForwarding(programs: readonly IptablesProgram[] = PROGRAMS): Promise<void> {
  for (const program of programs) {
    const held = await listing(program).catch((error: unknown) => {
      // A kernel without IPv6 has nothing of ours there.
      if (program === 'ip6tables') return undefined;
      throw error;
    });
    if (!held || (held.rules.length === 0 && held.jumps === 0)) continue;
    for (let jump = held.jumps; jump > 0; jump--) await iptables(program, ['-w', '5', '-D', 'FORWARD', '-j', CHAIN]);
    await iptables(program, ['-w', '5', '-F', CHAIN]);
    await iptables(program, ['-w', '5', '-X', CHAIN]);
  }
}

/** What there is of ours, of IPv4 and of IPv6. */
export async function listForwarding(): Promise<string[]> {
  const all = await Promise.all(PROGRAMS.map((program) => listing(program).catch(() => undefined)));
  return all.flatMap((held) => (held ? [...Array.from({ length: held.jumps }, () => JUMP), ...held.rules] : []));
}

function iptables(program: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { timeout: 15_000, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      if (!error) resolve(stdout);
      else if ('code' in error && error.code === 'ENOENT') reject(error);
      else reject(new Error(`${program} refused: ${stderr.trim().split('\n')[0] ?? error.message}`));
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}
