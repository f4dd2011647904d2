export * from './rig/hostile.js';
export * from './rig/rig.js';
export * from './rig/run.js';
export * from './rig/settled.js';
export * from './rig/traces.js';
export * from './rig/traffic.js';
