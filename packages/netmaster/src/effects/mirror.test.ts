/** What a master makes of a list, once the history it was at is gone. */
import type { Op } from '@contiv/store';
import { expect, test } from 'vitest';
import { keys } from '../core/records.js';
import { startTestMaster, vxlan } from '../test-support.js';

test('a tag that went from one network to another while the history was lost is not given to a third', async () => {
  const m = await startTestMaster();
  await m.network('default:old', vxlan('10.1.0.0/24'));
  const value = (await m.store.get(keys.network('default:old')))?.value.replaceAll('"old"', '"new"') ?? '';
  const steps: Op[] = [{ delete: keys.network('default:old') }, { put: keys.network('default:new'), value }];
  const { revision } = await m.store.range('/');
  // In one turn, so that the master has seen none of it when it is gone.
  await Promise.all([...steps.map((step) => m.store.txn([], [step])), m.store.compact(revision + steps.length)]);
  expect((await m.network('default:third', vxlan('10.2.0.0/24'))).status).toBe(200);
  const tags = [...m.master.context.mirror.state.all('network')].map(({ record }) => [record.networkName, record.tag]);
  expect(tags).toEqual([
    ['new', 1],
    ['third', 2],
  ]);
  await m.stop();
});
