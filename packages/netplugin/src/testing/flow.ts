import type { FlowRecord } from '@contiv/model';

/** A connection that began and ended at `time`. */
export const closedFlow = (time: number): FlowRecord => ({
  hosts: ['h1'],
  tenant: 'default',
  state: 'closed',
  verdict: 'allow',
  start: time,
  time,
  protocol: 6,
  src: { ip: '10.1.1.1', port: 40_000, container: 'web' },
  dst: { ip: '10.1.1.2', port: 80, container: 'db' },
  way: 'out',
  packets: [1, 2],
  bytes: [60, 120],
});
