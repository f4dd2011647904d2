import type { UplinkStatus } from '@contiv/datapath';
import { describe, expect, it } from 'vitest';
import { lackOfUplinks, mtuProblems, uplinkProblems, uplinkWarnings } from './uplinks.js';

const uplink = (name: string, state: UplinkStatus['state'], more: Partial<UplinkStatus> = {}): UplinkStatus => ({
  name,
  state,
  mtu: state === 'missing' ? 0 : 1500,
  defaultRoute: false,
  refused: 0n,
  ...more,
});

describe('uplinks', () => {
  it('a container on a VLAN is refused only where no uplink exists, with the way out', () => {
    expect(lackOfUplinks([])).toContain('--vlan-uplinks');
    expect(lackOfUplinks([uplink('eth8', 'missing'), uplink('eth9', 'missing')])).toContain('eth8, eth9');
    expect(lackOfUplinks([uplink('eth8', 'missing'), uplink('eth2', 'unplugged')])).toBeUndefined();
    expect(lackOfUplinks([uplink('eth2', 'active')])).toBeUndefined();
  });

  it('what is wrong is said, with its consequence when nothing is left', () => {
    expect(uplinkProblems([uplink('eth2', 'active'), uplink('eth3', 'standby')])).toEqual([]);
    expect(uplinkProblems([uplink('eth2', 'down'), uplink('eth3', 'active')])).toEqual([
      'uplink eth2 is down; switch it on: ip link set eth2 up',
    ]);
    expect(uplinkProblems([uplink('eth2', 'unplugged')])[0]).toContain('reach only containers of this host');
    expect(uplinkProblems([uplink('eth9', 'missing')])[0]).toContain('uplink eth9 does not exist');
    expect(uplinkProblems([uplink('eth2', 'active', { refused: 12n })])[0]).toContain('12 were not learned');
  });

  it('the default route beside VLANs is a warning', () => {
    expect(uplinkWarnings([uplink('eth2', 'active')])).toEqual([]);
    expect(uplinkWarnings([uplink('eth0', 'active', { defaultRoute: true })])[0]).toContain('eth0 carries this host');
  });
});

describe('MTUs', () => {
  it('are compared where both hosts have one', () => {
    const own = { mtu: 1500, uplinkMtu: 9000 };
    expect(
      mtuProblems(own, [
        { name: 'h2', mtu: 1500, uplinkMtu: 9000 },
        { name: 'h3', mtu: 1500 },
      ]),
    ).toEqual([]);
    const problems = mtuProblems(own, [{ name: 'h2', mtu: 9000, uplinkMtu: 1500 }]);
    expect(problems).toHaveLength(2);
    expect(problems.join()).toMatch(/underlay is 9000 on h2 and 1500 here.*uplinks is 1500 on h2 and 9000 here/);
  });
});
