import { enter, exit, ping3 } from '../parts.js';
import type { Chapter } from '../step.js';
import { A, B, INCOMING, pingLost } from './parts.js';

export const icmp: Chapter = {
  title: 'Chapter 1: Groups, and a rule for ICMP',
  about:
    'A group is a set of containers of one network that are treated alike; each is a Docker network by its own name. Groups of a network reach each other until a policy says otherwise. ' +
    'A policy is a list of rules; it applies to the groups it is attached to, and attaching takes effect at once, on what runs already, too.',
  steps: [
    { command: 'netctl tenant create TestTenant', shows: ['Creating tenant: TestTenant'] },
    {
      command: 'netctl network create --tenant TestTenant --subnet=10.1.1.0/24 --gateway=10.1.1.254 -e "vlan" TestNet',
      shows: ['Creating network TestTenant:TestNet'],
    },
    { command: 'netctl net ls -a', rows: ['TestTenant TestNet data vlan 0 10.1.1.0/24 10.1.1.254'] },
    { command: 'netctl group create -t TestTenant TestNet epgA', shows: ['Creating EndpointGroup TestTenant:epgA'] },
    { command: 'netctl group create -t TestTenant TestNet epgB', shows: ['Creating EndpointGroup TestTenant:epgB'] },
    {
      command: 'netctl group ls -a',
      shows: ['Tenant Group Network IP Pool CfgdTag Policies Network profile'],
    },
    { command: 'netctl group ls -t TestTenant', rows: ['TestTenant epgA TestNet', 'TestTenant epgB TestNet'] },
    {
      command: 'docker network ls',
      rows: ['TestNet', 'epgA', 'epgB'].map((name) => `<id> ${name}/TestTenant netplugin @SCOPE@`),
    },
    { command: 'docker run -itd --net="epgA/TestTenant" --name=AContainer contiv/alpine sh', shows: ['<id>'] },
    { command: 'docker run -itd --net="epgB/TestTenant" --name=BContainer contiv/alpine sh', shows: ['<id>'] },
    { command: 'docker ps', rows: ['<id> … "sh" … Up … <host>/AContainer', '<id> … "sh" … Up … <host>/BContainer'] },
    enter('BContainer'),
    { command: 'ifconfig', shows: ['eth0 Link encap:Ethernet HWaddr 02:02:0A:01:01:02', `inet addr:${B} Bcast:<ip> Mask:255.255.255.0`] },
    exit,
    enter('AContainer'),
    { command: 'ifconfig eth0', shows: [`inet addr:${A} Bcast:<ip> Mask:255.255.255.0`] },
    ping3(B, B),
    exit,
    { command: 'netctl policy create -t TestTenant policyAB', shows: ['Creating policy TestTenant:policyAB'] },
    { command: 'netctl policy rule-add -t TestTenant -d in --protocol icmp --from-group epgA --action deny policyAB 1' },
    { command: 'netctl group create -t TestTenant -p policyAB TestNet epgB', shows: ['Creating EndpointGroup TestTenant:epgB'] },
    { command: 'netctl policy ls -a', rows: ['TestTenant policyAB'] },
    { command: 'netctl policy rule-ls -t TestTenant policyAB', shows: [...INCOMING, '1 1 epgA icmp 0 deny', 'Outgoing Rules:'] },
    enter('AContainer'),
    pingLost(B),
    exit,
  ],
};
