/** The agent's side of netmaster: calls with time-outs and fail-over, the resumable watch stream, answers to questions. */
export * from './agent/answers.js';
export * from './agent/calls.js';
export * from './agent/masters.js';
export * from './agent/mirror.js';
export * from './agent/stream.js';
