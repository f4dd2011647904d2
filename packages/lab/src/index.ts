export { MODERN_ROOT } from './plan/names.js';
export { ACCESS_VLANS, OUTSIDE, STATIONS, type Station } from './plan/outside.js';
export type { StationStatus } from './stations.js';
export type { HostStatus, LabStatus, ServiceStatus } from './status.js';
