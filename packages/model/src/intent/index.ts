export * from './change.js';
export * from './history.js';
export * from './objects.js';
export * from './schema.js';
