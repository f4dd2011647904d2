import type { RefusalCode } from '@contiv/model';

/** A refusal's code; `internal` is a fault of netmaster's, `not-understood` an answer that is not one of netmaster's. */
export type ApiErrorCode = RefusalCode | 'internal' | 'not-understood';

/** netmaster answered, and the answer is no. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status. */
  readonly status: number;
  readonly code: ApiErrorCode;
  /** netmaster's sentence, one line. */
  readonly detail: string;
  /** What to do about it; empty when nobody said. */
  readonly hint: string;

  constructor(status: number, code: ApiErrorCode, detail: string, hint = '') {
    super(detail);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.hint = hint;
  }
}

/** One address that was tried, and why there was no answer. */
export interface Attempt {
  readonly url: string;
  readonly reason: string;
}

/** No netmaster answered at any of the addresses. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
  readonly attempts: readonly Attempt[];
  /** A change was asked for, and somebody may have carried it out although no answer came. */
  readonly mayBeDone: boolean;

  constructor(attempts: readonly Attempt[], mayBeDone = false) {
    super(`cannot reach netmaster at ${attempts.map(({ url, reason }) => `${url} (${reason})`).join(', ')}`);
    this.attempts = attempts;
    this.mayBeDone = mayBeDone;
  }
}

/** The address itself is not usable. */
export class UrlError extends Error {
  override readonly name = 'UrlError';
}
