import { enter, exit, MASTER, NETWORK_COLUMNS, pingOff, pingOn, run, ssh, WORKER } from '../parts.js';
import type { Chapter, Step } from '../step.js';

/** It waits for input once it is connected; the tutorial ends it by hand. */
const probe: Step = { command: 'nc -vw 1 localhost 9099' };

const request = (seq: string): string =>
  `<word> 02:02:0a:01:03:02 … > 02:02:0a:01:03:01 …, ethertype 802.1Q (0x8100), length 102: vlan 112, p 0, ethertype IPv4 (0x0800), 10.1.3.2 > 10.1.3.1: ICMP echo request, id <n>, seq ${seq}, length 64`;

export const fourNat: Chapter = {
  title: 'Chapter 4: Connecting containers to external networks – 1. External connectivity using host NATing',
  steps: [
    enter('contiv-c1'),
    {
      command: 'ifconfig -a',
      shows: [
        'eth0 Link encap:Ethernet HWaddr 02:02:0A:01:02:01',
        'inet addr:10.1.2.1 Bcast:<ip> Mask:255.255.255.0',
        'UP BROADCAST RUNNING MULTICAST MTU:1450 Metric:1',
        'eth1 Link encap:Ethernet HWaddr <mac>',
        'inet addr:172.18.0.<n> Bcast:<ip> Mask:255.255.0.0',
        'UP BROADCAST RUNNING MULTICAST MTU:1500 Metric:1',
        'lo Link encap:Local Loopback',
        'inet addr:127.0.0.1 Mask:255.0.0.0',
      ],
    },
    {
      command: 'ping -c 3 contiv.com',
      shows: [
        'PING contiv.com (<ip>): 56 data bytes',
        ...['0', '1', '2'].map((seq) => `64 bytes from <ip>: seq=${seq} ttl=<n> time=<ms>`),
        '--- contiv.com ping statistics ---',
        '3 packets transmitted, 3 packets received, 0% packet loss',
      ],
    },
    exit,
    { command: 'sudo yum -y install nc', shows: ['/<word>/nc'] },
    { command: 'sudo yum -y install tcpdump', shows: ['/<word>/tcpdump'] },
    { ...probe, shows: ['Ncat: Version <n> ( <word> )', 'Ncat: Connection refused.'] },
    run('contiv-exposed', '-p 9099:9099 --net=contiv-net'),
    { ...probe, shows: ['Ncat: Version <n> ( <word> )', 'Ncat: Connected to <word>:9099.'], runsOn: true },
    { command: '^C' },
    {
      command: 'sudo iptables -t nat -L -n',
      shows: [
        'Chain PREROUTING (policy ACCEPT)',
        'DOCKER … 0.0.0.0/0 0.0.0.0/0 ADDRTYPE match dst-type LOCAL',
        'Chain INPUT (policy ACCEPT)',
        'Chain OUTPUT (policy ACCEPT)',
        'DOCKER … 0.0.0.0/0 !127.0.0.0/8 ADDRTYPE match dst-type LOCAL',
        'Chain POSTROUTING (policy ACCEPT)',
        'MASQUERADE … 172.18.0.0/16 0.0.0.0/0',
        'Chain DOCKER (2 references)',
        'DNAT … 0.0.0.0/0 0.0.0.0/0 tcp dpt:9099 to:172.18.0.<n>:9099',
      ],
    },
  ],
};

export const fourVlan: Chapter = {
  title: 'Chapter 4 – 2. Natively connecting to the external networks',
  steps: [
    { command: 'netctl net create -p 112 -e vlan -s 10.1.3.0/24 contiv-vlan', shows: ['Creating network default:contiv-vlan'] },
    {
      command: 'netctl net ls',
      rows: [...NETWORK_COLUMNS, 'default contiv-vlan data vlan 112 10.1.3.0/24', 'default contiv-net data vxlan 0 10.1.2.0/24'],
    },
    run('contiv-vlan-c1', `--net=contiv-vlan -e constraint:node==${MASTER}`),
    run('contiv-vlan-c2', `--net=contiv-vlan -e constraint:node==${WORKER}`),
    { ...ssh(WORKER), terminal: 'second' },
    { ...enter('contiv-vlan-c2'), terminal: 'second' },
    pingOn('contiv-vlan-c1', '10.1.3.1', 'second'),
    {
      command: 'sudo tcpdump -e -i eth2 icmp',
      shows: ['listening on eth2, link-type EN10MB (Ethernet), …', request('<n>'), request('<n>'), request('<n>')],
      runsOn: true,
    },
    { command: '^C', shows: ['<n> packets captured', '<n> packets received by filter', '0 packets dropped by kernel'] },
    pingOff('contiv-vlan-c1', 'second'),
    { ...exit, terminal: 'second' },
  ],
};
