import { emptyMirror } from '@contiv/client';
import type { EngineNetwork } from '@contiv/docker';
import type { HostState, NetworkState } from '@contiv/model';
import { describe, expect, it } from 'vitest';
import { reportOf } from './containers.js';
import { difference, doubles, isCreator, refOfOptions, wantedNetworks } from './docker-desired.js';

const network = (tenant: string, name: string, extra: Partial<NetworkState> = {}): NetworkState => ({
  key: `${tenant}:${name}`,
  tenant,
  network: name,
  nwType: 'data',
  encap: 'vxlan',
  tag: 2,
  subnet: { address: '10.1.2.0', length: 24 },
  ...extra,
});

function mirrorOf(...networks: NetworkState[]) {
  const mirror = emptyMirror();
  for (const n of networks) mirror.networks.set(n.key, n);
  return mirror;
}

describe('wantedNetworks', () => {
  it('is what the tutorial’s docker network inspect shows', () => {
    const [wanted] = wantedNetworks(mirrorOf(network('blue', 'contiv-net')), 'netplugin').values();
    expect(wanted?.body).toEqual({
      Name: 'contiv-net/blue',
      CheckDuplicate: true,
      Driver: 'netplugin',
      Attachable: true,
      EnableIPv6: false,
      Internal: false,
      IPAM: { Driver: 'netplugin', Options: { network: 'contiv-net', tenant: 'blue' }, Config: [{ Subnet: '10.1.2.0/24' }] },
      Options: { encap: 'vxlan', 'pkt-tag': '2', tenant: 'blue' },
      Labels: {},
    });
  });

  it('has groups, both families, gateways, Docker’s own names, and nothing provisional or infra', () => {
    const mirror = mirrorOf(
      network('default', 'a', { gateway: '10.1.2.254', subnet6: { address: 'fd00::', length: 64 }, gateway6: 'fd00::ff' }),
      network('default', 'proj-net', { origin: 'h1', dockerName: 'proj_net' }),
      network('default', 'docker-0123', { origin: 'h1' }),
      network('default', 'inf', { nwType: 'infra' }),
    );
    mirror.groups.set('default:web', { key: 'default:web', tenant: 'default', group: 'web', network: 'a', id: 1 });
    const wanted = [...wantedNetworks(mirror, 'netplugin').values()];
    expect(wanted.map((w) => w.body.Name)).toEqual(['a', 'proj_net', 'web']);
    expect(wanted[0]?.body).toMatchObject({
      EnableIPv6: true,
      IPAM: {
        Config: [
          { Subnet: '10.1.2.0/24', Gateway: '10.1.2.254' },
          { Subnet: 'fd00::/64', Gateway: 'fd00::ff' },
        ],
      },
    });
    expect(wanted[2]?.body.IPAM.Options).toEqual({ network: 'a', tenant: 'default', group: 'web' });
  });
});

describe('Docker networks', () => {
  const [wanted] = wantedNetworks(mirrorOf(network('default', 'a', { gateway: '10.1.2.254' })), 'netplugin').values();
  if (!wanted) throw new Error('no network');
  const have: EngineNetwork = {
    Id: 'x',
    Scope: 'local',
    Containers: {},
    ...wanted.body,
    IPAM: { ...wanted.body.IPAM, Options: { ...wanted.body.IPAM.Options }, Config: [...wanted.body.IPAM.Config] },
    Options: { ...wanted.body.Options },
    Labels: {},
  };

  it('are recognised by driver and IPAM options', () => {
    expect(refOfOptions(have, 'netplugin')).toEqual({ tenant: 'default', network: 'a' });
    expect(refOfOptions({ ...have, Driver: 'bridge' }, 'netplugin')).toBeUndefined();
    expect(refOfOptions({ ...have, IPAM: { ...have.IPAM, Options: {} } }, 'netplugin')).toBeUndefined();
  });

  it('are compared with what they should be', () => {
    expect(difference(have, wanted.body)).toBe('');
    expect(difference({ ...have, Options: { ...have.Options, 'pkt-tag': '9' } }, wanted.body)).toBe('pkt-tag is 9 and should be 2');
    expect(difference({ ...have, IPAM: { ...have.IPAM, Config: [{ Subnet: '10.9.0.0/24' }] } }, wanted.body)).toMatch(
      /subnet is 10.9.0.0\/24/,
    );
  });

  it('are superfluous when an older one stands for the same object', () => {
    const record = (networkId: string, createdAt: number, name: string) => ({
      networkId,
      createdAt,
      dockerName: name,
      ref: { tenant: 'default', network: name },
    });
    const records = new Map(
      [record('young', 3, 'a'), record('old', 1, 'a'), record('new', 2, 'a'), record('other', 9, 'b')].map((r) => [r.networkId, r]),
    );
    const ours = ['young', 'old', 'new', 'other', 'unknown'].map((Id) => ({ ...have, Id }));
    expect(doubles(ours, (id) => records.get(id)).map(({ Id }) => Id)).toEqual(['young', 'new']);
  });

  it('are made by one host where engines share them', () => {
    const mirror = emptyMirror();
    const host = (name: string, alive: boolean): HostState => ({
      name,
      vtepIp: '192.0.2.1',
      control: 'x',
      vxlanPort: 1,
      mtu: 1500,
      version: '2',
      alive,
    });
    for (const h of [host('c', true), host('a', false), host('b', true)]) mirror.hosts.set(h.name, h);
    expect(['a', 'b', 'c'].filter((name) => isCreator(mirror, name))).toEqual(['a', 'b']);
    mirror.hosts.set('a', host('a', true));
    expect(['a', 'b', 'c'].filter((name) => isCreator(mirror, name))).toEqual(['a']);
  });
});

describe('reportOf', () => {
  it('tells name, aliases of both engine generations, compose service and labels', () => {
    const report = reportOf(
      {
        Id: 'c1',
        Name: '/proj-web-1',
        State: { Running: true, Pid: 1, ExitCode: 0, Error: '' },
        HostConfig: { RestartPolicy: { Name: '' } },
        Config: { Hostname: 'c1host', Labels: { 'com.docker.compose.service': 'web', a: 'b' } },
        NetworkSettings: {
          SandboxKey: '',
          Networks: {
            net: {
              NetworkID: 'n',
              EndpointID: 'e1',
              Aliases: ['www', 'web'],
              DNSNames: ['proj-web-1', 'www'],
              IPAddress: '10.1.2.1',
              GlobalIPv6Address: '',
              MacAddress: '',
            },
          },
        },
      },
      'e1',
      'default',
      'net',
    );
    expect(report).toMatchObject({
      EPCommonName: 'proj-web-1',
      Aliases: ['www', 'web', 'c1host'],
      Labels: { a: 'b' },
      IPAddress: '10.1.2.1',
    });
    expect(report && 'EndpointID' in report).toBe(true);
  });
});
