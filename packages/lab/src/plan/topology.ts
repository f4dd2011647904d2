/**
 * The cables, as `ip -batch` lines. The bridges stand in a namespace of their own, the fabric: there neither the machine's firewall nor its
 * bridge netfilter sees the hosts' frames, and nothing is forwarded to the machine's uplink. One veth leads from it to the namespace `up` ran
 * in, so that this one reaches the underlay by a connected route.
 */
import { FABRIC_OCTET, GATEWAY_OCTET, type HostPlan, MGMT_GATEWAY, MGMT_GATEWAY6 } from './hosts.js';
import { macOf } from './mac.js';
import type { LabNames } from './names.js';
import type { LabOptions } from './options.js';

/** Interfaces of a host and the fabric's bridge behind each. */
export const CABLES = [
  { device: 'eth0', bridge: 'mgmt', about: 'management, and the default route to the outside world' },
  { device: 'eth1', bridge: 'underlay', about: 'control and VXLAN' },
  // A plain bridge, which has one table of addresses for all VLANs: containers on different VLANs of a lab need different MACs.
  { device: 'eth2', bridge: 'trunk', about: 'second uplink, no address, for VLANs' },
  { device: 'eth3', bridge: 'trunk', about: 'the same switch by another cable' },
] as const;
export type Device = (typeof CABLES)[number]['device'];

/** Fabric-side end of a host's interface. */
export const fabricPort = (host: HostPlan, device: Device): string => `h${host.index}-${device}`;

/** Bridges of the fabric, each once. */
const BRIDGES = [...new Set(CABLES.map(({ bridge }) => bridge))];

/** Settings of the fabric's namespace: it switches frames, and routes to the outside world. */
export const FABRIC_SYSCTLS: readonly (readonly [string, string])[] = [
  ['net.ipv4.ip_forward', '1'],
  ['net.ipv6.conf.all.disable_ipv6', '0'],
  ['net.ipv6.conf.default.disable_ipv6', '0'],
  ['net.ipv6.conf.all.forwarding', '1'],
  ['net.ipv4.conf.all.rp_filter', '0'],
  ['net.bridge.bridge-nf-call-iptables', '0'],
  ['net.bridge.bridge-nf-call-ip6tables', '0'],
  ['net.bridge.bridge-nf-call-arptables', '0'],
];

/** Run in the fabric, once. */
export function fabricLines(options: LabOptions): string[] {
  return [
    'link set lo up',
    ...BRIDGES.map((bridge) => `link add ${bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`),
    ...BRIDGES.filter((bridge) => bridge !== 'mgmt').map((bridge) => `link set ${bridge} mtu ${options.mtu}`),
    ...BRIDGES.map((bridge) => `link set ${bridge} up`),
    `addr add ${options.ipPrefix}${FABRIC_OCTET}/24 dev underlay`,
    `addr add ${MGMT_GATEWAY}/24 dev mgmt`,
    `addr add ${MGMT_GATEWAY6}/64 dev mgmt nodad`,
    // Whatever a host sends to elsewhere by its default route is answered at once instead of timing out.
    'route add unreachable default',
    'route add unreachable ::/0',
  ];
}

/** Run in the namespace `up` ran in, once; the connected route stands before the other end carries anything. */
export function uplinkLines(names: LabNames, options: LabOptions): string[] {
  return [
    `link add ${names.uplink} address ${macOf(names.lab, 'uplink')} mtu ${options.mtu} type veth peer name uplink mtu ${options.mtu} netns ${names.fabric}`,
    `link set ${names.uplink} alias contiv-lab:${names.lab}`,
    `addr add ${options.ipPrefix}${GATEWAY_OCTET}/24 dev ${names.uplink}`,
    `link set ${names.uplink} up`,
  ];
}

/** Run in the fabric after {@link uplinkLines}. */
export const uplinkFabricLines: readonly string[] = ['link set uplink master underlay', 'link set uplink up'];

/** Run in the fabric for each host; the host's namespace exists. */
export function cableLines(names: LabNames, options: LabOptions, host: HostPlan): string[] {
  return CABLES.flatMap(({ device, bridge }) => {
    const mtu = device === 'eth0' ? 1500 : options.mtu;
    const port = fabricPort(host, device);
    const mac = macOf(names.lab, `${host.name}/${device}`);
    return [
      `link add ${port} mtu ${mtu} type veth peer name ${device} address ${mac} mtu ${mtu} netns ${host.namespace}`,
      `link set ${port} master ${bridge}`,
      `link set ${port} up`,
    ];
  });
}

/** Before a host has addresses: machines without IPv6 of their own switch it off for every new namespace. */
export const HOST_SYSCTLS: readonly (readonly [string, string])[] = [
  ['net.ipv6.conf.all.disable_ipv6', '0'],
  ['net.ipv6.conf.default.disable_ipv6', '0'],
];

/** Run in the host's namespace after {@link cableLines}. */
export function hostLines(host: HostPlan): string[] {
  return [
    'link set lo up',
    `addr add ${host.mgmtIp}/24 brd + dev eth0`,
    `addr add ${host.mgmtIp6}/64 dev eth0 nodad`,
    `addr add ${host.ip}/24 brd + dev eth1`,
    ...(host.vtepIp === host.ip ? [] : [`addr add ${host.vtepIp}/64 dev eth1 nodad`]),
    ...CABLES.map(({ device }) => `link set ${device} up`),
    `route add default via ${MGMT_GATEWAY} dev eth0`,
    `route add default via ${MGMT_GATEWAY6} dev eth0`,
  ];
}
