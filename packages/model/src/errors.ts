/**
 * A refusal that reaches a user. `message` is Contiv's text where the spec has one; `status` is the honest HTTP status
 * (RFC 9110) sent to clients that accept `application/problem+json`, everyone else gets 500 and the text (spec/contiv §1.1).
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: RefusalCode;
  /** What to do about it, one sentence; empty when the message says it. */
  readonly hint: string;

  constructor(code: RefusalCode, message: string, hint = '') {
    super(message);
    this.code = code;
    this.hint = hint;
  }

  get status(): number {
    return REFUSAL_STATUS[this.code];
  }
}

/** Stable codes of refusals and the HTTP status each stands for. */
export const REFUSAL_STATUS = {
  invalid: 400,
  denied: 403,
  'not-found': 404,
  conflict: 409,
  'in-use': 409,
  exhausted: 409,
  'too-large': 413,
  unavailable: 503,
} as const;
export type RefusalCode = keyof typeof REFUSAL_STATUS;

/** RFC 9457 body of a refusal. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: RefusalCode | 'internal';
  readonly detail: string;
}
