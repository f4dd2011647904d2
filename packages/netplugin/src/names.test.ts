import { emptyMirror } from '@contiv/client';
import type { EndpointState } from '@contiv/model';
import { describe, expect, it } from 'vitest';
import { addressOfPtr, NameIndex } from './names.js';

const endpoint = (tenant: string, network: string, ip: string, name: string, extra: Partial<EndpointState> = {}): EndpointState => ({
  key: `${network}.${tenant}-${name}`,
  tenant,
  network,
  endpointId: name,
  host: 'h1',
  ip: ip as EndpointState['ip'],
  mac: '02:02:00:00:00:01',
  containerName: name,
  ...extra,
});

function indexOf(...endpoints: EndpointState[]): NameIndex {
  const mirror = emptyMirror();
  for (const e of endpoints) mirror.endpoints.set(e.key, e);
  const index = new NameIndex();
  index.replace(mirror);
  return index;
}

describe('NameIndex', () => {
  const index = indexOf(
    endpoint('default', 'net', '10.1.2.1', 'web', { aliases: ['www', 'Front.End'], ip6: 'fd00::1' }),
    endpoint('default', 'net', '10.1.2.2', 'db', { group: 'storage' }),
    endpoint('default', 'net', '10.1.2.3', 'db2', { group: 'storage' }),
    endpoint('default', 'other', '10.7.0.1', 'web'),
    endpoint('blue', 'net', '10.1.2.1', 'web'),
  );
  const here = new Set(['default:net']);

  it('answers names, aliases and groups in any case', () => {
    expect(index.resolve('WEB.', here)).toEqual({ v4: ['10.1.2.1'], v6: ['fd00::1'] });
    expect(index.resolve('www', here)?.v4).toEqual(['10.1.2.1']);
    expect(index.resolve('front.end', here)?.v4).toEqual(['10.1.2.1']);
    expect(index.resolve('storage', here)).toEqual({ v4: ['10.1.2.2', '10.1.2.3'], v6: [] });
  });

  it('shows nothing of networks the asker is not in, and never another tenant', () => {
    expect(index.resolve('web', new Set())).toBeUndefined();
    expect(index.resolve('web', new Set(['default:other']))?.v4).toEqual(['10.7.0.1']);
    expect(index.resolve('db', new Set(['blue:net']))).toBeUndefined();
    expect(index.resolve('web', new Set(['default:net', 'default:other']))?.v4).toEqual(['10.1.2.1', '10.7.0.1']);
  });

  it('answers addresses with names', () => {
    expect(index.reverse('10.1.2.2', here)).toBe('db');
    expect(index.reverse('fd00::1', here)).toBe('web');
    expect(index.reverse('10.7.0.1', here)).toBeUndefined();
  });

  it('follows changes without leaving anything behind', () => {
    const changing = indexOf(endpoint('default', 'net', '10.1.2.1', 'old'));
    const before = endpoint('default', 'net', '10.1.2.1', 'old');
    const after = { ...before, containerName: 'new' };
    changing.change({ kind: 'endpoint', key: before.key, before, after });
    expect(changing.resolve('old', here)).toBeUndefined();
    expect(changing.resolve('new', here)?.v4).toEqual(['10.1.2.1']);
    changing.change({ kind: 'endpoint', key: before.key, before: after, after: undefined });
    expect(changing.resolve('new', here)).toBeUndefined();
    expect(changing.reverse('10.1.2.1', here)).toBeUndefined();
  });
});

describe('addressOfPtr', () => {
  it('reads reverse names of both families and nothing else', () => {
    expect(addressOfPtr('1.2.1.10.in-addr.arpa.')).toBe('10.1.2.1');
    expect(addressOfPtr('1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa')).toBe('fd00::1');
    for (const other of ['web', '1.2.in-addr.arpa', 'x.ip6.arpa', '300.2.1.10.in-addr.arpa'])
      expect(addressOfPtr(other), other).toBeUndefined();
  });
});
