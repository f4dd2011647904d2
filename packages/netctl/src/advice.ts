/** Advice on refusals: which name was meant, which words a flag takes. */
import { ApiError, type RestClient } from '@contiv/client';
import { itemsOf } from '@contiv/model';
import type { Leaf, ObjectKind } from './cli/command.js';
import { didYouMean, nearest } from './cli/suggest.js';
import { namesOfKind } from './names.js';
import type { Session } from './session.js';

const KINDS: readonly (readonly [RegExp, ObjectKind])[] = [
  [/^tenant not found/i, 'tenant'],
  [/^network .*not found/i, 'network'],
  [/^endpointGroup (\S+ )?not found/i, 'group'],
  [/^policy not found/i, 'policy'],
  [/^netprofile not found/i, 'netprofile'],
  [/^appProfile not found/i, 'app-profile'],
  [/^extContractsGroup not found/i, 'external-contracts'],
  [/^serviceLB not found/i, 'service'],
  [/^endpoint not found/i, 'endpoint'],
  [/^host .*not found/i, 'host'],
];

/** One sentence, or nothing; undefined about what is no refusal. Looking for it may fail; then there is none. */
export async function adviceOn(error: unknown, leaf: Leaf, session: Session): Promise<string | undefined> {
  if (!(error instanceof ApiError)) return undefined;
  if (error.hint !== '') return error.hint;
  if (error.code === 'invalid') return wordsOf(leaf, session);
  const kind = error.code === 'not-found' ? KINDS.find(([pattern]) => pattern.test(error.detail))?.[1] : undefined;
  if (kind === undefined) return '';
  try {
    return await whichName(kind, askedFor(kind, leaf, session), session, await session.client());
  } catch {
    return '';
  }
}

function wordsOf(leaf: Leaf, { flags }: Session): string {
  const wrong = leaf.flags.find((f) => f.choices !== undefined && flags.text(f.name) !== '' && !f.choices.includes(flags.text(f.name)));
  return wrong?.choices === undefined ? '' : `--${wrong.name} takes ${wrong.choices.join(' or ')}`;
}

/** The names the user gave for objects of that kind: an argument, else those of a flag. */
function askedFor(kind: ObjectKind, leaf: Leaf, { args, flags }: Session): readonly string[] {
  const index = leaf.args.findIndex((arg) => arg.of === kind);
  if (index >= 0) return args.slice(index, index + 1);
  const flag = leaf.flags.find((f) => f.of === kind);
  if (flag === undefined) return [];
  return flag.kind === 'list' ? flags.list(flag.name) : itemsOf(flags.text(flag.name));
}

async function whichName(kind: ObjectKind, all: readonly string[], session: Session, client: RestClient): Promise<string> {
  const list = await objectsOf(kind, client);
  const tenantFlag = list && session.flags.text('tenant');
  const names = await namesOfKind(client, kind, tenantFlag);
  const asked = all.find((name) => !names.includes(name)) ?? all[0] ?? '';
  if (list && tenantFlag !== undefined) {
    const elsewhere = list.find((object) => object.key.endsWith(`:${asked}`) && object.key !== `${tenantFlag}:${asked}`);
    if (elsewhere) return `The tenant ${elsewhere.tenantName} has one of that name: add -t ${elsewhere.tenantName}`;
  }
  const near = didYouMean(nearest(asked, names));
  if (near !== '' || kind === 'endpoint') return near;
  if (names.length === 0) return `There is none${tenantFlag === undefined || tenantFlag === '' ? '' : ` in the tenant ${tenantFlag}`}`;
  return names.length <= 5 ? `There ${names.length === 1 ? 'is' : 'are'}: ${names.join(', ')}` : '';
}

/** Objects of a kind that belongs to tenants. */
async function objectsOf(kind: ObjectKind, client: RestClient): Promise<{ key: string; tenantName: string }[] | undefined> {
  switch (kind) {
    case 'network':
      return client.networks.list();
    case 'group':
      return client.endpointGroups.list();
    case 'policy':
      return client.policies.list();
    case 'netprofile':
      return client.netprofiles.list();
    case 'app-profile':
      return client.appProfiles.list();
    case 'external-contracts':
      return client.extContractsGroups.list();
    case 'service':
      return client.services.list();
    case 'tenant':
    case 'endpoint':
    case 'host':
      return undefined;
  }
}
