/** An answer other than success, with the HTTP status a client sees. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The engine could not be reached, or did not answer in time; counted as a failure of that engine. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
