const SECRET_KEY = /passw|passphrase|secret|token|authorization|cookie|credential|private_?key|api_?key|^pass$|^auth$/i;
const CENSOR = '[redacted]';
const MAX_DEPTH = 8;

/** A copy of a log record in which every field with a secret's name, at any depth, reads `[redacted]`. */
export function redactFields(record: Record<string, unknown>, depth = 0): Record<string, unknown> {
  const clean: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(record)) {
    clean[key] = SECRET_KEY.test(key) && value !== undefined && value !== null ? CENSOR : redactValue(value, depth + 1);
  }
  return clean;
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth > MAX_DEPTH) return '[too deep]';
  if (Array.isArray(value)) return value.map((item) => redactValue(item, depth + 1));
  // Errors, Dates, Buffers and the like have serialisers of their own.
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  return redactFields(Object.fromEntries(Object.entries(value)), depth);
}

/** Free text (messages, stacks) without passwords in URLs and without bearer or basic credentials. */
export function redactText(text: string): string {
  return text
    .replaceAll(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@"]*):[^\s@"/]+@/gi, `$1:${CENSOR}@`)
    .replaceAll(/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${CENSOR}`);
}
