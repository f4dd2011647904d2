export { Engine, type EventHandlers } from './engine.js';
export * as libnetwork from './libnetwork.js';
export type * from './shapes.js';
export { type EngineAddress, EngineError, type EngineOptions, type EngineTls, parseEngineAddress } from './transport.js';
