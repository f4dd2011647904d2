export { commandIn, type Lab, requireLab } from './context.js';
export { labNames, MODERN_ROOT } from './plan/names.js';
export { LabError } from './plan/options.js';
export { ACCESS_VLANS, OUTSIDE, STATIONS, type Station } from './plan/outside.js';
export type { StationStatus } from './stations.js';
export type { HostStatus, LabStatus, ServiceStatus } from './status.js';
export { type HostProcesses, hostProcesses } from './status.js';
