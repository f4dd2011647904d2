import { dockerHost, enter, exit, MASTER, OWN_NETWORKS, run, ssh } from '../parts.js';
import type { Chapter } from '../step.js';

export const one: Chapter = {
  title: 'Chapter 1: Introduction to container networking',
  steps: [
    { command: 'docker network ls', rows: ['NETWORK ID NAME DRIVER SCOPE', ...OWN_NETWORKS] },
    { ...run('vanilla-c', ''), command: 'docker run -itd --name=vanilla-c alpine /bin/sh' },
    {
      command: 'docker ps',
      shows: ['CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES', '<id> alpine "/bin/sh" … Up … <host as NODE>/vanilla-c'],
    },
    exit,
    // Whichever host the scheduler has chosen.
    ssh('@NODE@'),
    { command: 'ifconfig', shows: ['docker0: flags=… mtu 1500', 'veth…: flags=… mtu 1500'] },
    exit,
    ssh(MASTER),
    dockerHost,
    {
      command: 'docker network inspect @NODE@/bridge',
      json: [
        {
          Name: 'bridge',
          Id: '<id>',
          Scope: 'local',
          Driver: 'bridge',
          EnableIPv6: false,
          IPAM: { Driver: 'default' },
          Internal: false,
          Containers: {
            '*': { Name: 'vanilla-c', EndpointID: '<id>', MacAddress: '<mac>', IPv4Address: '172.17.0.2/16', IPv6Address: '' },
          },
          Options: {
            'com.docker.network.bridge.default_bridge': 'true',
            'com.docker.network.bridge.enable_icc': 'true',
            'com.docker.network.bridge.enable_ip_masquerade': 'true',
            'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
            'com.docker.network.bridge.name': 'docker0',
            'com.docker.network.driver.mtu': '1500',
          },
          Labels: {},
        },
      ],
    },
    { command: "docker inspect --format '{{.NetworkSettings.IPAddress}}' vanilla-c", shows: ['172.17.0.2'] },
    enter('vanilla-c'),
    {
      command: 'ifconfig eth0',
      shows: [
        'eth0 Link encap:Ethernet HWaddr <mac>',
        'inet addr:172.17.0.2 Bcast:<ip> Mask:255.255.0.0',
        'UP BROADCAST RUNNING MULTICAST MTU:1500 Metric:1',
      ],
    },
    exit,
    {
      command: 'sudo iptables -t nat -L -n',
      shows: ['Chain PREROUTING (policy ACCEPT)', 'Chain POSTROUTING (policy ACCEPT)', 'MASQUERADE … 172.17.0.0/16 0.0.0.0/0'],
    },
  ],
};
