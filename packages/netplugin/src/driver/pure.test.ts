import { emptyMirror } from '@contiv/client';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { legalName, provisionalName } from './names.js';
import { genericOptions, parseNetworkOptions } from './options.js';
import { canonicalPool, findOwner, formatPoolId, parsePoolId, subnetText } from './pools.js';

const NAME = /^(([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])\.)*([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])$/;
const ID = '0123456789abcdef'.repeat(4);

describe('pool ids', () => {
  it('are as in Contiv, with a mark for IPv6', () => {
    expect(formatPoolId({ tenant: 'blue', network: 'net' }, '10.1.2.0/24', false)).toBe('net.blue|10.1.2.0/24');
    expect(formatPoolId({ tenant: 'blue', network: 'net', group: 'web' }, '10.1.2.0/24', false)).toBe('net:web.blue|10.1.2.0/24');
    expect(parsePoolId(formatPoolId({ tenant: 'blue', network: 'net' }, 'fd00::/64', true))).toEqual({
      owner: 'net.blue',
      pool: 'fd00::/64',
      v6: true,
    });
    for (const bad of ['', 'net.blue', '|10.0.0.0/8', 'a|b|c', 'a|b|v6|d']) expect(parsePoolId(bad), bad).toBeUndefined();
  });

  it('find their network also when names hold dots', () => {
    const mirror = emptyMirror();
    const put = (tenant: string, network: string) =>
      mirror.networks.set(`${tenant}:${network}`, {
        key: `${tenant}:${network}`,
        tenant,
        network,
        nwType: 'data',
        encap: 'vxlan',
        tag: 1,
        subnet: { address: '10.0.0.0', length: 24 },
      });
    put('c', 'a.b');
    put('blue', 'net');
    mirror.groups.set('blue:web', { key: 'blue:web', tenant: 'blue', network: 'net', group: 'web', id: 1 });
    expect(findOwner(mirror, 'a.b.c')).toEqual({ tenant: 'c', network: 'a.b' });
    expect(findOwner(mirror, 'net:web.blue')).toEqual({ tenant: 'blue', network: 'net', group: 'web' });
    expect(findOwner(mirror, 'net.red')).toBeUndefined();
  });

  it('turn --ip-range into a range of the subnet', () => {
    expect(subnetText('10.1.0.0/16', '')).toBe('10.1.0.0/16');
    expect(subnetText('10.1.0.0/16', '10.1.4.0/24')).toBe('10.1.4.0-10.1.4.255/16');
    expect(subnetText('10.1.0.0/16', '10.2.4.0/24')).toBeUndefined();
    expect(subnetText('10.1.4.0/24', '10.1.0.0/16')).toBeUndefined();
    expect(canonicalPool('10.1.2.7/24', false)).toBe('10.1.2.0/24');
    expect(canonicalPool('10.1.2.0/24', true)).toBeUndefined();
  });
});

describe('names of networks made by docker network create', () => {
  it('become legal and stay recognisable', () => {
    expect(legalName('proj_net')).toBe('proj-net');
    expect(legalName('my.app_default')).toBe('my-app-default');
    expect(legalName('web')).toBe('web');
    expect(legalName('web/blue')).toBe('web-blue');
    expect(legalName('web', ID)).toBe('web-012345');
    expect(provisionalName(ID)).toBe('docker-0123456789ab');
  });

  it('are legal whatever Docker allows, and always the same', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 120, unit: 'binary' }), fc.boolean(), (name, withId) => {
        const legal = legalName(name, withId ? ID : '');
        expect(legal).toMatch(NAME);
        expect(legal.length).toBeLessThanOrEqual(64);
        expect(legalName(name, withId ? ID : '')).toBe(legal);
      }),
    );
  });
});

describe('options of docker network create', () => {
  it('have Contiv’s defaults', () => {
    expect(parseNetworkOptions({})).toEqual({ tenant: 'default', encap: 'vxlan', pktTag: 0, gateway: '', gateway6: '' });
    expect(parseNetworkOptions({ tenant: 'blue', encap: 'vlan', 'pkt-tag': '112', 'com.docker.network.driver.mtu': '1400' })).toMatchObject(
      {
        tenant: 'blue',
        encap: 'vlan',
        pktTag: 112,
      },
    );
  });

  it('are read from whatever an engine sends', () => {
    expect(genericOptions(null)).toEqual({});
    expect(genericOptions({ 'com.docker.network.generic': null })).toEqual({});
    expect(genericOptions({ 'com.docker.network.generic': { tenant: 'x', n: 5 } })).toEqual({ tenant: 'x' });
  });
});
