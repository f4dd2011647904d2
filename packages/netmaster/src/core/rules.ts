/** Rules of policy rules (spec/contiv §1.4). */
import { hasPorts, itemsOf, parseAddressRange, parsePortRange, portFields, Refusal, type RuleInput } from '@contiv/model';
import { answer, Draft, type Plan } from './plan.js';
import { type EntryOf, keys, type RuleRecord } from './records.js';
import type { State } from './state.js';

/** Posting the same rule again is no error; changing one is. */
export const putRule = (state: State, input: RuleInput): Plan<void> => planRule(state, input, false);

/** Makes the rule what the input says, whatever it was. */
export const setRule = (state: State, input: RuleInput): Plan<void> => planRule(state, input, true);

function planRule(state: State, input: RuleInput, replaces: boolean): Plan<void> {
  refuseMixture(input);
  const { tenantName, policyName, ruleId } = input;
  const policyKey = `${tenantName}:${policyName}`;
  const key = `${policyKey}:${ruleId}`;
  const seen = state.rule(key);
  if (seen && sameRule(seen.record, recordOf(state, input))) return answer(undefined);
  if (seen && !replaces) throw new Refusal('conflict', 'can not update a rule after its created');
  const { policy, record } = checkedRule(state, input);
  const draft = new Draft();
  draft.touch(policy);
  if (seen) draft.replace(seen, record);
  else draft.create('rule', keys.rule(key), record);
  return draft.done(undefined);
}

/** The rule as it would be stored, when there is all that it refers to. */
export function checkedRule(state: State, input: RuleInput): { readonly policy: EntryOf<'policy'>; readonly record: RuleRecord } {
  refuseMixture(input);
  const { tenantName, policyName } = input;
  const policyKey = `${tenantName}:${policyName}`;
  const policy = state.policy(policyKey);
  if (!policy) throw new Refusal('not-found', 'Policy not found', `tenant ${tenantName} has no policy ${policyName}`);
  refuseUnknownPeers(state, input);
  if (input.direction === 'in') for (const own of itemsOf(input.toIpAddress)) refuseForeignTarget(state, policyKey, policyName, own);
  return { policy, record: recordOf(state, input) };
}

/** What would have to be posted for the record. */
export const inputOf = (record: RuleRecord): RuleInput => ({
  ...record,
  fromIpAddress: record.fromNetwork === '' ? record.fromIpAddress : '',
  toIpAddress: record.toNetwork === '' ? record.toIpAddress : '',
});

export function deleteRule(state: State, key: string): Plan<void> {
  const seen = state.rule(key);
  if (!seen) throw new Refusal('not-found', 'rule not found');
  const draft = new Draft();
  // Whoever commits what was staged of the policy has to look again.
  const policy = state.policy(`${seen.record.tenantName}:${seen.record.policyName}`);
  if (policy) draft.touch(policy);
  draft.remove(seen);
  return draft.done(undefined);
}

/** A network as peer is shown with its subnet as well, as Contiv shows it. */
function recordOf(state: State, input: RuleInput): RuleRecord {
  const { key: _key, action, direction, ...rest } = input;
  const subnets = (networks: string) =>
    itemsOf(networks)
      .map((network) => state.network(`${input.tenantName}:${network}`)?.record.subnet ?? '')
      .join(',');
  return {
    ...rest,
    ...portsOf(input),
    direction: direction === 'out' ? 'out' : 'in',
    priority: input.priority === 0 ? 1 : input.priority,
    fromIpAddress: input.fromNetwork === '' ? input.fromIpAddress : subnets(input.fromNetwork),
    toIpAddress: input.toNetwork === '' ? input.toIpAddress : subnets(input.toNetwork),
    action: action === 'allow' ? 'allow' : 'deny',
  };
}

/**
 * A list of one is that one, and shown as such. The first of several is in `port` as well: whoever knows no lists, a program of an earlier
 * version among them, never takes the rule for one about all ports.
 */
function portsOf({ port, endPort, ports }: RuleInput): Pick<RuleRecord, 'port' | 'endPort' | 'ports'> {
  const [first, second] = itemsOf(ports).map(parsePortRange);
  return first ? { ...portFields(first), ports: second ? ports : '' } : { port, endPort, ports };
}

/** The subnet of a network peer is the one it had when the rule was made. */
export function sameRule(old: RuleRecord, asked: RuleRecord): boolean {
  const derived = (field: keyof RuleRecord) =>
    (field === 'fromIpAddress' && asked.fromNetwork !== '') || (field === 'toIpAddress' && asked.toNetwork !== '');
  return (Object.keys(asked) as (keyof RuleRecord)[]).every((field) => derived(field) || old[field] === asked[field]);
}

function refuseMixture(rule: RuleInput): void {
  const refuse = (message: string): never => {
    throw new Refusal('invalid', message);
  };
  const first = portsOf(rule);
  if ((rule.port > 0 || rule.endPort > 0) && (rule.port !== first.port || rule.endPort !== first.endPort))
    refuse(`port is the first of ports ${rule.ports}, or left out`);
  // A port that were ignored would open or close more than was asked for.
  if ((rule.port > 0 || rule.ports !== '') && !hasPorts(rule.protocol))
    refuse(`protocol ${rule.protocol} has no ports; leave the port out`);
  if (rule.endPort > 0 && (rule.port === 0 || rule.endPort < rule.port))
    refuse('endPort is the last port of a range and needs a lower port');
  if (rule.direction === 'in') {
    if (rule.toNetwork !== '' || rule.toEndpointGroup !== '') refuse("can not specify 'to' parameters in incoming rule");
    if (rule.fromNetwork !== '' && rule.fromIpAddress !== '') refuse('can not specify both from network and from ip address');
    if (rule.fromNetwork !== '' && rule.fromEndpointGroup !== '') refuse('can not specify both from network and from EndpointGroup');
    return;
  }
  if (rule.fromNetwork !== '' || rule.fromEndpointGroup !== '' || rule.fromIpAddress !== '')
    refuse("can not specify 'from' parameters in outgoing rule");
  if (rule.toNetwork !== '' && rule.toIpAddress !== '') refuse('can not specify both to-network and to-ip address');
  if (rule.toNetwork !== '' && rule.toEndpointGroup !== '') refuse('can not specify both to-network and to-EndpointGroup');
}

function refuseUnknownPeers(state: State, rule: RuleInput): void {
  const { tenantName } = rule;
  for (const group of [rule.fromEndpointGroup, rule.toEndpointGroup].flatMap(itemsOf)) {
    if (!state.group(`${tenantName}:${group}`))
      throw new Refusal('not-found', 'endpoint group not found', `tenant ${tenantName} has no group ${group}`);
  }
  for (const [end, networks] of [
    ['from', rule.fromNetwork],
    ['to', rule.toNetwork],
  ] as const) {
    for (const network of itemsOf(networks)) {
      if (!state.network(`${tenantName}:${network}`))
        throw new Refusal('not-found', `${end} Network not found`, `tenant ${tenantName} has no network ${network}`);
    }
  }
}

/** An address of the group itself narrows a rule to that container, so there must be one group, and it must have the address. */
function refuseForeignTarget(state: State, policyKey: string, policy: string, text: string): void {
  const groups = [...state.entries('group', state.groupsOfPolicy.of(policyKey))];
  const [group] = groups;
  if (groups.length !== 1 || !group)
    throw new Refusal('conflict', `failed to configure ${text}, ${groups.length} endpoint groups linked to policy ${policy} `);
  const wanted = parseAddressRange(text);
  const { tenantName, groupName } = group.record;
  for (const { record } of state.entries('endpoint', state.endpointsOfGroup.of(group.place.first))) {
    for (const address of [record.ip, record.ip6]) {
      const held = address === undefined ? undefined : parseAddressRange(address);
      if (held && wanted && held.family === wanted.family && held.first >= wanted.first && held.first <= wanted.last) return;
    }
  }
  throw new Refusal('conflict', `failed to configure ${text}, ip address is not in epg ${groupName}:${tenantName}`);
}
