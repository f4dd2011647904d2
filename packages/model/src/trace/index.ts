export * from './answer.js';
export * from './combine.js';
export { evaluate, type Intent, type IntentStage, type TraceCase, verdictText } from './evaluate.js';
export { type Resolved, resolve, type ServiceState, type Target } from './resolve.js';
export { type EndVerdict, groupNumberOf, judge, ruleText } from './verdict.js';
export { nameOfEndpoint, networkOf, segmentOf, type TraceView } from './view.js';
