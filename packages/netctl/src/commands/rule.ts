import { itemsOf, parsePortRange, portFields, type Rule, type RuleInput } from '@contiv/model';
import type { Run } from '../cli/command.js';
import type { Values } from '../cli/values.js';
import { type Column, table } from '../output/table.js';
import { CommandError } from '../session.js';
import { keyOf } from './policy.js';
import { showList, withoutZeros } from './shared.js';

export const add: Run = async (session) => {
  const { flags } = session;
  refuseMixture(flags);
  const key = `${keyOf(session)}:${session.arg(1)}`;
  const client = await session.client();
  const rule = {
    tenantName: flags.text('tenant'),
    policyName: session.arg(0),
    ruleId: session.arg(1),
    direction: flags.text('direction'),
    priority: flags.number('priority'),
    action: flags.text('action'),
    ...withoutZeros({
      fromEndpointGroup: flags.text('from-group'),
      toEndpointGroup: flags.text('to-group'),
      fromNetwork: flags.text('from-network'),
      toNetwork: flags.text('to-network'),
      fromIpAddress: flags.text('from-ip-address'),
      toIpAddress: flags.text('to-ip-address'),
      protocol: flags.text('protocol'),
      ...portsOf(flags.text('port')),
      log: flags.on('log'),
    }),
  };
  if (flags.on('staged')) {
    const staged = await client.stageRule(keyOf(session), rule);
    if (session.structured) await session.document(staged);
    return;
  }
  await client.rules.put(key, rule);
  if (session.structured) await session.document(await client.rules.get(key));
};

/** `80`, `8000-8100` or several: `80,443,8000-8100`. */
function portsOf(text: string): Pick<RuleInput, 'port' | 'endPort' | 'ports'> {
  const items = text === '0' ? [] : itemsOf(text);
  for (const item of items)
    if (!parsePortRange(item)) throw new CommandError(`Invalid port ${item} - Enter a number or a range like 8000-8100`);
  const [range] = items.length === 1 ? items.map(parsePortRange) : [];
  return range ? { ...portFields(range), ports: '' } : { port: 0, endPort: 0, ports: items.join(',') };
}

/** What Contiv's client refuses by itself, in its words (spec/contiv §3.3). */
function refuseMixture(flags: Values): void {
  const given = (name: string) => flags.text(name) !== '';
  const refuse = (message: string): never => {
    throw new CommandError(message);
  };
  switch (flags.text('direction')) {
    case 'in':
      if (given('to-group')) refuse('Cant specify to-group for incoming rule');
      if (given('to-network')) refuse('Cant specify to-network for incoming rule');
      if (given('from-group') && given('from-network')) refuse("Can't specify both from-group argument and -from-network ");
      return;
    case 'out':
      if (given('from-group')) refuse('Cant specify from-group for outgoing rule');
      if (given('from-network')) refuse('Cant specify from-network for outgoing rule');
      if (given('from-ip-address')) refuse('Cant specify from-ip-address for outgoing rule');
      if (given('to-group') && given('to-network')) refuse("Can't specify both -to-group and -to-network");
      return;
    default:
      refuse('Unknown direction');
  }
}

export const remove: Run = async (session) => {
  const key = `${keyOf(session)}:${session.arg(1)}`;
  const client = await session.client();
  if (session.flags.on('staged')) await client.unstageRule(keyOf(session), session.arg(1));
  else await client.rules.remove(key);
  if (session.structured) await session.document({ deleted: key });
};

const rule: Column<Rule> = { head: 'Rule', dashes: '----', cell: (r) => r.ruleId };
const priority: Column<Rule> = { head: 'Priority', dashes: '--------', cell: (r) => String(r.priority ?? 0) };
const toIpAddress: Column<Rule> = { head: 'To IpAddress', dashes: '------------', cell: (r) => r.toIpAddress ?? '' };
const what: readonly Column<Rule>[] = [
  { head: 'Protocol', dashes: '--------', cell: (r) => r.protocol ?? '' },
  { head: 'Port', dashes: '----', cell: (r) => r.ports ?? (r.endPort === undefined ? String(r.port ?? 0) : `${r.port}-${r.endPort}`) },
  { head: 'Action', dashes: '------', cell: (r) => r.action },
];
/** Heads and dashes as Contiv's, to the letter (spec/contiv §3.3). */
const incoming: readonly Column<Rule>[] = [
  rule,
  priority,
  { head: 'From EndpointGroup', dashes: '------------------', cell: (r) => r.fromEndpointGroup ?? '' },
  { head: 'From Network', dashes: '------------', cell: (r) => r.fromNetwork ?? '' },
  { head: 'From IpAddress', dashes: '---------', cell: (r) => r.fromIpAddress ?? '' },
  toIpAddress,
  ...what,
];
const outgoing: readonly Column<Rule>[] = [
  rule,
  priority,
  { head: 'To EndpointGroup', dashes: '----------------', cell: (r) => r.toEndpointGroup ?? '' },
  { head: 'To Network', dashes: '----------', cell: (r) => r.toNetwork ?? '' },
  { ...toIpAddress, dashes: '---------' },
  ...what,
];

export const list: Run = async (session) => {
  const client = await session.client();
  await client.tenants.get(session.flags.text('tenant'));
  await client.policies.get(keyOf(session));
  const tenant = session.flags.text('tenant');
  const all = await client.rules.list();
  const rows = all
    .filter((r) => r.tenantName === tenant && r.policyName === session.arg(0))
    .toSorted((a, b) => (a.priority ?? 0) - (b.priority ?? 0) || a.ruleId.localeCompare(b.ruleId, 'en', { numeric: true }));
  const direction = (way: string) => rows.filter((r) => r.direction === way);
  await showList(
    session,
    rows,
    (r) => r.ruleId,
    () => `Incoming Rules:\n${table(incoming, direction('in'))}Outgoing Rules:\n${table(outgoing, direction('out'))}`,
  );
};
