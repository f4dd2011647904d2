/**
 * Docker sets the policy of iptables' FORWARD chain to DROP, and with IPv6 networks that of ip6tables'; administrators set that of INPUT. What
 * another table accepts is dropped there all the same. So each has one chain of ours, asked after everybody else's rules and only where
 * those said nothing.
 */
import { execFile } from 'node:child_process';
import { DNS_SERVICE_IP } from '../contract.js';
import { DNS_DEVICE, OUTSIDE_DEVICE } from './names.js';
import { nft } from './nft.js';

/** A chain of ours and the one it is asked from. */
interface Leave {
  readonly from: string;
  readonly chain: string;
  readonly rules: readonly string[];
}

const leave = (from: string, rules: readonly string[]): Leave => ({
  from,
  chain: `CONTIV-${from}`,
  rules: rules.map((rule) => `-A CONTIV-${from} ${rule} -j ACCEPT`),
});

const FORWARD = leave('FORWARD', [`-i ${OUTSIDE_DEVICE}`, `-o ${OUTSIDE_DEVICE} -m conntrack --ctstate RELATED,ESTABLISHED,DNAT`]);
/** Questions of our containers, and of those on Docker's own bridges, whose engine has them ask us too. */
const INPUT = leave(
  'INPUT',
  [DNS_DEVICE, 'docker+', 'br-+'].flatMap((device) =>
    ['udp', 'tcp'].map((protocol) => `-d ${DNS_SERVICE_IP}/32 -i ${device} -p ${protocol} -m ${protocol} --dport 53`),
  ),
);

/** The command of each family, and what it has to do with us. */
const LEAVES = { iptables: [FORWARD, INPUT], ip6tables: [FORWARD] } as const;
export type IptablesProgram = keyof typeof LEAVES;
const PROGRAMS = ['iptables', 'ip6tables'] as const satisfies readonly IptablesProgram[];

interface Listing {
  readonly rules: readonly string[];
  readonly jumps: number;
}

/** `undefined`: there is no iptables here, and so nobody who drops by it. */
async function listing(program: IptablesProgram, { from, chain }: Leave): Promise<Listing | undefined> {
  const all = await iptables(program, ['-w', '5', '-S']).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (all === undefined) return undefined;
  const lines = all.split('\n');
  return {
    rules: lines.filter((line) => line.startsWith(`-A ${chain} `)),
    jumps: lines.filter((line) => line === jumpOf({ from, chain })).length,
  };
}

const jumpOf = ({ from, chain }: Pick<Leave, 'from' | 'chain'>): string => `-A ${from} -j ${chain}`;

async function ensure(program: IptablesProgram, leave: Leave, held: Listing | undefined): Promise<boolean> {
  const { from, chain, rules } = leave;
  if (!held || (held.rules.join() === rules.join() && held.jumps === 1)) return false;
  const text = ['*filter', `:${chain} - [0:0]`, ...rules, ...(held.jumps === 0 ? [jumpOf(leave)] : []), 'COMMIT', ''].join('\n');
  await iptables(`${program}-restore`, ['-w', '5', '--noflush'], text);
  for (let extra = held.jumps; extra > 1; extra--) await iptables(program, ['-w', '5', '-D', from, '-j', chain]);
  return true;
}

async function remove(program: IptablesProgram, leave: Leave): Promise<void> {
  const { from, chain } = leave;
  const held = await listing(program, leave).catch((error: unknown) => {
    // A kernel without IPv6 has nothing of ours there.
    if (program === 'ip6tables') return undefined;
    throw error;
  });
  if (!held || (held.rules.length === 0 && held.jumps === 0)) return;
  for (let jump = held.jumps; jump > 0; jump--) await iptables(program, ['-w', '5', '-D', from, '-j', chain]);
  await iptables(program, ['-w', '5', '-F', chain]);
  await iptables(program, ['-w', '5', '-X', chain]);
  await removeBare(program);
}

/** A table `filter` in which nothing is decided, as nft lists it: chains that iptables makes with the first rule, and no rule. */
const BARE = /^table ip6? filter \{\s*(?:chain \w+ \{\s*type filter hook \w+ priority \w+; policy accept;\s*\}\s*)+\}\s*$/;

/** The first rule made iptables' own table, where there was none; without a rule in it it goes, unless somebody adds one in this moment. */
async function removeBare(program: IptablesProgram): Promise<void> {
  const table = `${program === 'iptables' ? 'ip' : 'ip6'} filter`;
  const held = await nft(['list', 'table', ...table.split(' ')]).catch(() => '');
  // Some versions warn before it that it is iptables'.
  if (!BARE.test(held.replaceAll(/^#.*\n/gm, ''))) return;
  // The kernel deletes no chain that has a rule, and of one transaction all or nothing.
  const chains = [...held.matchAll(/chain (\w+) \{/g)].map(([, name]) => `delete chain ${table} ${name ?? ''}`);
  await nft(['-f', '-'], [...chains, `delete table ${table}`, ''].join('\n')).catch(() => undefined);
}

/** Containers may ask for names; answers whether anything had to be written. Where iptables cannot be read it most likely drops nothing. */
export const ensureInput = async (): Promise<boolean> => ensure('iptables', INPUT, await listing('iptables', INPUT).catch(() => undefined));
export const removeInput = (): Promise<void> => remove('iptables', INPUT);

/** What the way out needs; answers whether anything had to be written. */
export const ensureForwarding = async (program: IptablesProgram): Promise<boolean> =>
  ensure(program, FORWARD, await listing(program, FORWARD));

export async function removeForwarding(programs: readonly IptablesProgram[] = PROGRAMS): Promise<void> {
  for (const program of programs) await remove(program, FORWARD);
}

/** What there is of ours, of IPv4 and of IPv6. */
export async function listChains(): Promise<string[]> {
  const leaves = PROGRAMS.flatMap((program) => LEAVES[program].map((leave) => ({ program, leave })));
  const all = await Promise.all(
    leaves.map(async ({ program, leave }) => {
      const held = await listing(program, leave).catch(() => undefined);
      return held ? [...Array.from({ length: held.jumps }, () => jumpOf(leave)), ...held.rules] : [];
    }),
  );
  return all.flat();
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
