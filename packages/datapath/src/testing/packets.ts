/** Frames for tests. */
export * from '../frames.js';
