/** Changes of objects as text, a line each. Pure. */
import type { FieldChange, ObjectChange } from '@contiv/model';
import { longest, printable } from './table.js';

const SIGNS = { create: '+', update: '~', delete: '-' } as const;
const DONE = { create: 'created', update: 'updated', delete: 'deleted' } as const;

/** `+ rule blue:web:1  action=deny direction=in` */
export function changeLines(changes: readonly ObjectChange[]): string {
  const width = longest(changes, ({ kind, key }) => (kind.length + key.length + 1 <= 40 ? kind.length + key.length + 1 : 0));
  return changes
    .map((change) => {
      const { action, kind, key, fields } = change;
      const what = `${kind} ${key}`;
      const text =
        action === 'delete'
          ? ''
          : fields
              .filter((f) => !namesOf(kind).includes(f.field))
              .map((f) => fieldText(f, action === 'create'))
              .join(' ');
      return `${printable(`${SIGNS[action]} ${what.padEnd(text === '' ? 0 : width)}${text === '' ? '' : `  ${text}`}`)}\n`;
    })
    .join('');
}

/** `port=80`, or `port: 80 -> 81`. */
function fieldText({ field, before, after }: FieldChange, made: boolean): string {
  return made ? `${field}=${valueText(after)}` : `${field}: ${valueText(before)} -> ${valueText(after)}`;
}

const valueText = (value: unknown): string =>
  value === undefined
    ? '(none)'
    : Array.isArray(value)
      ? value.map(String).join(',')
      : typeof value === 'string'
        ? value
        : JSON.stringify(value);

/** Members that say what the key says already. */
function namesOf(kind: string): readonly string[] {
  const own: Readonly<Record<string, string>> = {
    network: 'networkName',
    netprofile: 'profileName',
    extContracts: 'contractsGroupName',
    group: 'groupName',
    rule: 'ruleId',
    appProfile: 'appProfileName',
    service: 'serviceName',
    bgp: 'hostname',
    aciGw: 'name',
  };
  return ['tenantName', 'policyName', ...(own[kind] === undefined ? [] : [own[kind]])];
}

/** `3 created, 1 updated` or `3 to create, 1 to update`. */
export function summaryOf(changes: readonly ObjectChange[], done: boolean): string {
  const parts = (['create', 'update', 'delete'] as const).flatMap((action) => {
    const count = changes.filter((c) => c.action === action).length;
    return count === 0 ? [] : [done ? `${count} ${DONE[action]}` : `${count} to ${action}`];
  });
  return parts.length === 0 ? 'Nothing to do' : parts.join(', ');
}
