import { join } from 'node:path';
import { hostName, type LabNames, namespaceOf, roleOf } from './names.js';
import type { LabOptions } from './options.js';

/** The underlay's plan within its /24. */
export const GATEWAY_OCTET = 1;
export const FABRIC_OCTET = 254;
const FIRST_HOST_OCTET = 50;

/** The management network leads to the lab's outside world; its gateway answers everything else with "unreachable". */
const MGMT = '10.0.2.';
const MGMT6 = 'fd00:10:0:2::';
export const MGMT_GATEWAY = `${MGMT}2`;
export const MGMT_GATEWAY6 = `${MGMT6}2`;
const MGMT_FIRST_OCTET = 15;

export interface HostPlan {
  readonly index: number;
  readonly name: string;
  readonly namespace: string;
  /** Everything of this host on disk: engine data, state, logs, wrapper programs. */
  readonly dir: string;
  /** Underlay and control address, on eth1. */
  readonly ip: string;
  /** Management address, on eth0. */
  readonly mgmtIp: string;
  readonly mgmtIp6: string;
  /** Where this host's VXLAN ends: its address on eth1, or the IPv6 one beside it. */
  readonly vtepIp: string;
  /** Where the engine is reached from every host and from the namespace `up` ran in. */
  readonly engine: string;
  readonly cgroup: string;
  readonly isMaster: boolean;
}

export function hostPlan(names: LabNames, options: LabOptions, index: number): HostPlan {
  const name = hostName(index);
  const octet = FIRST_HOST_OCTET + index;
  const ip = `${options.ipPrefix}${octet}`;
  return {
    index,
    name,
    namespace: namespaceOf(names.lab, roleOf(index)),
    dir: join(names.dir, 'hosts', name),
    ip,
    mgmtIp: `${MGMT}${MGMT_FIRST_OCTET + index}`,
    mgmtIp6: `${MGMT6}${MGMT_FIRST_OCTET + index}`,
    vtepIp: options.underlay === 'ipv6' ? `fd00:${options.ipPrefix.replaceAll('.', ':')}:${octet}` : ip,
    engine: `tcp://${ip}:2385`,
    cgroup: `${names.cgroup}/${name}`,
    isMaster: index < options.masters,
  };
}

export const hostPlans = (names: LabNames, options: LabOptions): HostPlan[] =>
  Array.from({ length: options.hosts }, (_, index) => hostPlan(names, options, index));
