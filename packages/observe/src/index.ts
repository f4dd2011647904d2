export * from './backoff.js';
export * from './lifecycle.js';
export * from './logger.js';
export * from './metrics.js';
export * from './mutex.js';
export * from './redact.js';
export * from './run.js';
export * from './unread.js';
