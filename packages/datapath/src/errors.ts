/** The data path cannot be set up on this host; `message` is one sentence that names what is missing and what to do. */
export class DatapathError extends Error {
  override readonly name = 'DatapathError';
}

/** What went wrong, without a stack. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
