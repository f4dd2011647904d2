import { afterEach, expect, test } from 'vitest';
import { viewpoint } from './dns.js';
import { interfaceNames } from './state/records.js';
import { endpointOf, openRig } from './testing/rig.js';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

test('a container sees the networks of its own sandbox, and nobody has one without a name', async () => {
  const rig = await openRig();
  cleanups.push(() => rig.close());
  const attach = (endpointId: string, network: string, sandboxKey: string) =>
    rig.state.endpoints.set(endpointId, endpointOf(endpointId, { ref: { tenant: 'default', network }, sandboxKey }));
  attach('a', 'one', 's1');
  attach('b', 'two', 's1');
  attach('c', 'three', '');
  attach('d', 'four', '');
  const seenBy = (endpointId: string) => {
    rig.datapath.portOfDnsClient = () => interfaceNames(endpointId).port;
    return [...viewpoint(rig.datapath, rig.state, '169.254.128.1')].sort();
  };
  expect(seenBy('a')).toEqual(['default:one', 'default:two']);
  expect(seenBy('c')).toEqual(['default:three']);
});
