export type { Chapter, Engine, Expectation, Step } from './step.js';
