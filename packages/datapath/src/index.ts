export { BpfMap } from '@contiv/syscall';
export * from './contract.js';
export { openDatapath } from './datapath.js';
export { DatapathError } from './errors.js';
export {
  FLOW_KINDS,
  type FlowEnd,
  type FlowEvent,
  type FlowLimits,
  LEFT_OUT,
  type LeftOut,
  type TrackedConnection,
} from './flows/codec.js';
export { type FlowSource, nowUnits } from './flows/source.js';
export * as frames from './frames.js';
export { endpointKey } from './maps/layout.js';
export { DROP_REASONS, type DropReason } from './maps/reasons.js';
export { dataPaths, findRemains, type Remains, removeDatapath } from './removal.js';
