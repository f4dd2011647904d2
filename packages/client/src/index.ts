export * from './agent.js';
export * from './rest.js';
