/** What several chapters show alike. */
import type { Step } from '../step.js';

export const TENANT = 'TestTenant';
export const A = '10.1.1.1';
export const B = '10.1.1.2';

/** Nothing comes back: what a rule denies is dropped, not refused. */
export const pingLost = (ip: string): Step => ({
  command: `ping -c 3 ${ip}`,
  shows: [
    `PING ${ip} (${ip}): 56 data bytes`,
    `--- ${ip} ping statistics ---`,
    '3 packets transmitted, 0 packets received, 100% packet loss',
  ],
});
export const reached = (port: number): Step => ({ command: `nc -zvw 1 ${B} ${port}`, shows: ['open'] });
export const dropped = (port: number): Step => ({ command: `nc -zvw 1 ${B} ${port}`, shows: ['nc: timed out'], never: ['open'] });

export const INCOMING = [
  'Incoming Rules:',
  'Rule Priority From EndpointGroup From Network From IpAddress To IpAddress Protocol Port Action',
];
